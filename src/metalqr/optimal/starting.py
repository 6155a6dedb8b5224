"""A gain to start from: it stabilises every task, and leaves something to learn on each."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, at_optimum, cost, is_stabilising, tiled
from metalqr.optimal.newton_cg import DescentError
from metalqr.optimal.riccati import optimal_gains
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import stabilising_gain

#: Excess cost over its own optimum that each task should have, relative to the optimum.
MIN_EXCESS = 0.2
#: Factors on R whose optima are tried.
HEAVIER = (3.0, 10.0, 30.0, 100.0)
#: Of so many tasks each one's own optimum is tried, of the others their mean alone.
MAX_TARGETS = 10
GAINS_ON_A_RAY = 60
#: Significant digits to which a gain is rounded, if it is as good then.
DIGITS = (3, 5, 8)
#: Entries below this part of the largest are zero then.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class StartingGain:
    r"""A gain K (k, d), with its excess cost over the optimum of every task.

    ``excess`` is :math:`J_i(K) / J_i^* - 1`, shape (I,), and ``ratio`` the average cost difference ratio of a run's
    first iteration, :math:`\sum_i (J_i(K) - J_i^*) / \sum_i J_i^*`, or the gap alone where no optimum costs anything.
    """

    K: FloatArray
    excess: FloatArray
    ratio: float


def starting_gain(tasks: LQRTasks) -> StartingGain:
    """Find a gain that stabilises every task and is optimal for none, so that there is something to learn on each.

    Zero, where it is such a gain. Otherwise the one of the lowest ratio among those whose excess is at least
    ``MIN_EXCESS`` on every task: on rays from the best single gain, towards the optima for a heavier R, towards zero,
    and in the directions of the single entries of a gain. Rounded to few digits, which are easy to write.

    Raises
    ------
    NotStabilisableError, NoCommonStabilisingGainError
        As in :func:`metalqr.optimal.stabilising_gain`.
    """
    zero = np.zeros((tasks.action_dim, tasks.state_dim))
    best = optimal_gains(tasks).cost
    if is_stabilising(tasks, zero).all() and not at_optimum(tasks, zero).any():
        return _starting_gains(tasks, zero[np.newaxis], best)[0]
    centre = _centre(tasks)
    distances = (1e-3 + float(np.linalg.norm(centre))) * np.geomspace(1e-4, 1e3, GAINS_ON_A_RAY)
    found = _starting_gains(tasks, centre[np.newaxis], best)
    good: list[StartingGain] = []
    for direction in _directions(tasks, centre):
        on_ray = _starting_gains(tasks, centre + distances[:, np.newaxis, np.newaxis] * direction, best)
        nearer = found[0]
        # Up to the boundary of stability, and no farther than necessary: further out it only costs more.
        for each in itertools.takewhile(lambda each: np.isfinite(each.ratio), on_ray):
            found.append(each)
            # Back towards the best single gain every task's cost falls: the set of Definition 2 has an interior.
            if each.excess.min() >= MIN_EXCESS and (each.excess > nearer.excess).all():
                good.append(each)
                break
            nearer = each
    chosen = min(good, key=lambda each: each.ratio) if good else max(found, key=lambda each: float(each.excess.min()))
    return _rounded(tasks, chosen, best)


def _centre(tasks: LQRTasks) -> FloatArray:
    """The best single gain, or another one that stabilises all tasks."""
    try:
        return shared_gain(tasks).K
    except DescentError:
        return stabilising_gain(tasks)


def _directions(tasks: LQRTasks, centre: FloatArray) -> Iterator[FloatArray]:
    """Directions of length one; targets that are the centre itself have none."""
    targets = [np.zeros_like(centre)]
    for factor in HEAVIER:
        optima = optimal_gains(tasks.replace(R=factor * tasks.R)).K
        targets += [optima.mean(axis=0), *optima[:MAX_TARGETS]]
    for target in targets:
        if (size := float(np.linalg.norm(target - centre))) > 0.0:
            yield (target - centre) / size
    for entry in np.eye(centre.size).reshape(-1, *centre.shape):
        yield entry
        yield -entry


def _starting_gains(tasks: LQRTasks, gains: FloatArray, best: FloatArray) -> list[StartingGain]:
    """Gains (n, k, d) with their excess, infinite where they do not stabilise a task."""
    costs = cost(tiled(tasks, len(gains)), np.repeat(gains, tasks.count, axis=0)).reshape(len(gains), -1)
    # A task whose optimum costs nothing has an infinite excess, unless the gain costs nothing either.
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(costs == best, 0.0, costs / best - 1.0)
    ratios = (costs - best).sum(axis=1) / (best.sum() or 1.0)
    return [StartingGain(*each) for each in zip(gains, excess, ratios.tolist(), strict=True)]


def _rounded(tasks: LQRTasks, found: StartingGain, best: FloatArray) -> StartingGain:
    """The gain with few digits, if it has nearly the same excess."""
    visible = np.where(np.abs(found.K) > ROUNDING * np.abs(found.K).max(), found.K, 0.0)
    for digits in DIGITS:
        gain = np.array([float(f"{entry:.{digits}g}") for entry in visible.flat]).reshape(visible.shape)
        (rounded,) = _starting_gains(tasks, gain[np.newaxis], best)
        if np.allclose(rounded.excess, found.excess, rtol=0.1, atol=0.0):
            return rounded
    return found

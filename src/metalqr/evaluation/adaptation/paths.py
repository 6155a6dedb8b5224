"""Adaptation: gradient steps from starting gains on every task, with the exact cost of each gain on the way."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import real_array, whole_number
from metalqr.config.algorithm import MetaSettings
from metalqr.config.needs import EVALUATED_TOGETHER, PERTURBED_TOGETHER
from metalqr.lqr import FloatArray, LQRTasks, cost, gradient
from metalqr.optimal import optimal_gains
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.streams import Stream

Alive = NDArray[np.bool_]
#: Gradients (n, I, k, d) at gains (n, I, k, d) in one step; where a gain is not alive, any numbers.
_Gradients = Callable[[FloatArray, Alive, int], FloatArray]

# Entries of the state matrices that are evaluated together, and of the perturbed gains: these bound memory.
_MAX_BATCH, _MAX_PERTURBED = EVALUATED_TOGETHER, PERTURBED_TOGETHER


def adapt_exactly(tasks: LQRTasks, starts: ArrayLike, rates: ArrayLike, steps: int) -> FloatArray:
    r"""Costs along n paths of exact gradient steps on every task, shape (n, I, steps + 1).

    .. math:: K_i^{j+1} = K_i^j - \eta \nabla J_i(K_i^j), \qquad K_i^0 = K

    ``starts`` are n gains (n, k, d), and ``rates`` the step size :math:`\eta \ge 0` of each path (n,), or one number.
    The cost of a gain that does not stabilise its task is infinite, and so are those of all later steps: from there no
    gradient is taken. A start that is not finite is one of these.

    Raises
    ------
    ValueError
        If a shape does not fit, or a rate or the number of steps is negative.
    """

    def gradients(K: FloatArray, alive: Alive, step: int) -> FloatArray:
        found = np.zeros_like(K)
        found[alive] = _by_pair(gradient, tasks, K, alive)
        return found

    return _adapt(tasks, starts, rates, steps, gradients)


def adapt_by_rollouts(
    tasks: LQRTasks,
    starts: ArrayLike,
    rates: ArrayLike,
    steps: int,
    settings: MetaSettings,
    stream: Stream,
    stand_in: FloatArray | None = None,
) -> FloatArray:
    r"""Costs along paths of estimated gradient steps, exact costs of the shape of :func:`adapt_exactly`.

    The estimate :math:`\hat g_i` in place of :math:`\nabla J_i` is that of the outer layer of ``settings``:
    ``estimator``, ``perturbations``, ``smoothing_radius``, ``directions``, ``common_noise``, ``rollout_length``,
    ``precision``. Its random numbers at step j are those of ``stream.at(j)``, the same for all paths: paths differ by
    their start and rate alone. A gain that is unstable already is not simulated: a gain of ``stand_in`` (I, k, d), by
    default the optimum of the task, is in its place. An estimate that overflowed ends its path.

    Raises
    ------
    ValueError
        As :func:`adapt_exactly`, or if the estimator needs earlier iterations.
    """
    outer = settings.outer
    if outer.estimator.is_outer_only:
        raise ValueError(f"estimator: {settings.estimator} needs earlier iterations, which adaptation does not keep")
    simulator, every = LQRSimulator(tasks, settings.precision), np.arange(tasks.count)
    estimator = outer.estimator(settings)
    others = optimal_gains(tasks).K if stand_in is None else stand_in
    perturbed = tasks.count * outer.estimator.rollouts(outer.perturbations) * tasks.state_dim * tasks.action_dim
    together = max(1, _MAX_PERTURBED // perturbed)

    def gradients(K: FloatArray, alive: Alive, step: int) -> FloatArray:
        gains = np.where(alive[..., np.newaxis, np.newaxis], K, others).swapaxes(0, 1)
        # An unstable perturbed policy may overflow, and the estimate shows it.
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [
                estimator.gradients(simulator, np.ascontiguousarray(part), stream.at(step), every, part.shape[1])
                for first in range(0, len(K), together)
                for part in [gains[:, first : first + together]]
            ]
        return np.concatenate(parts, axis=1).swapaxes(0, 1)

    return _adapt(tasks, starts, rates, steps, gradients)


def _adapt(tasks: LQRTasks, starts: ArrayLike, rates: ArrayLike, steps: int, gradients: _Gradients) -> FloatArray:
    first, whole = real_array("starts", starts), whole_number("steps", steps, at_least=0)
    shape = (tasks.action_dim, tasks.state_dim)
    if first.ndim != 3 or first.shape[1:] != shape:
        raise ValueError(f"starts has shape {first.shape}, expected (n, {shape[0]}, {shape[1]})")
    rate = np.broadcast_to(real_array("rates", rates), len(first))[:, np.newaxis, np.newaxis, np.newaxis]
    if (rate < 0).any():
        raise ValueError(f"rates: {rate.min():g} is not >= 0")
    K = np.repeat(first[:, np.newaxis], tasks.count, axis=1)
    found = np.full((whole + 1, len(first), tasks.count), np.inf)
    for step in range(whole + 1):
        # Where a path has ended, K is not finite.
        alive: Alive = np.asarray(np.isfinite(K).all(axis=(2, 3)))
        found[step][alive] = _by_pair(cost, tasks, K, alive)
        alive &= np.isfinite(found[step])
        if step == whole or not alive.any():
            break
        with np.errstate(over="ignore", invalid="ignore"):
            moved = K - rate * gradients(K, alive, step)
        K = np.where(alive[..., np.newaxis, np.newaxis], moved, np.nan)
    return np.moveaxis(found, 0, -1)


def _by_pair(
    quantity: Callable[[LQRTasks, FloatArray], FloatArray], tasks: LQRTasks, K: FloatArray, alive: Alive
) -> FloatArray:
    """A quantity at each gain that is alive, in the order of ``K[alive]``."""
    gains, of_task = K[alive], np.nonzero(alive)[1]
    size = max(1, _MAX_BATCH // tasks.state_dim**2)
    parts = [
        quantity(tasks.subset(of_task[start : start + size]), gains[start : start + size])
        for start in range(0, len(gains), size)
    ]
    return np.concatenate(parts) if parts else np.empty(0)

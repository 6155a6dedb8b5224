"""What the theory promises of a run, iteration by iteration: stabilising policies, and costs that fall (Theorem 1)."""

import enum
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import methods
from metalqr.estimators import estimate_gradient
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.simulation.streams import Stream, Use

#: How far rounding may put a cost above that of K_0, relative to it, in the same place.
ROUNDING = 1e-12
#: State matrices that are looked at together, to bound the memory.
_LARGEST_BATCH = 400_000


class Promise(enum.StrEnum):
    """What Definitions 1 and 2 ask for and Theorem 1 promises at every iteration, each for all tasks at once."""

    STABILISING = "stabilising"
    """K_n stabilises every task."""
    PERTURBED_STABILISING = "perturbed_stabilising"
    """Every perturbed policy K_n + U_m of Algorithm 2 stabilises its task."""
    MAML_STABILISING = "maml_stabilising"
    """Definition 1: K_n and its exact adaptation to every task, K_n - eta grad J_i(K_n), stabilise that task."""
    ADAPTED_STABILISING = "adapted_stabilising"
    """K_n^i of Theorem 1, the adaptation by an estimate of Algorithm 1, stabilises task i."""
    IN_SUBLEVEL_SET = "in_sublevel_set"
    """Definition 2 with gamma = 1: J_i(K_n) <= J_i(K_0)."""
    ADAPTED_IN_SUBLEVEL_SET = "adapted_in_sublevel_set"
    """J_i(K_n^i) <= J_i(K_0) for the adaptation to each task."""
    MEAN_COST_FALLS = "mean_cost_falls"
    """The mean cost, and with it the mean gap to the optima, is lower than an iteration before."""
    OBJECTIVE_FALLS = "objective_falls"
    """The meta-objective L is lower than an iteration before."""
    EVERY_COST_FALLS = "every_cost_falls"
    """The cost of each single task is lower than an iteration before."""


@dataclass(frozen=True)
class Record:
    """How a run kept one promise.

    Parameters
    ----------
    promise : Promise
    checked : int
        At how many iterations it could be looked at: a fall not at the first, perturbed policies not where the run made
        no estimate.
    share : float
        At which share of these it was kept; not a number if there are none.
    first_broken : int or None
        The first iteration at which it was not.
    """

    promise: Promise
    checked: int
    share: float
    first_broken: int | None


@dataclass(frozen=True, eq=False)
class Stability:
    r"""What was found along a run of n + 1 gains; a cost is infinite where the policy does not stabilise the task.

    Parameters
    ----------
    spectral_radius : array, shape (n + 1, I)
        :math:`\rho(A_i - B_i K_n)`.
    cost : array, shape (n + 1, I)
        :math:`J_i(K_n)`.
    exactly_adapted_cost : array, shape (n + 1, I)
        :math:`J_i(K_n - \eta \nabla J_i(K_n))`; infinite where :math:`K_n` itself does not stabilise task i.
    adapted_cost : array, shape (n + 1, I)
        :math:`J_i(K_n^i)`, with :math:`K_n^i = K_n - \eta \tilde\nabla J_i(K_n)` of Theorem 1.
    mean_cost, objective : array, shape (n + 1,)
        :math:`\sum_i p_i J_i(K_n)` and :math:`L(K_n)`; tasks of probability zero do not count.
    unstable_share : array, shape (n + 1,)
        Share of the perturbed policies :math:`K_n + U_m` that did not stabilise their task; not a number where the run
        made no estimate.
    mean_cost_rise, objective_rise : float
        Largest rise in one step, relative to the value before it; 0 if it never rose.
    cost_rise : array, shape (I,)
        The same of each task's cost.
    records : tuple of Record
        One for each :class:`Promise`, in its order.
    """

    spectral_radius: FloatArray
    cost: FloatArray
    exactly_adapted_cost: FloatArray
    adapted_cost: FloatArray
    mean_cost: FloatArray
    objective: FloatArray
    unstable_share: FloatArray
    mean_cost_rise: float
    objective_rise: float
    cost_rise: FloatArray
    records: tuple[Record, ...]

    def record(self, promise: Promise) -> Record:
        """The record of one promise."""
        return self.records[list(Promise).index(promise)]


def check(
    tasks: LQRTasks,
    K0: ArrayLike,
    K: ArrayLike,
    unstable_perturbations: ArrayLike,
    gradient_norm: ArrayLike,
    settings: MetaSettings,
    seed: int,
) -> Stability:
    r"""Look at every iteration of a training run for what Definitions 1 and 2 and Theorem 1 say about it.

    Theorem 1: with high probability every :math:`K_n` and every :math:`K_n^i = K_n - \eta \tilde\nabla J_i(K_n)` is in
    the sub-level set of :math:`K_0`, and the mean gap to the optima falls at every step. The estimates in
    :math:`K_n^i` are drawn afresh, from streams of the run's seed that the run itself does not use.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        The initial gain, stabilising for every task.
    K : array_like, shape (n + 1, k, d)
        The gains of the run, as in :class:`metalqr.training.History`. The last may be unstable.
    unstable_perturbations, gradient_norm : array_like, shape (n + 1,)
        Of the run; where the norm is not a number the run made no estimate.
    settings : MetaSettings
        Settings of the run.
    seed : int
        Seed of the run.

    Returns
    -------
    Stability

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task.
    ValueError
        If an array has an impossible shape or value, or the run began at another gain than K0.
    """
    initial = common_gain(tasks, K0, "K0")
    initial_cost = lqr.evaluate(tasks, initial).cost()
    gains = _gains(initial, K)
    unstable, norms = np.asarray(unstable_perturbations), np.asarray(gradient_norm, dtype=float)
    for name, array in (("unstable_perturbations", unstable), ("gradient_norm", norms)):
        if array.shape != (len(gains),):
            raise ValueError(f"{name} has shape {array.shape}, expected ({len(gains)},): one for each gain")
    perturbed = methods.get(settings.method).work(tasks.count, settings).tried
    if not ((unstable >= 0) & (unstable <= perturbed)).all():
        raise ValueError(
            f"unstable_perturbations is from {unstable.min()} to {unstable.max()}, but an estimate with these settings "
            f"has {perturbed} perturbed policies; give the settings of the run"
        )

    radius, cost, exactly_adapted = _exact(tasks, gains, initial, settings.adaptation_rate)
    adapted = _adapted(tasks, gains, settings, seed)
    likely = tasks.p > 0
    mean_cost, objective = (values[:, likely] @ tasks.p[likely] for values in (cost, exactly_adapted))
    share = np.where(np.isnan(norms) | (perturbed == 0), np.nan, unstable / max(perturbed, 1))
    limit = initial_cost * (1.0 + ROUNDING)
    kept = {
        Promise.STABILISING: np.isfinite(cost).all(axis=1),
        Promise.PERTURBED_STABILISING: np.where(np.isnan(share), np.nan, share == 0),
        Promise.MAML_STABILISING: np.isfinite(cost + exactly_adapted).all(axis=1),
        Promise.ADAPTED_STABILISING: np.isfinite(adapted).all(axis=1),
        Promise.IN_SUBLEVEL_SET: (cost <= limit).all(axis=1),
        Promise.ADAPTED_IN_SUBLEVEL_SET: (adapted <= limit).all(axis=1),
        Promise.MEAN_COST_FALLS: _falls(mean_cost[:, np.newaxis]),
        Promise.OBJECTIVE_FALLS: _falls(objective[:, np.newaxis]),
        Promise.EVERY_COST_FALLS: _falls(cost),
    }
    return Stability(
        spectral_radius=radius,
        cost=cost,
        exactly_adapted_cost=exactly_adapted,
        adapted_cost=adapted,
        mean_cost=mean_cost,
        objective=objective,
        unstable_share=share,
        mean_cost_rise=float(_largest_rise(mean_cost)),
        objective_rise=float(_largest_rise(objective)),
        cost_rise=_largest_rise(cost),
        records=tuple(_record(promise, np.asarray(kept[promise], dtype=float)) for promise in Promise),
    )


def _gains(initial: FloatArray, K: ArrayLike) -> FloatArray:
    gains = np.asarray(K, dtype=np.float64)
    if gains.ndim != 3 or gains.shape[1:] != initial.shape or not len(gains):
        action_dim, state_dim = initial.shape
        raise ValueError(f"K has shape {gains.shape}, expected (n + 1, {action_dim}, {state_dim}): the gains of a run")
    if not np.isfinite(gains).all():
        raise ValueError("K holds a value that is not finite; give the gains of a run")
    if not np.array_equal(gains[0], initial):
        raise ValueError("the run began at another gain than K0; give the K0 that it was trained from")
    return gains


def _exact(
    tasks: LQRTasks, gains: FloatArray, initial: FloatArray, rate: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Spectral radius and cost of every gain, and cost after its exact adaptation, each of shape (n, I)."""
    found = []
    size = max(1, _LARGEST_BATCH // (tasks.count * tasks.state_dim**2))
    for start in range(0, len(gains), size):
        chunk = gains[start : start + size]
        batch, points = lqr.tiled(tasks, len(chunk)), np.repeat(chunk, tasks.count, axis=0)
        gradient = lqr.where_stabilising(functools.partial(lqr.gradient, batch), points, initial)
        values = lqr.spectral_radius(batch, points), lqr.cost(batch, points), _cost(batch, points - rate * gradient)
        found.append(np.stack(values).reshape(3, len(chunk), tasks.count))
    radius, cost, exactly_adapted = np.concatenate(found, axis=1)
    return radius, cost, exactly_adapted


def _adapted(tasks: LQRTasks, gains: FloatArray, settings: MetaSettings, seed: int) -> FloatArray:
    """Cost of every gain after its adaptation by Algorithm 1, shape (n, I)."""
    costs = np.empty((len(gains), tasks.count))
    stream = Stream(seed, use=Use.STABILITY)
    for iteration, gain in enumerate(gains):
        # Roll-outs of an unstable policy may overflow; that is seen in the cost.
        with np.errstate(over="ignore", invalid="ignore"):
            estimate = estimate_gradient(tasks, gain, settings, stream.at(iteration))
            adapted = gain - settings.adaptation_rate * estimate
        costs[iteration] = _cost(tasks, adapted)
    return costs


def _cost(tasks: LQRTasks, gains: FloatArray) -> FloatArray:
    """Cost of gains (I, k, d), infinite also where a gain is not finite."""
    finite = np.asarray(np.isfinite(gains).all(axis=(1, 2)))
    return np.where(finite, lqr.cost(tasks, np.where(finite[:, np.newaxis, np.newaxis], gains, 0.0)), np.inf)


def _falls(values: FloatArray) -> FloatArray:
    """Whether all the values (n, m) are lower than an iteration before, 1 or 0; not a number at the first iteration."""
    return np.append(np.nan, (values[1:] < values[:-1]).all(axis=1))


def _largest_rise(values: FloatArray) -> Any:
    """Largest rise of values (n, ...) in one step, relative to the value before it."""
    # From infinite to infinite is no rise; a run ends at its first unstable gain, but adapted ones may be between.
    with np.errstate(invalid="ignore"):
        rises = values[1:] / values[:-1] - 1.0
    return np.max(np.nan_to_num(rises, nan=0.0, posinf=np.inf), axis=0, initial=0.0)


def _record(promise: Promise, kept: FloatArray) -> Record:
    """From 1 where it was kept, 0 where it was not, and not a number where it was not looked at."""
    checked = ~np.isnan(kept)
    broken = np.flatnonzero(checked & (kept == 0))
    return Record(
        promise=promise,
        checked=int(checked.sum()),
        share=float(kept[checked].mean()) if checked.any() else np.nan,
        first_broken=int(broken[0]) if broken.size else None,
    )

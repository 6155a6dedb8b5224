"""Check of the guarantees of the theory along a run: stabilising policies, and costs that fall (Theorem 1)."""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr import lqr
from metalqr.common.validation import finite_array, real_array
from metalqr.config.algorithm import MetaSettings
from metalqr.estimators import estimate_gradient
from metalqr.evaluation.stability import Guarantee, GuaranteeCheck, Stability
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.simulation.streams import Stream, Use
from metalqr.training.method import tried_policies

#: Relative excess of a cost over that of K_0 that counts as rounding.
ROUNDING = 1e-12
#: Entries of the state matrices of a batch, which bound its memory.
_MAX_BATCH = 400_000


def check(
    tasks: LQRTasks,
    K0: ArrayLike,
    K: FloatArray,
    unstable_perturbations: ArrayLike,
    gradient_norm: ArrayLike,
    settings: MetaSettings,
    seed: int,
) -> Stability:
    r"""Check every iteration of a training run against Definitions 1 and 2 and Theorem 1.

    Theorem 1: with high probability every :math:`K_n` and every :math:`K_n^i = K_n - \eta \tilde\nabla J_i(K_n)` is in
    the sub-level set of :math:`K_0`, and the mean gap to the optima falls at every step. The estimates in
    :math:`K_n^i` are drawn afresh, from streams of the run's seed that the run itself does not use.

    K (n + 1, k, d), which begins with K0, and ``unstable_perturbations`` and ``gradient_norm`` (n + 1,) are those of
    the run with these settings and this seed, as in :class:`metalqr.training.History`. The last gain may be unstable;
    where the norm is NaN the run made no estimate.

    Raises
    ------
    UnstablePolicyError
        If K0 does not stabilise every task.
    ValueError
        If an array has an impossible shape or value, or the run started from a gain other than K0.
    """
    initial = common_gain(tasks, K0, "K0")
    initial_cost = lqr.evaluate(tasks, initial).cost()
    action_dim, state_dim = initial.shape
    expected = f"(n + 1, {action_dim}, {state_dim}): the gains of a run"
    gains = finite_array("K", K, expected, (max(1, len(K)), action_dim, state_dim))
    if not np.array_equal(gains[0], initial):
        raise ValueError("the run started from a gain other than K0; give the K0 that it was trained from")
    unstable, norms = np.asarray(unstable_perturbations), real_array("gradient_norm", gradient_norm)
    for name, array in (("unstable_perturbations", unstable), ("gradient_norm", norms)):
        if array.shape != (len(gains),):
            raise ValueError(f"{name} has shape {array.shape}, expected ({len(gains)},): one for each gain")
    perturbed = tried_policies(tasks.count, settings, len(gains))
    if not ((unstable >= 0) & (unstable <= perturbed)).all():
        raise ValueError(
            f"unstable_perturbations is from {unstable.min()} to {unstable.max()}, but an estimate with these settings "
            f"has {perturbed.max(initial=0)} perturbed policies; give the settings of the run"
        )

    radius, cost, exactly_adapted = _exact(tasks, gains, initial, settings.adaptation_rate)
    adapted = _adapted(tasks, gains, settings, seed)
    mean_cost, objective = (values @ tasks.p for values in (cost, exactly_adapted))
    share = np.where(np.isnan(norms) | (perturbed == 0), np.nan, unstable / np.maximum(perturbed, 1))
    limit = initial_cost * (1.0 + ROUNDING)
    holds = {
        Guarantee.STABILISING: np.isfinite(cost).all(axis=1),
        Guarantee.PERTURBED_STABILISING: np.where(np.isnan(share), np.nan, share == 0),
        Guarantee.MAML_STABILISING: np.isfinite(cost + exactly_adapted).all(axis=1),
        Guarantee.ADAPTED_STABILISING: np.isfinite(adapted).all(axis=1),
        Guarantee.IN_SUBLEVEL_SET: (cost <= limit).all(axis=1),
        Guarantee.ADAPTED_IN_SUBLEVEL_SET: (adapted <= limit).all(axis=1),
        Guarantee.MEAN_COST_FALLS: _falls(mean_cost[:, np.newaxis]),
        Guarantee.OBJECTIVE_FALLS: _falls(objective[:, np.newaxis]),
        Guarantee.EVERY_COST_FALLS: _falls(cost),
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
        checks=tuple(_check(guarantee, np.asarray(holds[guarantee], dtype=float)) for guarantee in Guarantee),
    )


def _exact(
    tasks: LQRTasks, gains: FloatArray, initial: FloatArray, rate: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Spectral radius and cost of every gain, and cost after its exact adaptation, each of shape (n, I)."""
    found = []
    size = max(1, _MAX_BATCH // (tasks.count * tasks.state_dim**2))
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
        # Rollouts of an unstable policy may overflow; the cost shows it.
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
    """1 where all the values (n, m) are lower than an iteration before, otherwise 0; NaN at the first iteration."""
    return np.append(np.nan, (values[1:] < values[:-1]).all(axis=1))


def _largest_rise(values: FloatArray) -> Any:
    """Largest rise of values (n, ...) in one step, relative to the value before it."""
    # From infinite to infinite is not a rise; a run ends at its first unstable gain, but adapted ones may be between.
    with np.errstate(invalid="ignore"):
        rises = values[1:] / values[:-1] - 1.0
    return np.max(np.nan_to_num(rises, nan=0.0, posinf=np.inf), axis=0, initial=0.0)


def _check(guarantee: Guarantee, holds: FloatArray) -> GuaranteeCheck:
    """From 1 where it holds, 0 where it does not, and NaN where it was not checked."""
    violations = np.flatnonzero(holds == 0)
    checked = holds[~np.isnan(holds)]
    return GuaranteeCheck(
        guarantee,
        checked=len(checked),
        share=float(checked.mean()) if checked.size else np.nan,
        first_violation=int(violations[0]) if violations.size else None,
    )

r"""Benefit of meta-learning, exact: one gradient step from the optimum of L, against one from the best single gain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.evaluation.adaptation.measures import is_relative
from metalqr.lqr import FloatArray, LQRTasks, common_gain, cost
from metalqr.objectives.meta import MetaObjective, adapted_cost, is_maml_stabilising
from metalqr.optimal import DescentError, meta_gain, optimal_gains, shared_gain
from metalqr.optimal.learnability import largest_adaptation_rate
from metalqr.optimal.stabilising import candidate_gains

#: The adaptation rates among which the largest is chosen: forty in each factor of ten.
RATES = np.geomspace(1e-16, 1e16, 1281)
#: The gains of a comparison, in the order of its arrays; then the steps that are taken from them.
STARTS = ("best_single_gain", "meta_optimum")
STEPS = (0, 1)
#: A gain is better if its L is lower by more than this part.
BETTER = 1e-9
#: Rounds in which every optimum is compared with all others.
MAX_ROUNDS = 5
#: Times that a step of the continuation is halved.
MAX_HALVINGS = 12


class NoRelativeGapError(ValueError):
    """The optimum of a task costs nothing, so that no gap is relative to it."""


@dataclass(frozen=True, eq=False)
class MetaGains(ReadOnlyArrays):
    r"""Minima of the meta-objective at several adaptation rates, and how they were reached.

    Attributes
    ----------
    rates : ndarray, shape (E,)
        :math:`\eta`.
    K : ndarray, shape (E, k, d)
        :math:`K^*_L(\eta)`.
    objective : ndarray, shape (E,)
        :math:`L(K^*_L(\eta); \eta)`.
    restarts : ndarray of int, shape (E,)
        Times that the descent began again from a better gain than its end.
    better_seen : ndarray of bool, shape (E,)
        True where a gain is known that is better than the result, because the descent from there failed.
    failures : tuple of str
        For each rate the reason why the continuation did not reach it, empty where it did. Gain and objective of one
        that was not reached are NaN.
    """

    rates: FloatArray
    K: FloatArray
    objective: FloatArray
    restarts: NDArray[np.int64]
    better_seen: NDArray[np.bool_]
    failures: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MetaBenefit(ReadOnlyArrays):
    r"""Relative gap of every task before and after one exact step, by the gain from which it starts.

    .. math:: \frac{J_i(K) - J_i^*}{J_i^*}, \qquad \frac{J_i(K - \eta \nabla J_i(K)) - J_i^*}{J_i^*}

    It is infinite where K, or the gain after the step, does not stabilise the task, and NaN at a rate that the
    continuation did not reach.

    Attributes
    ----------
    meta : MetaGains
        The optima of L on the training tasks, at E rates.
    shared : ndarray, shape (k, d)
        The best single gain of the training tasks.
    largest_rate : float
        See :func:`largest_rate`.
    training : ndarray, shape (E, 2, 2, I)
        Gaps of the training tasks, from each of ``STARTS``, after each of ``STEPS``.
    unseen : ndarray, shape (E, 2, 2, V)
        The same of unseen tasks.
    """

    meta: MetaGains
    shared: FloatArray
    largest_rate: float
    training: FloatArray
    unseen: FloatArray


def meta_benefit(training: LQRTasks, unseen: LQRTasks, shares: Sequence[float]) -> MetaBenefit:
    r"""Compare one exact step from the optimum of L with one from the best single gain.

    Parameters
    ----------
    training : LQRTasks
        The tasks for which the two gains are best.
    unseen : LQRTasks
        Further tasks, see :func:`metalqr.systems.further.further_tasks`.
    shares : sequence of float
        :math:`\eta / \eta_{max}` of the comparison, see :func:`largest_rate`.

    Returns
    -------
    MetaBenefit

    Raises
    ------
    NotStabilisableError, NoCommonStabilisingGainError
        If no gain stabilises all training tasks.
    DescentError
        If the best single gain is not found, or no optimum of L.
    NoRelativeGapError
        If the optimum of a task costs nothing.
    """
    shared = shared_gain(training).K
    largest = largest_rate(training, shared)
    meta = meta_gains(training, [share * largest for share in shares], shared)
    return MetaBenefit(meta, shared, largest, *(_gaps(tasks, meta, shared) for tasks in (training, unseen)))


def _gaps(tasks: LQRTasks, meta: MetaGains, shared: FloatArray) -> FloatArray:
    """Gaps of one set of tasks, (E, 2, 2, I)."""
    optima = optimal_gains(tasks).cost
    if not is_relative(optima, cost(tasks, shared)):
        raise NoRelativeGapError("the optimum of a task costs nothing, so that no gap is relative to it")
    gaps = np.full((len(meta.rates), len(STARTS), len(STEPS), tasks.count), np.nan)
    for place, (rate, K) in enumerate(zip(meta.rates, meta.K, strict=True)):
        if not meta.failures[place]:
            gaps[place] = [[adapted_gap(tasks, start, step * rate, optima) for step in STEPS] for start in (shared, K)]
    return gaps


def largest_rate(tasks: LQRTasks, K: ArrayLike, rates: ArrayLike = RATES) -> float:
    r"""Largest adaptation rate of a grid up to which a gain is MAML-stabilising for all tasks: :math:`\eta_{max}`.

    By default the grid has forty rates in each factor of ten, so that a figure can state the rate in few digits;
    :func:`metalqr.optimal.learnability.largest_adaptation_rate` is the limit itself.

    Raises
    ------
    ValueError
        If no rate of the grid is small enough.
    """
    limit = largest_adaptation_rate(tasks, common_gain(tasks, K))
    possible = np.sort(np.asarray(rates, dtype=np.float64))
    possible = possible[possible < limit]
    if not possible.size:
        raise ValueError(f"rates: none is below {limit:.6g}, up to which the gain is MAML-stabilising; add lower ones")
    return float(possible[-1])


def adapted_gap(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, optimal_cost: FloatArray) -> FloatArray:
    """Relative gap of every task after one exact gradient step from a gain for all, infinite where it is unstable.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
    optimal_cost : ndarray, shape (I,)
        The costs of the tasks' own optima, which must not be zero.

    Returns
    -------
    ndarray, shape (I,)
    """
    return adapted_cost(tasks, K, adaptation_rate) / optimal_cost - 1.0


def meta_gains(tasks: LQRTasks, rates: Sequence[float], shared: ArrayLike | None = None) -> MetaGains:
    r"""Minima of the meta-objective at several adaptation rates, by continuation from :math:`\eta = 0`.

    The descent at each rate starts from the optimum at the rate before, and at the first rate from the best single
    gain, the optimum for :math:`\eta = 0`. Where that start is not MAML-stabilising, the step of the rate is halved.
    L is not convex: then every optimum is compared, at its rate, with those of all other rates, the best single gain
    and every task's optimum, and its descent is repeated from the best of these if that is better.

    Parameters
    ----------
    tasks : LQRTasks
    rates : sequence of float
        :math:`\eta`, in any order.
    shared : array_like, shape (k, d), optional
        The best single gain, if it is known.

    Returns
    -------
    MetaGains
        In the order of the rates.

    Raises
    ------
    DescentError
        If the continuation reaches none of the rates.
    """
    first = shared_gain(tasks).K if shared is None else common_gain(tasks, shared, "shared")
    order = np.argsort(rates)
    gains: dict[int, FloatArray] = {}
    failures = [""] * len(rates)
    K, before = first, 0.0
    for number, place in enumerate(order.tolist()):
        try:
            K = _continued(tasks, K, before, float(rates[place]))
        except DescentError as error:
            if not gains:
                raise
            for later in order[number:].tolist():  # the way to which leads through this one
                failures[later] = str(error)
            break
        gains[place], before = K, float(rates[place])
    restarts, better_seen = _restarted(tasks, rates, gains, [first, *candidate_gains(tasks).values()])
    found = np.stack([gains.get(place, np.full(first.shape, np.nan)) for place in range(len(rates))])
    objectives = np.full(len(rates), np.nan)
    for place, K in gains.items():
        objectives[place] = MetaObjective(tasks, float(rates[place])).value(K)
    return MetaGains(np.array(rates, dtype=np.float64), found, objectives, restarts, better_seen, tuple(failures))


def _restarted(
    tasks: LQRTasks, rates: Sequence[float], gains: dict[int, FloatArray], others: list[FloatArray]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Replace gains, by place of the rate, with better optima; the restarts, and where a better gain is left."""
    restarts, better_seen = np.zeros(len(rates), dtype=np.int64), np.zeros(len(rates), dtype=bool)
    for _ in range(MAX_ROUNDS):
        changed = False
        for place in sorted(gains):
            objective = MetaObjective(tasks, float(rates[place]))
            best = min([*gains.values(), *others], key=objective.value)
            better_seen[place] = objective.value(best) < objective.value(gains[place]) * (1.0 - BETTER)
            if better_seen[place]:
                try:
                    again = meta_gain(tasks, float(rates[place]), start=best)
                except DescentError:
                    continue
                gains[place], better_seen[place], changed = again.K, False, True
                restarts[place] += 1
        if not changed:
            break
    return restarts, better_seen


def _continued(tasks: LQRTasks, K: FloatArray, before: float, rate: float) -> FloatArray:
    """The optimum at a rate, from that at a lower one."""
    step = rate - before
    for _ in range(MAX_HALVINGS):
        target = min(before + step, rate)
        if is_maml_stabilising(tasks, K, target):
            K, before = meta_gain(tasks, target, start=K).K, target
            if target == rate:
                return K
        else:
            step *= 0.5
    raise DescentError(
        f"the optimum of L at the adaptation rate {rate:.6g} was not reached by continuation, which ended at "
        f"{before:.6g}; lower the rate"
    )

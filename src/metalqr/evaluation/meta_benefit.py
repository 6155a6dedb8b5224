r"""Benefit of meta-learning, exact: one gradient step from the optimum of L, against one from the best single gain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.objectives.meta import MetaObjective, adapted_cost, is_maml_stabilising
from metalqr.optimal import DescentError, meta_gain, optimal_gains, shared_gain
from metalqr.optimal.learnability import largest_adaptation_rate
from metalqr.optimal.stabilising import candidate_gains

#: The adaptation rates among which the largest is chosen: forty in each factor of ten.
RATES = np.geomspace(1e-8, 1e4, 481)
#: A gain is better if its L is lower by more than this part.
BETTER = 1e-9
#: Rounds in which every optimum is compared with all others.
MAX_ROUNDS = 5
#: Times that a step of the continuation is halved.
MAX_HALVINGS = 12


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
    """

    rates: FloatArray
    K: FloatArray
    objective: FloatArray
    restarts: NDArray[np.int64]
    better_seen: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MetaBenefit(ReadOnlyArrays):
    r"""Relative gap of every task after one exact step, by the gain from which it starts.

    .. math:: \frac{J_i(K - \eta \nabla J_i(K)) - J_i^*}{J_i^*}

    It is infinite where K, or the gain after the step, does not stabilise the task.

    Attributes
    ----------
    meta : MetaGains
        The optima of L on the training tasks, at E rates.
    shared : ndarray, shape (k, d)
        The best single gain of the training tasks.
    largest_rate : float
        See :func:`largest_rate`.
    training_meta, training_shared : ndarray, shape (E, I)
        On the training tasks, from :math:`K^*_L(\eta)` and from the best single gain.
    unseen_meta, unseen_shared : ndarray, shape (E, V)
        The same on unseen tasks.
    """

    meta: MetaGains
    shared: FloatArray
    largest_rate: float
    training_meta: FloatArray
    training_shared: FloatArray
    unseen_meta: FloatArray
    unseen_shared: FloatArray


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
        If the best single gain is not found, or an optimum of L.
    """
    shared = shared_gain(training).K
    largest = largest_rate(training, shared)
    meta = meta_gains(training, [share * largest for share in shares], shared)
    gaps = {}
    for name, tasks in (("training", training), ("unseen", unseen)):
        optima = optimal_gains(tasks).cost
        steps = list(zip(meta.rates, meta.K, strict=True))
        gaps[f"{name}_meta"] = np.array([adapted_gap(tasks, K, rate, optima) for rate, K in steps])
        gaps[f"{name}_shared"] = np.array([adapted_gap(tasks, shared, rate, optima) for rate, _ in steps])
    return MetaBenefit(meta=meta, shared=shared, largest_rate=largest, **gaps)


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
        If the continuation does not reach a rate.
    """
    first = shared_gain(tasks).K if shared is None else common_gain(tasks, shared, "shared")
    order = np.argsort(rates)
    gains: dict[int, FloatArray] = {}
    K, before = first, 0.0
    for place in order.tolist():
        K = _continued(tasks, K, before, float(rates[place]))
        gains[place], before = K, float(rates[place])
    found = [gains[place] for place in range(len(rates))]
    restarts, better_seen = np.zeros(len(rates), dtype=np.int64), np.zeros(len(rates), dtype=bool)
    others = [first, *candidate_gains(tasks).values()]
    for _ in range(MAX_ROUNDS):
        changed = False
        for place, rate in enumerate(rates):
            objective = MetaObjective(tasks, float(rate))
            best = min([*found, *others], key=objective.value)
            better_seen[place] = objective.value(best) < objective.value(found[place]) * (1.0 - BETTER)
            if better_seen[place]:
                try:
                    again = meta_gain(tasks, float(rate), start=best)
                except DescentError:
                    continue
                found[place], better_seen[place], changed = again.K, False, True
                restarts[place] += 1
        if not changed:
            break
    objectives = np.array([MetaObjective(tasks, float(rate)).value(K) for rate, K in zip(rates, found, strict=True)])
    return MetaGains(np.array(rates, dtype=np.float64), np.stack(found), objectives, restarts, better_seen)


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

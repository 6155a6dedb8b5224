"""The meta-objective, one step of adaptation included, and its exact gradient (Section 3.2 of the paper)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import (
    FloatArray,
    LQRTasks,
    PolicyEvaluation,
    UnstablePolicyError,
    common_gain,
    cost,
    finite_horizon_gradient,
    finite_horizon_hessian_vector_product,
    gains_per_task,
    is_stabilising,
)


def objective(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> float:
    r"""Meta-objective, equation (4).

    .. math:: L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K)),

    and :math:`+\infty` where K or an adapted gain does not stabilise its task; tasks of probability zero do not count.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
        The meta-policy, one gain for all tasks.
    adaptation_rate : float
        :math:`\eta \ge 0`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If K has another shape or the adaptation rate is not a finite number >= 0.
    """
    likely = tasks.likely()
    try:
        adapted = adapted_gains(likely, K, adaptation_rate)
    except UnstablePolicyError:
        return float("inf")
    return float(likely.p @ cost(likely, adapted))


def gradient(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Exact gradient of the meta-objective.

    .. math:: \nabla L(K) = \sum_i p_i (I - \eta \nabla^2 J_i(K)) [\nabla J_i(K - \eta \nabla J_i(K))],

    where the Hessian acts as an operator on gains; its self-adjointness enters here. As for :func:`objective`, tasks of
    probability zero do not count.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
        :math:`\eta \ge 0`.

    Returns
    -------
    array, shape (k, d)

    Raises
    ------
    UnstablePolicyError
        If K, or K after its adaptation to a task, does not stabilise that task.
    ValueError
        If K has another shape or the adaptation rate is not a finite number >= 0.
    """
    tasks = tasks.likely()
    return np.asarray(np.tensordot(tasks.p, task_gradients(tasks, common_gain(tasks, K), adaptation_rate), axes=1))


def task_gradients(
    tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, rollout_length: int | None = None
) -> FloatArray:
    r"""Exact gradient of every task's part of the meta-objective, :math:`J_i(K - \eta \nabla J_i(K))`.

    .. math:: (I - \eta \nabla^2 J_i(K)) [\nabla J_i(K - \eta \nabla J_i(K))]

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
        One gain for all tasks, or one for each.
    adaptation_rate : float
        :math:`\eta \ge 0`.
    rollout_length : int, optional
        With it, all costs are those of roll-outs of that many steps, :math:`J_i^{(\ell)}`, which exist for every gain.

    Returns
    -------
    array, shape (I, k, d)
        For finite roll-outs, not finite where an unstable policy leaves the range of double precision.

    Raises
    ------
    UnstablePolicyError
        If, without a roll-out length, K, or K after its adaptation to a task, does not stabilise that task.
    ValueError
        If K has another shape, the adaptation rate is not a finite number >= 0, or the length no whole number >= 1.
    """
    gains, rate = gains_per_task(tasks, K), _checked_rate(adaptation_rate)
    if rollout_length is None:
        evaluation = PolicyEvaluation(tasks, gains)
        adapted = _adapted(gains, rate, evaluation)
        after = PolicyEvaluation(tasks, adapted, policy="the adapted gain K - adaptation_rate * gradient").gradient()
        return after - rate * evaluation.hessian_vector_product(after)
    with np.errstate(over="ignore", invalid="ignore"):
        adapted = gains - rate * finite_horizon_gradient(tasks, gains, rollout_length)
        after, known = _where_finite(lambda gain: finite_horizon_gradient(tasks, gain, rollout_length), adapted)
        curved, known_too = _where_finite(
            lambda X: finite_horizon_hessian_vector_product(tasks, gains, X, rollout_length), after
        )
        return np.where(known & known_too, after - rate * curved, np.nan)


def adapted_gains(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Every task's gain after one exact gradient step, :math:`K - \eta \nabla J_i(K)`, stabilising or not.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
        :math:`\eta \ge 0`.

    Returns
    -------
    array, shape (I, k, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task: it has no gradient there.
    ValueError
        If K has another shape or the adaptation rate is not a finite number >= 0.
    """
    K, rate = _checked(tasks, K, adaptation_rate)
    return _adapted(K, rate, PolicyEvaluation(tasks, K))


def adapted_cost(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Every task's cost after one exact gradient step, :math:`J_i(K - \eta \nabla J_i(K))`.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
        :math:`\eta \ge 0`.

    Returns
    -------
    array, shape (I,)
        ``inf`` where K or the adapted gain does not stabilise the task.

    Raises
    ------
    ValueError
        If K has another shape or the adaptation rate is not a finite number >= 0.
    """
    K, rate = _checked(tasks, K, adaptation_rate)
    costs = np.full(tasks.count, np.inf)
    stable = np.flatnonzero(np.isfinite(cost(tasks, K)))
    if stable.size:
        part = LQRTasks(*(getattr(tasks, name)[stable] for name in ("A", "B", "Q", "R", "Psi")))
        costs[stable] = cost(part, adapted_gains(part, K, rate))
    return costs


def is_maml_stabilising(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> bool:
    r"""Whether K is MAML-stabilising (Definition 1): it stabilises every task before and after the adaptation.

    .. math:: \rho(A_i - B_i K) < 1 \text{ and } \rho(A_i - B_i (K - \eta \nabla J_i(K))) < 1 \text{ for all } i.

    Every task counts, also one of probability zero.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d)
    adaptation_rate : float
        :math:`\eta \ge 0`.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If K has another shape or is not finite, or the adaptation rate is not a finite number >= 0.
    """
    try:
        return bool(is_stabilising(tasks, adapted_gains(tasks, K, adaptation_rate)).all())
    except UnstablePolicyError:
        return False


def _adapted(K: FloatArray, rate: float, evaluation: PolicyEvaluation) -> FloatArray:
    # A step beyond the range of doubles leads to the largest of them, and so to instability all the same.
    largest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        return np.clip(K - rate * evaluation.gradient(), -largest, largest)


def _where_finite(
    function: Callable[[FloatArray], FloatArray], arguments: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The function of the arguments, with zero in place of those that are not finite, and which are (I, 1, 1)."""
    finite = np.asarray(np.isfinite(arguments).all(axis=(1, 2), keepdims=True))
    return function(np.where(finite, arguments, 0.0)), finite


def _checked(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> tuple[FloatArray, float]:
    return common_gain(tasks, K), _checked_rate(adaptation_rate)


def _checked_rate(adaptation_rate: float) -> float:
    if not (np.isfinite(adaptation_rate) and adaptation_rate >= 0):
        raise ValueError(f"adaptation_rate is {adaptation_rate!r}; give a finite number >= 0")
    return float(adaptation_rate)

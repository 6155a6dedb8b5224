"""Meta-objective, one step of adaptation included, and its exact derivatives (Section 3.2 of the paper)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import not_negative
from metalqr.lqr import (
    FloatArray,
    HessianDerivative,
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
from metalqr.objectives.mean_cost import MeanCostDerivatives


def objective(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> float:
    r"""Meta-objective (equation (4)) of a gain for all tasks.

    .. math:: L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K)),

    and :math:`+\infty` where K or an adapted gain does not stabilise its task.
    """
    try:
        adapted = adapted_gains(tasks, K, adaptation_rate)
    except UnstablePolicyError:
        return float("inf")
    return float(tasks.p @ cost(tasks, adapted))


def gradient(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Exact gradient of the meta-objective, shape (k, d).

    .. math:: \nabla L(K) = \sum_i p_i (I - \eta \nabla^2 J_i(K)) [\nabla J_i(K - \eta \nabla J_i(K))],

    where the Hessian acts as an operator on gains; its self-adjointness enters here.

    Raises
    ------
    UnstablePolicyError
        If K, or K after its adaptation to a task, does not stabilise that task.
    """
    return np.asarray(np.tensordot(tasks.p, task_gradients(tasks, common_gain(tasks, K), adaptation_rate), axes=1))


def task_gradients(
    tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, rollout_length: int | None = None
) -> FloatArray:
    r"""Exact gradient of every task's part of the meta-objective, shape (I, k, d).

    .. math:: (I - \eta \nabla^2 J_i(K)) [\nabla J_i(K - \eta \nabla J_i(K))]

    With a rollout length, all costs are those of rollouts of that many steps, :math:`J_i^{(\ell)}`. They exist for all
    gains, but are not finite where an unstable policy leaves the range of double precision.

    Raises
    ------
    UnstablePolicyError
        If, without a rollout length, K, or K after its adaptation to a task, does not stabilise that task.
    """
    gains, rate = gains_per_task(tasks, K), not_negative("adaptation_rate", adaptation_rate)
    if rollout_length is None:
        before, _, after = _adaptation(tasks, gains, rate)
        adapted_gradient = after.gradient()
        return adapted_gradient - rate * before.hessian_vector_product(adapted_gradient)
    with np.errstate(over="ignore", invalid="ignore"):
        adapted = gains - rate * finite_horizon_gradient(tasks, gains, rollout_length)
        adapted_gradient, known = _where_finite(
            lambda gain: finite_horizon_gradient(tasks, gain, rollout_length), adapted
        )
        product, known_too = _where_finite(
            lambda X: finite_horizon_hessian_vector_product(tasks, gains, X, rollout_length), adapted_gradient
        )
        return np.where(known & known_too, adapted_gradient - rate * product, np.nan)


def adapted_gains(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Gain of every task after one exact gradient step from a gain for all tasks, stabilising or not, shape (I, k, d).

    .. math:: K - \eta \nabla J_i(K)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task: it has no gradient there.
    """
    K, rate = common_gain(tasks, K), not_negative("adaptation_rate", adaptation_rate)
    return _adapted(K, rate, PolicyEvaluation(tasks, K))


def adapted_cost(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> FloatArray:
    r"""Cost of every task after one exact gradient step from a gain for all tasks, shape (I,).

    .. math:: J_i(K - \eta \nabla J_i(K))

    It is ``inf`` where K or the adapted gain does not stabilise the task.
    """
    K, rate = common_gain(tasks, K), not_negative("adaptation_rate", adaptation_rate)
    costs = np.full(tasks.count, np.inf)
    stable = np.flatnonzero(np.isfinite(cost(tasks, K)))
    if stable.size:
        part = tasks.subset(stable)
        costs[stable] = cost(part, adapted_gains(part, K, rate))
    return costs


def is_maml_stabilising(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float) -> bool:
    r"""True if K is MAML-stabilising (Definition 1): it stabilises every task before and after the adaptation.

    .. math:: \rho(A_i - B_i K) < 1 \text{ and } \rho(A_i - B_i (K - \eta \nabla J_i(K))) < 1 \text{ for all } i.
    """
    try:
        return bool(is_stabilising(tasks, adapted_gains(tasks, K, adaptation_rate)).all())
    except UnstablePolicyError:
        return False


@dataclass(frozen=True, eq=False)
class MetaObjective:
    r"""Meta-objective :math:`L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))`."""

    tasks: LQRTasks
    adaptation_rate: float

    def __str__(self) -> str:
        return f"the meta-objective at the adaptation rate {self.adaptation_rate:.6g}"

    def value(self, K: FloatArray) -> float:
        """Meta-objective, +inf unless K is MAML-stabilising."""
        return objective(self.tasks, K, self.adaptation_rate)

    def at(self, K: FloatArray) -> "MetaDerivatives":
        """Derivatives at a MAML-stabilising gain."""
        return MetaDerivatives(self.tasks, K, self.adaptation_rate)


class MetaDerivatives(MeanCostDerivatives):
    r"""Derivatives of the meta-objective at one gain: those of the mean cost at the adapted gains, pulled back.

    With :math:`K_i = K - \eta\nabla J_i(K)`, :math:`g_i = \nabla J_i(K_i)` and :math:`M_i = I - \eta \nabla^2 J_i(K)`,

    .. math::

        \nabla L(K) = \sum_i p_i M_i[g_i], \qquad
        \nabla^2 L(K)[X] = \sum_i p_i \left( M_i\left[\nabla^2 J_i(K_i)[M_i[X]]\right]
        - \eta\, \mathrm{D}^3 J_i(K)[X, g_i] \right).

    Derived here: the second is the derivative of the first, whose factor :math:`g_i` changes by
    :math:`\nabla^2 J_i(K_i)[M_i[X]]` and whose operator :math:`M_i` by :math:`-\eta\,\mathrm{D}^3 J_i(K)[X, \cdot]`.
    The preconditioner is that of the mean cost at the adapted gains. The gradient has a third term that cancels at a
    stationary point, :math:`\eta \sum p_i \nabla^2 J_i(K)[g_i]`.
    """

    def __init__(self, tasks: LQRTasks, K: FloatArray, adaptation_rate: float) -> None:
        self._rate = adaptation_rate
        self._before, adapted, after = _adaptation(tasks, K, adaptation_rate)
        super().__init__(tasks, adapted, after)
        adapted_gradient = after.gradient()
        hessian_term = self._mean(adaptation_rate * self._before.hessian_vector_product(adapted_gradient))
        self.gradient = self.gradient - hessian_term
        self._terms.append(hessian_term)
        self._hessian_derivative = HessianDerivative(tasks, self._before, adapted_gradient)

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Hessian of the meta-objective, applied to X of shape (k, d)."""
        hessian_product = self._evaluation.hessian_vector_product(self._adapt(X))
        return self._mean(self._adapt(hessian_product) - self._rate * self._hessian_derivative(X))

    def _adapt(self, X: FloatArray) -> FloatArray:
        """Derivative of the adaptation K - η ∇J_i(K), applied to X of shape (k, d) or (I, k, d)."""
        return X - self._rate * self._before.hessian_vector_product(X)


def _adaptation(tasks: LQRTasks, K: FloatArray, rate: float) -> tuple[PolicyEvaluation, FloatArray, PolicyEvaluation]:
    """The evaluation before the adaptation, the adapted gains, and the evaluation of these."""
    before = PolicyEvaluation(tasks, K)
    adapted = _adapted(K, rate, before)
    return before, adapted, PolicyEvaluation(tasks, adapted, "the adapted gain K - adaptation_rate * gradient")


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

"""What is descended on: the mean cost of the tasks, and the meta-objective."""

import functools
from dataclasses import dataclass

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, cost, evaluate
from metalqr.lqr.third_derivative import HessianDerivative
from metalqr.objectives.meta import objective


@dataclass(frozen=True, eq=False)
class MeanCost:
    r"""The mean cost :math:`f(K) = \sum_i p_i J_i(K)`; every :math:`p_i` is positive.

    The preconditioner is the Gauss-Newton operator with task means, :math:`X \mapsto 2 \bar{H} X \bar\Sigma`, where
    :math:`\bar H` and :math:`\bar\Sigma` are the means of :math:`R + B^\top P_K B` and :math:`\Sigma_K`. The gradient's
    norm is relative to the sum of the norms of its two terms, :math:`2\sum p_i (R + B^\top P B) K \Sigma` and
    :math:`2 \sum p_i B^\top P A \Sigma`, that cancel at the optimum.
    """

    tasks: LQRTasks

    def value(self, K: FloatArray) -> float:
        """Mean cost, +inf unless K stabilises every task."""
        return float(self.tasks.p @ cost(self.tasks, K))

    def at(self, K: FloatArray) -> "MeanCostPoint":
        """Derivatives at a gain that stabilises every task."""
        return MeanCostPoint(self.tasks, K)


class MeanCostPoint:
    """Derivatives of the mean cost at one gain; see :class:`metalqr.optimal.newton_cg.Point`."""

    def __init__(self, tasks: LQRTasks, K: FloatArray) -> None:
        self._tasks = tasks
        self._evaluation = evaluate(tasks, K)
        self.gradient = _mean(tasks, self._evaluation.gradient())
        feedback = _feedback(tasks, K, self._evaluation)
        self.gradient_norm = _relative(self.gradient, feedback, self.gradient - feedback)
        self._gauss_newton = GaussNewton(tasks, self._evaluation)

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Mean of the tasks' Hessians, applied to X."""
        return _mean(self._tasks, self._evaluation.hessian_vector_product(X))

    def precondition(self, X: FloatArray) -> FloatArray:
        """Inverse of the Gauss-Newton operator with task means, applied to X."""
        return self._gauss_newton.inverse(X)


@dataclass(frozen=True, eq=False)
class MetaObjective:
    r"""The meta-objective :math:`L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))`; every :math:`p_i` is positive.

    The preconditioner is that of the mean cost, at the adapted gains. The gradient's norm is relative to the sum of the
    norms of three terms: the two of the mean cost, at the adapted gains, and
    :math:`\eta \sum p_i \nabla^2 J_i(K)[\nabla J_i(K_i)]`.
    """

    tasks: LQRTasks
    adaptation_rate: float

    def value(self, K: FloatArray) -> float:
        """Meta-objective, +inf unless K is MAML-stabilising."""
        return objective(self.tasks, K, self.adaptation_rate)

    def at(self, K: FloatArray) -> "MetaObjectivePoint":
        """Derivatives at a MAML-stabilising gain."""
        return MetaObjectivePoint(self.tasks, K, self.adaptation_rate)


class MetaObjectivePoint:
    r"""Derivatives of the meta-objective at one gain; see :class:`metalqr.optimal.newton_cg.Point`.

    With :math:`K_i = K - \eta\nabla J_i(K)`, :math:`g_i = \nabla J_i(K_i)` and :math:`M_i = I - \eta \nabla^2 J_i(K)`,

    .. math::

        \nabla L(K) = \sum_i p_i M_i[g_i], \qquad
        \nabla^2 L(K)[X] = \sum_i p_i \left( M_i\left[\nabla^2 J_i(K_i)[M_i[X]]\right]
        - \eta\, \mathrm{D}^3 J_i(K)[X, g_i] \right).

    Derived here: the second is the derivative of the first, whose factor :math:`g_i` changes by
    :math:`\nabla^2 J_i(K_i)[M_i[X]]` and whose operator :math:`M_i` by :math:`-\eta\,\mathrm{D}^3 J_i(K)[X, \cdot]`.
    """

    def __init__(self, tasks: LQRTasks, K: FloatArray, adaptation_rate: float) -> None:
        self._tasks, self._rate = tasks, adaptation_rate
        self._before = evaluate(tasks, K)
        adapted = K - adaptation_rate * self._before.gradient()
        self._after = PolicyEvaluation(tasks, adapted, policy="the adapted gain K - adaptation_rate * gradient")
        after = self._after.gradient()
        curved = _mean(tasks, adaptation_rate * self._before.hessian_vector_product(after))
        first_order = _mean(tasks, after)
        self.gradient = first_order - curved
        feedback = _feedback(tasks, adapted, self._after)
        self.gradient_norm = _relative(self.gradient, feedback, first_order - feedback, curved)
        self._gauss_newton = GaussNewton(tasks, self._after)
        self._hessian_derivative = HessianDerivative(tasks, self._before, after)

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Hessian of the meta-objective, applied to X."""
        curved = self._after.hessian_vector_product(self._adapt(X))
        return _mean(self._tasks, self._adapt(curved) - self._rate * self._hessian_derivative(X))

    def precondition(self, X: FloatArray) -> FloatArray:
        """Inverse of the Gauss-Newton operator with task means at the adapted gains, applied to X."""
        return self._gauss_newton.inverse(X)

    def _adapt(self, X: FloatArray) -> FloatArray:
        """Derivative of the adaptation K - η ∇J_i(K), applied to X of shape (I, k, d)."""
        return X - self._rate * self._before.hessian_vector_product(X)


class GaussNewton:
    r"""The Gauss-Newton operator with task means, :math:`X \mapsto 2 \bar H X \bar\Sigma`, of an evaluated gain."""

    def __init__(self, tasks: LQRTasks, evaluation: PolicyEvaluation) -> None:
        self._tasks, self._evaluation = tasks, evaluation

    def inverse(self, X: FloatArray) -> FloatArray:
        """Apply the inverse of the operator to X of shape (k, d)."""
        left, right = self._factors
        return left @ X @ right

    @functools.cached_property
    def _factors(self) -> tuple[FloatArray, FloatArray]:
        left = np.asarray(np.linalg.inv(2.0 * _mean(self._tasks, self._evaluation.input_curvature)), dtype=np.float64)
        right = np.asarray(np.linalg.inv(_mean(self._tasks, self._evaluation.state_covariance)), dtype=np.float64)
        return left, right


def _mean(tasks: LQRTasks, per_task: FloatArray) -> FloatArray:
    return np.asarray(np.tensordot(tasks.p, per_task, axes=1))


def _feedback(tasks: LQRTasks, K: FloatArray, evaluation: PolicyEvaluation) -> FloatArray:
    """Mean over the tasks of 2 (R + BᵀPB) K Σ, the part of the gradient that would be there without A."""
    return _mean(tasks, 2.0 * evaluation.input_curvature @ K @ evaluation.state_covariance)


def _relative(gradient: FloatArray, *terms: FloatArray) -> float:
    """Norm of the gradient relative to its terms."""
    scale = sum(float(np.linalg.norm(term)) for term in terms)
    return float(np.linalg.norm(gradient)) / scale if scale > 0 else 0.0

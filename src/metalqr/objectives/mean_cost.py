"""Mean cost of the tasks as an objective of one gain."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, common_gain, cost, evaluate, gradient

#: Covariance that the preconditioner gives states without any, relative to the largest.
UNEXCITED = 1e-6


def mean_gradient(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Exact gradient of the mean cost, :math:`\sum_i p_i \nabla J_i(K)`, shape (k, d)."""
    return np.asarray(np.tensordot(tasks.p, gradient(tasks, common_gain(tasks, K)), axes=1))


@dataclass(frozen=True, eq=False)
class MeanCost:
    r"""Mean cost :math:`f(K) = \sum_i p_i J_i(K)`; every :math:`p_i` is positive."""

    tasks: LQRTasks

    def __str__(self) -> str:
        return "the mean cost"

    def value(self, K: FloatArray) -> float:
        """Mean cost, +inf unless K stabilises every task."""
        return float(self.tasks.p @ cost(self.tasks, K))

    def at(self, K: FloatArray) -> "MeanCostDerivatives":
        """Derivatives at a gain that stabilises every task."""
        return MeanCostDerivatives(self.tasks, K, evaluate(self.tasks, K))


class MeanCostDerivatives:
    r"""Derivatives of the mean cost at one evaluated gain.

    The preconditioner is the inverse of the Gauss-Newton operator with task means, :math:`X \mapsto 2 \bar{H} X
    \bar\Sigma`, where :math:`\bar H` and :math:`\bar\Sigma` are the means of :math:`R + B^\top P_K B` and
    :math:`\Sigma_K`. The gradient's norm is relative to the sum of the norms of its two terms,
    :math:`2\sum p_i (R + B^\top P B) K \Sigma` and :math:`2 \sum p_i B^\top P A \Sigma`, that cancel at the optimum.
    """

    def __init__(self, tasks: LQRTasks, K: FloatArray, evaluation: PolicyEvaluation) -> None:
        self._tasks, self._evaluation = tasks, evaluation
        self.gradient = self._mean(evaluation.gradient())
        feedback = self._mean(2.0 * evaluation.input_curvature @ K @ evaluation.state_covariance)
        self._terms = [feedback, self.gradient - feedback]

    @functools.cached_property
    def gradient_norm(self) -> float:
        """Frobenius norm of the gradient relative to its terms."""
        scale = sum(float(np.linalg.norm(term)) for term in self._terms)
        return float(np.linalg.norm(self.gradient)) / scale if scale > 0 else 0.0

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Hessian applied to X of shape (k, d)."""
        return self._mean(self._evaluation.hessian_vector_product(X))

    def precondition(self, X: FloatArray) -> FloatArray:
        """Inverse of the Gauss-Newton operator, applied to X of shape (k, d)."""
        left, right = self._gauss_newton_inverse
        return left @ X @ right

    @functools.cached_property
    def _gauss_newton_inverse(self) -> tuple[FloatArray, FloatArray]:
        covariance = self._mean(self._evaluation.state_covariance)
        if np.linalg.matrix_rank(covariance) < len(covariance):
            # States that the noise never excites: any positive weight keeps the operator definite.
            covariance = covariance + UNEXCITED * np.linalg.norm(covariance, 2) * np.eye(len(covariance))
        factors = self._mean(2.0 * self._evaluation.input_curvature), covariance
        left, right = (np.asarray(np.linalg.inv(factor), dtype=np.float64) for factor in factors)
        return left, right

    def _mean(self, per_task: FloatArray) -> FloatArray:
        return np.asarray(np.tensordot(self._tasks.p, per_task, axes=1))

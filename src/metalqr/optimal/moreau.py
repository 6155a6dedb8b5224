"""The Moreau envelope of the tasks' costs: every task has a gain of its own, at a price for its distance."""

import functools

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import positive
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, common_gain, cost, require_stabilising
from metalqr.objectives.mean_cost import MeanCost, MeanCostDerivatives
from metalqr.optimal.newton_cg import find_minimum

MAX_ITERATIONS = 200


def proximal_gains(tasks: LQRTasks, K: ArrayLike, weight: float) -> FloatArray:
    r"""The gains :math:`K_i(K) = \arg\min_{K_i} [J_i(K_i) + \frac\lambda2 \|K_i - K\|_F^2]`, shape (I, k, d).

    An exact truncated Newton descent of each task from K, which never leaves the stabilising gains. The result is the
    stationary point in the valley of K. It is the only minimiser where :math:`\lambda > -\lambda_{\min}(\nabla^2 J_i)`
    on the way; the cost of a task is not convex everywhere.

    K has the shape (k, d); ``weight`` is :math:`\lambda > 0`.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    DescentError
        If no stationary point is reached, because it lies too close to instability.
    """
    common, price = common_gain(tasks, K), positive("weight", weight)
    require_stabilising(tasks, common, "the gain")
    found = []
    for task in range(tasks.count):
        alone = tasks.subset([task])
        objective = _Proximal(alone, common, price)
        found.append(find_minimum(objective, [common], functools.partial(cost, alone), MAX_ITERATIONS).K)
    return np.stack(found)


def envelope(tasks: LQRTasks, K: ArrayLike, weight: float) -> float:
    r"""Value of the envelope, :math:`F_\lambda(K) = \sum_i p_i \min_{K_i} [J_i(K_i) + \frac\lambda2 \|K_i - K\|_F^2]`.

    Arguments and errors are those of :func:`proximal_gains`.
    """
    gains = proximal_gains(tasks, K, weight)
    distances = np.square(gains - common_gain(tasks, K)).sum(axis=(1, 2))
    return float(tasks.p @ (cost(tasks, gains) + 0.5 * weight * distances))


def envelope_gradient(tasks: LQRTasks, K: ArrayLike, weight: float) -> FloatArray:
    r"""Gradient of the envelope, :math:`\nabla F_\lambda(K) = \lambda \sum_i p_i (K - K_i(K))`, shape (k, d).

    Taken as :math:`\sum_i p_i \nabla J_i(K_i(K))`, which is the same at the stationary points, because the difference
    of the gains loses digits where :math:`\lambda` is large.

    Arguments and errors are those of :func:`proximal_gains`.
    """
    gradients = PolicyEvaluation(tasks, proximal_gains(tasks, K, weight)).gradient()
    return np.asarray(np.tensordot(tasks.p, gradients, axes=1))


class _Proximal:
    """The cost of a single task with the price of the distance to a gain."""

    def __init__(self, task: LQRTasks, centre: FloatArray, weight: float) -> None:
        self._cost, self._centre, self._weight = MeanCost(task), centre, weight

    def __str__(self) -> str:
        return "the cost of a task with a price on the distance"

    def value(self, K: FloatArray) -> float:
        """Cost and price, +inf unless K stabilises the task."""
        return self._cost.value(K) + 0.5 * self._weight * float(np.square(K - self._centre).sum())

    def at(self, K: FloatArray) -> "_ProximalDerivatives":
        """Derivatives at a gain that stabilises the task."""
        return _ProximalDerivatives(self._cost.tasks, K, self._centre, self._weight)


class _ProximalDerivatives(MeanCostDerivatives):
    r"""Derivatives of a task's cost and price, preconditioned by :math:`X \mapsto 2 H X \Sigma + \lambda X`."""

    def __init__(self, task: LQRTasks, K: FloatArray, centre: FloatArray, weight: float) -> None:
        evaluation = PolicyEvaluation(task, K)
        super().__init__(task, K, evaluation)
        price = weight * (K - centre)
        self.gradient = self.gradient + price
        self._terms.append(price)
        self._weight = weight
        self._factors = [np.linalg.eigh(each[0]) for each in (evaluation.input_curvature, evaluation.state_covariance)]

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        """Hessian applied to X of shape (k, d)."""
        return super().hessian_vector_product(X) + self._weight * X

    def precondition(self, X: FloatArray) -> FloatArray:
        """Inverse of the Gauss-Newton operator with the price, applied to X of shape (k, d)."""
        (curvature, left), (covariance, right) = self._factors
        operator = 2.0 * np.outer(curvature, np.maximum(covariance, 0.0)) + self._weight
        return np.asarray(left @ ((left.T @ X @ right) / operator) @ right.T)

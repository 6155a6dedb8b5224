"""Exact descent on the mean cost of several tasks, inside the set of gains that stabilise all of them."""

from dataclasses import dataclass

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, cost, evaluate

#: Sufficient decrease of the line search, as a part of the decrease that the slope promises (Armijo).
SUFFICIENT_DECREASE = 1e-4
#: Relative size of a predicted decrease that drowns in the rounding of the cost.
ROUNDING = 1e-12
MOST_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended: gain (k, d), mean cost, relative gradient norm, Newton steps taken."""

    K: FloatArray
    objective: float
    gradient_norm: float
    iterations: int


def mean_cost(tasks: LQRTasks, K: FloatArray) -> float:
    """Σ p_i J_i(K), +inf unless K stabilises every task."""
    return float(tasks.p @ cost(tasks, K))


def descend(tasks: LQRTasks, start: FloatArray, tolerance: float, most_iterations: int) -> Descent:
    r"""Minimise :math:`f(K) = \sum_i p_i J_i(K)` from a gain that stabilises every task; every ``p_i`` is positive.

    A truncated Newton method. The direction solves :math:`\nabla^2 f[D] = -\nabla f` by conjugate gradients, up to an
    accuracy that tightens with the gradient, or up to the first direction of negative curvature. The preconditioner is
    the Gauss-Newton operator with task means, :math:`X \mapsto 2 \bar{H} X \bar\Sigma`, where :math:`\bar H` and
    :math:`\bar\Sigma` are the means of :math:`R + B^\top P_K B` and :math:`\Sigma_K`. The line search halves the step
    until the cost falls enough. An unstable gain costs :math:`+\infty`, so no iterate leaves the stabilising set.

    Stops when :math:`\|\nabla f\|_F` is at most ``tolerance`` times the sum of the norms of the two terms,
    :math:`2\sum p_i (R + B^\top P B) K \Sigma` and :math:`2 \sum p_i B^\top P A \Sigma`, that cancel at the optimum; or
    when rounding allows no further decrease; or after ``most_iterations``. The caller reads ``gradient_norm``.
    """
    K, value = start, mean_cost(tasks, start)
    iteration = 0
    while True:
        evaluation = evaluate(tasks, K)
        gradient, relative = _gradient(tasks, K, evaluation)
        if relative <= tolerance or iteration == most_iterations:
            break
        direction = _newton_direction(tasks, evaluation, gradient, forcing=min(0.1, np.sqrt(relative)))
        step = _line_search(tasks, K, value, gradient, direction)
        if step is None:
            break
        K, value = step
        iteration += 1
    return Descent(K=K, objective=value, gradient_norm=relative, iterations=iteration)


def _gradient(tasks: LQRTasks, K: FloatArray, evaluation: PolicyEvaluation) -> tuple[FloatArray, float]:
    """Gradient of the mean cost, and its norm relative to the terms that cancel in it."""
    gradient = _mean(tasks, evaluation.gradient())
    feedback = _mean(tasks, 2.0 * evaluation.input_curvature @ K @ evaluation.state_covariance)
    scale = float(np.linalg.norm(feedback) + np.linalg.norm(gradient - feedback))
    size = float(np.linalg.norm(gradient))
    return gradient, size / scale if scale > 0 else 0.0


def _mean(tasks: LQRTasks, per_task: FloatArray) -> FloatArray:
    return np.asarray(np.tensordot(tasks.p, per_task, axes=1))


def _newton_direction(
    tasks: LQRTasks, evaluation: PolicyEvaluation, gradient: FloatArray, forcing: float
) -> FloatArray:
    """Solve the Newton equation by truncated, preconditioned conjugate gradients; always a direction of descent."""
    left = np.linalg.inv(2.0 * _mean(tasks, evaluation.input_curvature))
    right = np.linalg.inv(_mean(tasks, evaluation.state_covariance))
    direction = np.zeros_like(gradient)
    residual = -gradient
    preconditioned = left @ residual @ right
    search = preconditioned
    product = float(np.vdot(residual, preconditioned))
    enough = forcing * np.linalg.norm(gradient)
    for _ in range(2 * gradient.size):
        curved = _mean(tasks, evaluation.hessian_vector_product(search))
        curvature = float(np.vdot(search, curved))
        if curvature <= 0:
            return direction if direction.any() else search
        length = product / curvature
        direction = direction + length * search
        residual = residual - length * curved
        if np.linalg.norm(residual) <= enough:
            break
        preconditioned = left @ residual @ right
        previous, product = product, float(np.vdot(residual, preconditioned))
        search = preconditioned + (product / previous) * search
    return direction


def _line_search(
    tasks: LQRTasks, K: FloatArray, value: float, gradient: FloatArray, direction: FloatArray
) -> tuple[FloatArray, float] | None:
    """Halve the step until the cost falls enough; None when rounding hides every decrease."""
    slope = float(np.vdot(gradient, direction))
    step = 1.0
    for _ in range(MOST_HALVINGS):
        candidate = K + step * direction
        candidate_value = mean_cost(tasks, candidate)
        if candidate_value <= value + SUFFICIENT_DECREASE * step * slope:
            return candidate, candidate_value
        # So close to the optimum the costs agree in all their digits while the gradient still has some to give.
        if -step * slope <= ROUNDING * value:
            smaller = np.isfinite(candidate_value) and np.linalg.norm(
                _mean(tasks, evaluate(tasks, candidate).gradient())
            ) < np.linalg.norm(gradient)
            return (candidate, candidate_value) if smaller else None
        step *= 0.5
    return None

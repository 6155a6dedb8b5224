"""Linear-quadratic regulator tasks and their exact quantities: cost, gradient, Hessian operator, covariances.

The formulas are those of Section 3.1 of the paper with the corrections listed in ``docs/errata.md``. Every function
works on all tasks at once and takes either one gain for all of them, ``(k, d)``, or one per task, ``(I, k, d)``.
"""

from metalqr.lqr.batches import tiled, where_stabilising
from metalqr.lqr.evaluation import (
    PolicyEvaluation,
    UnstablePolicyError,
    closed_loop,
    common_gain,
    cost,
    evaluate,
    gains_per_task,
    gradient,
    hessian_vector_product,
    is_stabilising,
    spectral_radius,
    state_covariance,
    value_matrix,
)
from metalqr.lqr.finite_horizon import (
    finite_horizon_cost,
    finite_horizon_gradient,
    finite_horizon_hessian_vector_product,
)
from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.stability import largest_stable_step
from metalqr.lqr.tasks import FloatArray, LQRTasks, TasksError
from metalqr.lqr.third_derivative import HessianDerivative, third_derivative

__all__ = [
    "FloatArray",
    "HessianDerivative",
    "LQRTasks",
    "LyapunovSolver",
    "PolicyEvaluation",
    "TasksError",
    "UnstablePolicyError",
    "closed_loop",
    "common_gain",
    "cost",
    "evaluate",
    "finite_horizon_cost",
    "finite_horizon_gradient",
    "finite_horizon_hessian_vector_product",
    "gains_per_task",
    "gradient",
    "hessian_vector_product",
    "is_stabilising",
    "largest_stable_step",
    "spectral_radius",
    "state_covariance",
    "third_derivative",
    "tiled",
    "value_matrix",
    "where_stabilising",
]

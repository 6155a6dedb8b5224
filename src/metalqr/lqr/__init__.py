r"""Linear-quadratic regulator tasks and their exact quantities: cost, gradient, Hessian operator, covariances.

The formulas are those of Section 3.1 of the paper with the corrections listed in ``docs/errata.md``.

**Conventions.** ``tasks`` are I systems :math:`x_{t+1} = A_i x_t + B_i u_t + w_t` with d states and k inputs, and every
function works on all of them at once. A gain K, of the policy u = -K x, is one for all tasks, shape (k, d), or one per
task, (I, k, d); so is a direction X. A result has an entry for each task: costs (I,), gains and gradients (I, k, d),
matrices of states (I, d, d). Costs are means per step of :math:`x^\top Q_i x + u^\top R_i u`, and lengths are in steps.
An adaptation rate η >= 0 multiplies a gradient. A gain of another shape, or with an entry that is not finite, raises a
ValueError; a gain that does not stabilise a task, where a quantity then does not exist, raises
:class:`UnstablePolicyError`, which holds the tasks and their spectral radii. The docstrings of this package, and of
those that build on it, do not repeat this.
"""

from metalqr.lqr.evaluation import (
    PolicyEvaluation,
    cost,
    evaluate,
    gradient,
    hessian_vector_product,
    state_covariance,
    value_matrix,
)
from metalqr.lqr.finite_horizon import (
    finite_horizon_cost,
    finite_horizon_gradient,
    finite_horizon_hessian_vector_product,
)
from metalqr.lqr.hessian_matrix import finite_horizon_hessian_matrix, hessian_matrix
from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.optimality import at_optimum
from metalqr.lqr.rollout_variance import (
    rollout_difference_variance,
    rollout_gradient_covariance,
    rollout_variance,
    rollout_variance_gradient,
)
from metalqr.lqr.stability import (
    UnstablePolicyError,
    are_unstable,
    closed_loop,
    count_unstable,
    is_stabilising,
    largest_stable_step,
    require_stabilising,
    spectral_radius,
    where_stabilising,
)
from metalqr.lqr.tasks import FloatArray, LQRTasks, TasksError, common_gain, gains_per_task, tiled
from metalqr.lqr.third_derivative import HessianDerivative, third_derivative

__all__ = [
    "FloatArray",
    "HessianDerivative",
    "LQRTasks",
    "LyapunovSolver",
    "PolicyEvaluation",
    "TasksError",
    "UnstablePolicyError",
    "are_unstable",
    "at_optimum",
    "closed_loop",
    "common_gain",
    "cost",
    "count_unstable",
    "evaluate",
    "finite_horizon_cost",
    "finite_horizon_gradient",
    "finite_horizon_hessian_matrix",
    "finite_horizon_hessian_vector_product",
    "gains_per_task",
    "gradient",
    "hessian_matrix",
    "hessian_vector_product",
    "is_stabilising",
    "largest_stable_step",
    "require_stabilising",
    "rollout_difference_variance",
    "rollout_gradient_covariance",
    "rollout_variance",
    "rollout_variance_gradient",
    "spectral_radius",
    "state_covariance",
    "third_derivative",
    "tiled",
    "value_matrix",
    "where_stabilising",
]

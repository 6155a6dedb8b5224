"""The exact Gauss-Newton method, on each task separately."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.methods.gradient_descent import GradientDescent

if TYPE_CHECKING:
    from metalqr.lqr import PolicyEvaluation


@methods.register("gauss_newton")
class GaussNewton(GradientDescent):
    r""":math:`K_i \leftarrow K_i - \alpha (R_i + B_i^\top P_{K_i} B_i)^{-1} \nabla J_i(K_i) \Sigma_{K_i}^{-1}`.

    With ``learning_rate: 0.5`` a step is one of policy iteration, and the convergence is quadratic.

    Source: Section 3.1 of the paper; Hewer (1971).
    """

    is_step_prescribed = True

    @staticmethod
    def along(evaluation: "PolicyEvaluation") -> Array:
        """The direction at evaluated gains, (I, k, d)."""
        return np.asarray(2.0 * np.linalg.solve(evaluation.input_curvature, evaluation.advantage), dtype=np.float64)

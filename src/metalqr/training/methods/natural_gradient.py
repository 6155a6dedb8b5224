"""The exact natural gradient, on each task separately."""

from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.methods.gradient_descent import GradientDescent

if TYPE_CHECKING:
    from metalqr.lqr import PolicyEvaluation


@methods.register("natural_gradient")
class NaturalGradient(GradientDescent):
    r""":math:`K_i \leftarrow K_i - \alpha \nabla J_i(K_i) \Sigma_{K_i}^{-1}`, where the direction is :math:`2 E`.

    With :math:`\alpha \le 1 / (2 \|R_i + B_i^\top P_{K_0} B_i\|)` the cost falls at every step.

    Source: Section 3.1 of the paper; Kakade (2001).
    """

    is_step_prescribed = True

    @staticmethod
    def along(evaluation: "PolicyEvaluation") -> Array:
        """The direction at evaluated gains, (I, k, d)."""
        return 2.0 * evaluation.advantage

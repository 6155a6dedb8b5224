"""Exact gradient descent, on each task separately."""

from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array, Direction
from metalqr.training.method import Method, State

if TYPE_CHECKING:
    from metalqr.lqr import PolicyEvaluation
    from metalqr.simulation.streams import Stream


@methods.register("gradient_descent")
class GradientDescent(Method):
    r""":math:`K_i \leftarrow K_i - \alpha \nabla J_i(K_i)`, with :math:`\nabla J = 2 E \Sigma` from the model.

    Every task has its own gain, which converges to the task's optimum.

    Source: Section 3.1 of the paper; Fazel, Ge, Kakade, Mesbahi (2018).
    """

    gain_per_task = True
    is_exact = True

    @staticmethod
    def along(evaluation: "PolicyEvaluation") -> Array:
        """The direction at evaluated gains, (I, k, d)."""
        return evaluation.gradient()

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The direction at every task's gain."""
        from metalqr.lqr import PolicyEvaluation

        return Direction(self.along(PolicyEvaluation(self.tasks, state.K)))

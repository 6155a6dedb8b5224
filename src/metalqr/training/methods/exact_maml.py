"""Exact gradient descent on the meta-objective, which Algorithm 3 estimates."""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Direction
from metalqr.training.method import Method, State

if TYPE_CHECKING:
    from metalqr.simulation.streams import Stream


@methods.register("exact_maml")
class ExactMAML(Method):
    r"""Descent along :math:`\nabla L(K)`, computed from the model, without any simulation.

    Theorem 2 is about this process with an estimate in place of the gradient.

    Source: Section 3.2 and equation (4) of the paper.
    """

    is_exact = True

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The exact meta-gradient; not a number, which ends the run, where an adapted gain is unstable."""
        from metalqr.lqr import UnstablePolicyError
        from metalqr.objectives import meta

        try:
            return Direction(meta.gradient(self.tasks, state.K, self.settings.adaptation_rate))
        except UnstablePolicyError:  # the meta-objective is infinite at this gain
            return Direction(np.full_like(state.K, np.nan))

"""Exact gradient descent on the mean cost of the tasks."""

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.exact_method import ExactMethod


@methods.register("exact_mean_cost")
class ExactMeanCost(ExactMethod):
    r"""Descent along :math:`\nabla \sum_i p_i J_i(K)`, computed from the model: the exact form of ``mean_cost``.

    It uses neither an estimator nor ``adaptation_rate``.
    """

    def along(self, K: Array) -> Array:
        """The exact gradient of the mean cost."""
        from metalqr.objectives.mean_cost import mean_gradient

        return mean_gradient(self.tasks, K)

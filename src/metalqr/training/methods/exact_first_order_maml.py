"""First-order MAML with exact gradients."""

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.exact_method import ExactMethod


@methods.register("exact_first_order_maml")
class ExactFirstOrderMAML(ExactMethod):
    r"""The process that ``first_order_maml`` estimates: :math:`g = \sum_i p_i \nabla J_i(K - \eta \nabla J_i(K))`.

    Source: Finn, Abbeel, Levine (2017), *Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks*.
    """

    is_adaptive = True

    def along(self, K: Array) -> Array:
        """The exact mean gradient at the adapted gains; there is none where one of them is unstable."""
        from metalqr.objectives.adaptation import first_order_maml

        return first_order_maml(self.tasks, K, self.settings.adaptation_rate)

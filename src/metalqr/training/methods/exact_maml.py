"""Exact gradient descent on the meta-objective, which Algorithm 3 estimates."""

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.exact_method import ExactMethod


@methods.register("exact_maml")
class ExactMAML(ExactMethod):
    r"""Descent along :math:`\nabla L(K)`, computed from the model, without any simulation.

    It is the exact form of ``zeroth_order_maml`` and of ``hessian_maml``. Theorem 2 is about this process with an
    estimate in place of the gradient.

    Source: Section 3.2 and equation (4) of the paper.
    """

    is_adaptive = True

    def along(self, K: Array) -> Array:
        """The exact meta-gradient; there is none where an adapted gain is unstable."""
        from metalqr.objectives import meta

        return meta.gradient(self.tasks, K, self.settings.adaptation_rate)

"""Exact gradient descent on the Moreau envelope of the tasks' costs."""

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array
from metalqr.training.exact_method import ExactMethod
from metalqr.training.proximal import Proximal


@methods.register("exact_moreau")
class ExactMoreau(ExactMethod):
    r"""Descent along :math:`\nabla F_\lambda(K) = \lambda \sum_i p_i (K - K_i(K))`, with exact proximal gains.

    .. math:: F_\lambda(K) = \sum_i p_i \min_{K_i} \left[J_i(K_i) + \frac\lambda2 \|K_i - K\|_F^2\right]

    For :math:`\lambda \to \infty` its minimiser is the best single gain; for :math:`\lambda \to 0` every :math:`K_i`
    is the optimum of its task, and K their mean, which may be unstable. It does not use ``adaptation_rate``. With the
    learning rate :math:`1 / \lambda` a step goes to the mean of the proximal gains.

    Source: Moreau (1965); Dinh, Tran, Nguyen (2020), *Personalized Federated Learning with Moreau Envelopes*.
    """

    class Settings(Proximal):
        """Settings of the envelope."""

    def along(self, K: Array) -> Array:
        """The exact gradient of the envelope."""
        from metalqr.optimal.moreau import envelope_gradient

        return envelope_gradient(self.tasks, K, self.own.proximal_weight)

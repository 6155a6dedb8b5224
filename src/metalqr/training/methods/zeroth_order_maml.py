"""Algorithm 3: model-agnostic meta-policy optimisation from the costs of rollouts."""

from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State, Work, perturbed_policies, work_of_layers
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


@methods.register("zeroth_order_maml")
class ZerothOrderMAML(RolloutMethod):
    r"""The paper's method: descent along the zeroth-order MAML gradient, Algorithm 2's estimate of :math:`\nabla L(K)`.

    .. math:: L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))

    Source: Algorithms 2 and 3 of the paper.
    """

    is_adaptive = True
    has_inner_layer = True

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """One adaptation and one more rollout for every perturbed policy."""
        return work_of_layers(count, settings, perturbed_policies(count, settings))

    def direction(self, state: State, stream: "Stream") -> Direction:
        """An estimate of the meta-gradient."""
        return self.estimation.meta_gradient(state.K, stream, state.memory)

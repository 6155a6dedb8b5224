"""Multi-task policy gradient: the mean cost of the tasks, without any adaptation."""

from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State, Work
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


@methods.register("mean_cost")
class MeanCost(RolloutMethod):
    r"""Descent along an estimate of :math:`\nabla \sum_i p_i J_i(K)`, towards the best single gain.

    A baseline for adaptation: a method that adapts must do better. It takes ``perturbations`` rollouts a task, and uses
    neither ``inner_perturbations`` nor ``adaptation_rate``.

    Source: the multi-task policy gradient of Wang, Toso, Mitra, Anderson (2023).
    """

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """One rollout for every perturbed policy."""
        return cls.warm_up_work(count, settings)

    def direction(self, state: State, stream: "Stream") -> Direction:
        """An estimate of the gradient of the mean cost."""
        return self.estimation.mean_gradient(state.K, stream, state.memory)

"""The base of the training methods that see the costs of rollouts alone."""

from functools import cached_property
from typing import TYPE_CHECKING

from metalqr.estimators.estimator import Direction
from metalqr.training.method import Method, State, Work, perturbed_policies

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.estimators.meta import Estimation
    from metalqr.simulation.streams import Stream


class RolloutMethod(Method):
    """A method that estimates its directions from rollouts."""

    @property
    def mean_cost_factor(self) -> float:
        """Length of its direction in gradients of the mean cost, where nothing bends: that of a warm-up, too."""
        return 1.0

    @classmethod
    def warm_up_work(cls, count: int, settings: "MetaSettings") -> Work:
        """One rollout for every perturbed policy."""
        policies = perturbed_policies(count, settings)
        return Work(policies, policies)

    def mean_direction(self, state: State, stream: "Stream") -> Direction:
        """An estimate of the gradient of the mean cost."""
        found = self.estimation.mean_gradient(state.K, stream, state.memory)
        return found._replace(gradient=self.mean_cost_factor * found.gradient)

    @cached_property
    def estimation(self) -> "Estimation":
        """The estimates of gradients for the method's tasks and settings."""
        from metalqr.estimators.meta import Estimation

        return Estimation(self.tasks, self.settings)

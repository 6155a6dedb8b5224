"""The base of the training methods that see the costs of rollouts alone."""

from functools import cached_property
from typing import TYPE_CHECKING

from metalqr.estimators.estimator import Direction
from metalqr.training.method import Method, State, Work, perturbed_policies

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.estimators.meta import Estimation
    from metalqr.lqr import LQRTasks
    from metalqr.simulation.streams import Stream


class RolloutMethod(Method):
    """A method that estimates its directions from rollouts."""

    can_resample = True
    #: The tasks that the estimates are of, where they are resampled.
    _drawn: "LQRTasks | None" = None

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
        """The estimates of gradients for the method's tasks and settings; of other tasks where these are resampled."""
        return self._estimation(self.tasks)

    def begin(self, stream: "Stream") -> None:
        """Choose the tasks of an iteration, where they are resampled."""
        if self.resampled is None:
            return
        tasks = self.resampled.tasks(stream.seed, stream.iteration)
        if tasks is not self._drawn:
            self._drawn, self.estimation = tasks, self._estimation(tasks)
            self.forget()
        self.estimation.choose(self.resampled.places(stream.iteration))

    @property
    def simulated(self) -> "LQRTasks":
        """The tasks that the estimates are of."""
        return self.tasks if self._drawn is None else self._drawn

    def forget(self) -> None:
        """Drop what was computed for earlier tasks, beside the estimates; by default nothing is kept."""

    def _estimation(self, tasks: "LQRTasks") -> "Estimation":
        from metalqr.estimators.meta import Estimation

        return Estimation(tasks, self.settings)

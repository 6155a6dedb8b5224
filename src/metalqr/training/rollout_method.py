"""The base of the training methods that see the costs of rollouts alone."""

from functools import cached_property
from typing import TYPE_CHECKING

from metalqr.training.method import Method

if TYPE_CHECKING:
    from metalqr.estimators.meta import Estimation
    from metalqr.lqr import LQRTasks
    from metalqr.simulation.streams import Stream


class RolloutMethod(Method):
    """A method that estimates its directions from rollouts."""

    can_resample = True
    #: The tasks that the estimates are of, where they are resampled.
    _drawn: "LQRTasks | None" = None

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
        self.estimation.choose(self.resampled.places(stream.iteration))

    def _estimation(self, tasks: "LQRTasks") -> "Estimation":
        from metalqr.estimators.meta import Estimation

        return Estimation(tasks, self.settings)

"""The base of the training methods that see the costs of rollouts alone."""

from functools import cached_property
from typing import TYPE_CHECKING

from metalqr.training.method import Method

if TYPE_CHECKING:
    from metalqr.estimators.meta import Estimation


class RolloutMethod(Method):
    """A method that estimates its directions from rollouts."""

    @cached_property
    def estimation(self) -> "Estimation":
        """The estimates of gradients for the method's tasks and settings."""
        from metalqr.estimators.meta import Estimation

        return Estimation(self.tasks, self.settings)

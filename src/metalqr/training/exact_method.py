"""The base of the training methods that follow the model instead of rollouts, with one gain for all tasks."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from metalqr.estimators.estimator import Array, Direction
from metalqr.training.method import Method, State

if TYPE_CHECKING:
    from metalqr.simulation.streams import Stream


class ExactMethod(Method):
    """A method whose direction is a function of the gain."""

    is_exact = True

    def along(self, K: Array) -> Array:
        """The direction at a gain (k, d); an UnstablePolicyError where there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not override along")

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The direction; not a number, which ends the run, where a gain on the way to it is unstable."""
        return _where_stable(self.along, state.K)

    def mean_direction(self, state: State, stream: "Stream") -> Direction:
        """The gradient of the mean cost."""
        from metalqr.objectives.mean_cost import mean_gradient

        return _where_stable(lambda K: mean_gradient(self.tasks, K), state.K)


def _where_stable(along: Callable[[Array], Array], K: Array) -> Direction:
    from metalqr.lqr import UnstablePolicyError

    try:
        return Direction(along(K))
    except UnstablePolicyError:
        return Direction(np.full_like(K, np.nan))

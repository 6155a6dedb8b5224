"""Observers of a run in training: they report its progress, save its state, or stop it."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metalqr.training.history import History


class Observer:
    """Base of all observers; it does nothing.

    Attributes
    ----------
    can_wait : bool
        Whether it may be told of a gain some iterations later, in order, which makes small runs faster.
    """

    can_wait: ClassVar[bool] = False

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        """Called at every gain, (k, d) or (I, k, d), with its exact costs (I,)."""

    def stops(self, state: Callable[[], History]) -> bool:
        """Called after every iteration but the last; true ends the run, which can resume from ``state()`` later."""
        return False

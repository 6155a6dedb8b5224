"""Observers of a run in training: they report its progress, save its state, or stop it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metalqr.training.history import History


class Observer:
    """Base of all observers; it does nothing."""

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        """Called at every gain, (k, d) or (I, k, d), with its exact costs (I,)."""

    def stops(self, state: Callable[[], History]) -> bool:
        """Called after every iteration but the last; true ends the run, which can resume from ``state()`` later."""
        return False

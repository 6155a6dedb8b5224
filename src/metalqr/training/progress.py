"""Progress of a long run: a bar on a terminal, and a line every few seconds in a log."""

import logging
import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from metalqr.training.observers import Observer

_BAR_WIDTH = 24
#: Shortest time between two drawings of the bar, in seconds.
_REDRAW = 0.2


class Progress(Observer):
    """Reports iterations as they pass, an observer of :func:`metalqr.training.train`.

    Parameters
    ----------
    iterations : int
        The last iteration, N.
    label : str
        What is running, shown before the bar.
    logger : logging.Logger
        Receives a line at the first and the last iteration and every ``interval`` seconds between.
    interval : float
        Seconds between two lines in the log.
    terminal : file, optional
        Where the bar goes if it is a terminal. Default: standard error.
    clock : callable, optional
        Seconds that only grow; another one for tests.

    Examples
    --------
    >>> import logging
    >>> import numpy as np
    >>> with Progress(10, "d1k1, seed 0", logging.getLogger("example")) as progress:
    ...     for iteration in range(11):
    ...         progress.reached(iteration, np.zeros((1, 1)), np.array([1.0 / (iteration + 1)]))
    """

    def __init__(
        self,
        iterations: int,
        label: str,
        logger: logging.Logger,
        interval: float = 10.0,
        terminal: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._iterations = iterations
        self._label = label
        self._logger = logger
        self._interval = interval
        self._terminal = sys.stderr if terminal is None else terminal
        self._has_bar = self._terminal.isatty()
        self._clock = clock
        self._calls = 0
        self._begin = 0.0, 0
        self._logged = self._drawn = -math.inf
        self._shown = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            print(file=self._terminal, flush=True)

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        """Report an iteration, with the mean of the tasks' costs."""
        now, mean = self._clock(), float(cost.mean())
        # The time left is measured from the second call on: the first iteration also compiles.
        if self._calls < 2:
            self._calls += 1
            self._begin = now, iteration
        is_end = iteration >= self._iterations
        if is_end or now - self._logged >= self._interval:
            self._logged = now
            left = self._left(iteration, now)
            self._logger.info(
                "iteration %d of %d, mean cost %.5g, time left %s", iteration, self._iterations, mean, left
            )
        if self._has_bar and (is_end or now - self._drawn >= _REDRAW):
            self._drawn = now
            self._draw(iteration, mean, now)

    def _draw(self, iteration: int, mean: float, now: float) -> None:
        filled = _BAR_WIDTH * iteration // max(self._iterations, 1)
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        left = self._left(iteration, now)
        line = f"{self._label} [{bar}] {iteration}/{self._iterations}, mean cost {mean:.5g}, {left} left"
        # One column stays free: a full line makes some terminals wrap.
        columns = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:columns].ljust(columns)}", end="", file=self._terminal, flush=True)
        self._shown = True

    def _left(self, iteration: int, now: float) -> str:
        begin, first = self._begin
        if iteration == first and iteration < self._iterations:
            return "unknown"
        seconds = (self._iterations - iteration) * (now - begin) / max(iteration - first, 1)
        minutes, rest = divmod(math.ceil(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

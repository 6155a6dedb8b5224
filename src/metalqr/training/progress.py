"""Progress of a long run: a bar on a terminal, and a line every few seconds in a log."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from metalqr.training.observers import Observer


class _LogFile:
    """A file that passes every line to a log."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, text: str) -> None:
        if line := text.strip():
            self._logger.info("%s", line)

    def flush(self) -> None:
        """Do nothing: a log does not buffer."""


class Progress(Observer):
    """Reports iterations as they pass, up to the last one, ``iterations``; use it as a context.

    The label of the run stands before the bar. The log receives a line at the first and the last iteration and every
    ``interval`` seconds between.
    """

    can_wait = True

    def __init__(self, iterations: int, label: str, logger: logging.Logger, interval: float = 10.0) -> None:
        line = "iteration {n_fmt} of {total_fmt}{postfix}, time left {remaining}"
        self._iterations = iterations
        self._outputs: list[dict[str, Any]] = [
            {"desc": label, "dynamic_ncols": True, "disable": None},  # only if standard error is a terminal
            {"file": _LogFile(logger), "bar_format": line, "mininterval": interval, "miniters": 1, "position": 0},
        ]
        self._bars: list[Any] = []

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        for bar in self._bars:
            bar.close()

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        """Report an iteration, with the mean of the tasks' costs."""
        mean = f"mean cost {cost.mean():.5g}"
        if not self._bars:
            state = {"total": self._iterations, "initial": iteration, "postfix": mean}
            self._bars = [tqdm(**state, **output) for output in self._outputs]
        for bar in self._bars:
            bar.set_postfix_str(mean, refresh=False)
            bar.update(iteration - bar.n)

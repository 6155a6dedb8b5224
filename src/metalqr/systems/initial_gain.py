"""The gain that training starts from."""

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr import lqr
from metalqr.lqr import LQRTasks, UnstablePolicyError

#: A larger gain is shown in the log file only.
MAX_ENTRIES_IN_A_LINE = 16

_log = logging.getLogger(__name__)


class InitialGainError(ValueError):
    """The initial gain of the config does not stabilise every task; the message gives one that does.

    Parameters
    ----------
    case : str
        Name of the case.
    error : UnstablePolicyError
        The tasks that are not stabilised.
    gain : array, shape (k, d)
        A gain that stabilises every task.
    """

    def __init__(self, case: str, error: UnstablePolicyError, gain: NDArray[np.float64]) -> None:
        named = ", ".join(
            f"task {task} (spectral radius {radius:.9g})"
            for task, radius in zip(error.task_indices, error.radii, strict=True)
        )
        super().__init__(f"cases.{case}.initial_gain does not stabilise {named}; {_remedy(gain)}")


def initial_gain(tasks: LQRTasks, given: ArrayLike | str) -> NDArray[np.float64]:
    """The initial gain of a case, shape (k, d), from what the config gives: the matrix, or ``"zero"``.

    Raises
    ------
    UnstablePolicyError
        If it does not stabilise every task.
    """
    K0 = np.zeros((tasks.action_dim, tasks.state_dim)) if isinstance(given, str) else np.array(given, dtype=float)
    lqr.evaluate(tasks, K0)
    return K0


def _remedy(gain: NDArray[np.float64]) -> str:
    """What to write into the config instead, from a gain that stabilises every task."""
    if not gain.any():
        return "write zero, which stabilises every task"
    rows = gain.tolist()
    if gain.size <= MAX_ENTRIES_IN_A_LINE:
        return f"write {rows}, which stabilises every task"
    _log.info("this initial_gain stabilises every task: %s", rows)
    return "choose another; the log file has one that stabilises every task"

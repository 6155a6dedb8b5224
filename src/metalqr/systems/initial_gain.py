"""The gain that training starts from."""

import logging

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import real_array
from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, evaluate

#: A larger gain is shown in the log file only.
MAX_ENTRIES_IN_A_LINE = 16

_log = logging.getLogger(__name__)


class InitialGainError(ValueError):
    """The initial gain of a case does not stabilise every task; the message gives another one, which does.

    Its excess cost over the optima is ``ratio`` on average, and at least ``least_excess`` on each task.
    """

    def __init__(
        self, case: str, error: UnstablePolicyError, gain: FloatArray, ratio: float, least_excess: float
    ) -> None:
        super().__init__(
            f"cases.{case}.initial_gain does not stabilise {error.named_tasks}; {_remedy(gain)} and starts at a ratio "
            f"of {ratio:.2g}, with an excess cost of at least {least_excess:.2g} of the optimum on each task"
        )


def read_gain(tasks: LQRTasks, given: ArrayLike | str) -> FloatArray:
    """Read the initial gain of a case, shape (k, d), as the config gives it: the matrix, or ``"zero"``.

    Raises
    ------
    UnstablePolicyError
        If it does not stabilise every task.
    """
    shape = tasks.action_dim, tasks.state_dim
    K0 = np.zeros(shape) if isinstance(given, str) else real_array("initial_gain", given).copy()
    evaluate(tasks, K0)
    return K0


def _remedy(gain: FloatArray) -> str:
    """Advice on the config, with a gain that stabilises every task."""
    if not gain.any():
        return "write zero, which stabilises every task"
    rows = gain.tolist()
    if gain.size <= MAX_ENTRIES_IN_A_LINE:
        return f"write {rows}, which stabilises every task"
    _log.info("this initial_gain stabilises every task: %s", rows)
    return "choose another; the log file has one that stabilises every task"

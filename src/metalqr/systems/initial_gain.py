"""The gain that training starts from."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import real_array
from metalqr.config.registries import gain_finder, initial_gains
from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, evaluate
from metalqr.lqr.tasks import Dimensions
from metalqr.systems.family import Family

#: A larger gain is shown in the log file only.
MAX_ENTRIES_IN_A_LINE = 16

_log = logging.getLogger(__name__)


class InitialGainError(ValueError):
    """The initial gain of a case does not stabilise every task; the message gives another one, which does.

    The excess cost of that one over the optima is ``ratio`` on average, and at least ``least_excess`` on each task. In
    place of a gain that was not ``given`` but found, the message names a way that finds another.
    """

    def __init__(
        self,
        case: str,
        error: UnstablePolicyError,
        given: ArrayLike | str | Mapping[str, Any],
        gain: FloatArray,
        ratio: float,
        least_excess: float,
    ) -> None:
        name = f"cases.{case}.initial_gain"
        if isinstance(given, Mapping):
            way, value = next(iter(given.items()))
            shown = f"{value:g}" if isinstance(value, float) else "{...}" if isinstance(value, Mapping) else value
            nominal = initial_gains.get(way).needs_nominal
            other = ", or choose another nominal system, with nominal in tasks" if nominal else ""
            super().__init__(
                f"{name}: {{{way}: {shown}}} does not stabilise {error.named_tasks}; write stabilising, for a gain "
                f"found with the model of every task{other}"
            )
        else:
            super().__init__(
                f"{name} does not stabilise {error.named_tasks}; {_remedy(gain)} and starts at a ratio of {ratio:.2g}, "
                f"with an excess cost of at least {least_excess:.2g} of the optimum on each task"
            )


def read_gain(
    tasks: LQRTasks, given: ArrayLike | str | Mapping[str, Any], family: Family | None = None, seed: int = 0
) -> FloatArray:
    """Read the initial gain of a case, shape (k, d), as the config gives it: zero, rows, or a way to find it.

    Parameters
    ----------
    tasks : LQRTasks
    given : array, str or mapping
        A mapping has the name of the way as its key.
    family : Family, optional
        Source of the tasks; only a gain that is found needs it, and the seed that the tasks were made with.
    seed : int

    Returns
    -------
    array, shape (k, d)

    Raises
    ------
    UnstablePolicyError
        If it does not stabilise every task.
    """
    K0 = gain_of(tasks, given, family, seed)
    evaluate(tasks, K0)
    return K0


def gain_of(
    tasks: Dimensions, given: ArrayLike | str | Mapping[str, Any], family: Family | None = None, seed: int = 0
) -> FloatArray:
    """The same without the check that it stabilises every task: for tasks that only a simulator knows."""
    if finder := gain_finder(given):
        assert family is not None
        return finder.gain(tasks, family, seed)
    if isinstance(given, str | Mapping):  # zero
        return np.zeros((tasks.action_dim, tasks.state_dim))
    return real_array("initial_gain", given).copy()


def _remedy(gain: FloatArray) -> str:
    """Advice on the config, with a gain that stabilises every task."""
    if not gain.any():
        return "write zero, which stabilises every task"
    rows = gain.tolist()
    if gain.size <= MAX_ENTRIES_IN_A_LINE:
        return f"write {rows}, which stabilises every task"
    _log.info("this initial_gain stabilises every task: %s", rows)
    return "choose another; the log file has one that stabilises every task"

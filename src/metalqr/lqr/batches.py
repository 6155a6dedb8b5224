"""Exact quantities at many gains at once, of which some may be unstable."""

from collections.abc import Callable

import numpy as np

from metalqr.lqr.evaluation import UnstablePolicyError
from metalqr.lqr.tasks import FloatArray, LQRTasks


def tiled(tasks: LQRTasks, times: int) -> LQRTasks:
    """All tasks, that many times over: task i of the n-th time has the index n I + i.

    So every function of (tasks, K) serves many gains, shape (n, k, d), at once, as
    ``function(tiled(tasks, n), np.repeat(gains, tasks.count, axis=0))``.

    Parameters
    ----------
    tasks : LQRTasks
    times : int
        At least 1.

    Returns
    -------
    LQRTasks
    """
    return tasks.subset(np.tile(np.arange(tasks.count), times))


def where_stabilising(
    function: Callable[[FloatArray], FloatArray], gains: FloatArray, stabilising: FloatArray
) -> FloatArray:
    """Evaluate an exact quantity at the gains where it exists.

    Parameters
    ----------
    function : callable
        From gains (I, k, d) to values (I, ...), raising :class:`metalqr.lqr.UnstablePolicyError` where there is none.
    gains : array, shape (I, k, d)
        Not necessarily finite.
    stabilising : array, shape (k, d)
        A gain at which the function exists for every task; it stands in for the others.

    Returns
    -------
    array, shape (I, ...)
        Not a number where the function does not exist.

    Raises
    ------
    UnstablePolicyError
        If the function does not exist at the gain that should be stabilising.
    """
    known = np.asarray(np.isfinite(gains).all(axis=(1, 2)))
    while True:
        try:
            values = function(np.where(known[:, np.newaxis, np.newaxis], gains, stabilising))
        except UnstablePolicyError as error:
            lost = list(error.task_indices)
            if not known[lost].all():
                raise
            known[lost] = False
        else:
            return np.where(known.reshape(-1, *(1,) * (values.ndim - 1)), values, np.nan)

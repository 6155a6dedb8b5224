"""Exact quantities at many gains of which some may be unstable."""

from collections.abc import Callable

import numpy as np

from metalqr.lqr.quantities import UnstablePolicyError
from metalqr.lqr.tasks import FloatArray


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

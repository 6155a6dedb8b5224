"""Quantiles over all tasks, of which those that a gain does not stabilise count as infinite."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray


def quantile(values: ArrayLike, share: float, axis: int = -1) -> FloatArray:
    """The quantile of values that may be infinite, along an axis; between two of them, their mean.

    As the method ``averaged_inverted_cdf`` of NumPy, so that 0.5 is the usual median; NumPy's own interpolation makes
    NaN of two infinite values.

    Parameters
    ----------
    values : array_like
        Without NaN.
    share : float
        From 0 to 1.
    axis : int

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If the share is out of range, there is no value, or one is not a number.

    Examples
    --------
    >>> float(quantile([3.0, 1.0, np.inf, 2.0], 0.5)), float(quantile([1.0, np.inf, np.inf], 0.9))
    (2.5, inf)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=axis)
    count = ordered.shape[axis]
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share: {share!r} is not from 0 to 1")
    if not count or np.isnan(ordered).any():
        raise ValueError("values: there is none, or one is not a number; an unstable task counts as infinite")
    place = share * count
    whole = round(place)
    if abs(place - whole) > 1e-9 * count:
        low = high = int(np.floor(place))
    else:
        low, high = max(whole - 1, 0), min(whole, count - 1)
    return np.asarray(0.5 * (np.take(ordered, low, axis) + np.take(ordered, high, axis)))

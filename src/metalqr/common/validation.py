"""Checks of arguments, which return them as what they are, or raise a ValueError that says what they must be."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_number(name: str, value: Any, at_least: int = 1, at_most: int | None = None) -> int:
    """Check a whole number in a range; NumPy's count too, truth values do not.

    Examples
    --------
    >>> whole_number("length", 0)
    Traceback (most recent call last):
    ValueError: length: 0 is not a whole number >= 1
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < at_least or (at_most is not None and value > at_most):
        allowed = f">= {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise ValueError(f"{name}: {value!r} is not a whole number {allowed}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Check a finite number > 0."""
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a finite number > 0")
    return float(value)


def not_negative(name: str, value: Any) -> float:
    """Check a finite number >= 0."""
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a finite number >= 0")
    return float(value)


def real_array(name: str, values: ArrayLike | None) -> NDArray[np.float64]:
    """Check an array of real numbers; text and truth values are none, and complex ones would lose a part.

    Examples
    --------
    >>> real_array("K", [[1.0 + 1.0j]])
    Traceback (most recent call last):
    ValueError: K holds values of type complex128; give real numbers
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: its rows, or its matrices, differ in length; {error}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds values of type {array.dtype}; give real numbers")
    return array.astype(np.float64, copy=False)


def finite_array(name: str, values: ArrayLike, expected: str, *shapes: tuple[int, ...]) -> NDArray[np.float64]:
    """Check an array of finite numbers, of one of the shapes, which ``expected`` puts into words."""
    array = real_array(name, values)
    if array.shape not in shapes:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not finite; give finite numbers")
    return array

"""Checks of arguments, whose messages name the argument, the value and what it must be."""

import math
from typing import Any

import numpy as np


def whole_number(name: str, value: Any, at_least: int = 1, at_most: int | None = None) -> int:
    """Return the value as an int; NumPy's whole numbers count too, truth values do not.

    Raises
    ------
    ValueError
        If it is no whole number in the range.

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
    """Return the value as a float.

    Raises
    ------
    ValueError
        If it is not finite and positive.
    """
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a finite number > 0")
    return float(value)


def not_negative(name: str, value: Any) -> float:
    """Return the value as a float.

    Raises
    ------
    ValueError
        If it is not finite and at least 0.
    """
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a finite number >= 0")
    return float(value)

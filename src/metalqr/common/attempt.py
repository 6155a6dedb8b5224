"""Computations that may fail on a case's tasks without harming anything else."""

import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def attempt(compute: Callable[[], Result], absent: Callable[[str], Result]) -> Result:
    """Compute, or return what ``absent`` makes of the reason why not: a file then holds the reason in its place.

    Examples
    --------
    >>> attempt(lambda: 1 / 0, lambda reason: f"none: {reason}")
    'none: division by zero'
    """
    try:
        return compute()
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        _log.warning("%s", error)
        return absent(str(error))

"""Checks of what both kinds of descent are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, UnstablePolicyError


def checked_iterations(iterations: Any) -> int:
    """Number of iterations.

    Raises
    ------
    ValueError
        If it is not a whole number >= 1.
    """
    if isinstance(iterations, bool) or not isinstance(iterations, int | np.integer) or iterations < 1:
        raise ValueError(f"iterations is {iterations!r}; give a whole number >= 1")
    return int(iterations)


def checked_step(step: ArrayLike, count: int) -> FloatArray:
    """Step sizes, one for each descent, shape (count,).

    Raises
    ------
    ValueError
        If it is neither one number nor one for each descent, or one of them is not a finite number > 0.
    """
    steps = np.asarray(step, dtype=np.float64)
    if steps.shape not in ((), (count,)):
        expected = "one number" if count == 1 else f"one number, or {count}, one per task"
        raise ValueError(f"step has the shape {steps.shape}; give {expected}")
    if not np.all(np.isfinite(steps) & (steps > 0)):
        raise ValueError(f"step is {steps.tolist()}; give finite numbers > 0")
    return np.broadcast_to(steps, (count,)).copy()


def require_finite(K: FloatArray, tasks: Sequence[int], name: str) -> None:
    """Refuse gains that have left the range of numbers; of what stabilises nothing, they are the extreme.

    Raises
    ------
    UnstablePolicyError
        If an entry is not finite.
    """
    if not np.isfinite(K).all():
        raise UnstablePolicyError(tasks, [np.inf] * len(tasks), name)

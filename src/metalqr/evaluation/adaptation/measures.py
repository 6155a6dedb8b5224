"""Measures of adaptation: gaps to the optima, regret, steps to a gap, and their summaries with unstable gains counted.

A cost, and with it a gap, is infinite where a gain does not stabilise its task. Nothing here leaves such a gain out:
medians and quantiles are over all, and there are no means.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import FloatArray
from metalqr.results.runs import ZERO_COST

#: Gaps to which steps are counted.
TARGETS = (0.1, 0.01)


#: Axes that a summary is over, by default all.
Axes = int | tuple[int, ...] | None


def is_relative(optimal_cost: FloatArray, other_cost: FloatArray) -> bool:
    """True if every optimal cost (I,) is more than the rounding of another gain's, so that a gap can be relative to it.

    Another cost that is infinite does not count.
    """
    scale = np.where(np.isfinite(other_cost), other_cost, 0.0)
    return bool((optimal_cost > ZERO_COST * scale).all())


def gap(excess: FloatArray, optimal_cost: FloatArray, relative: bool = True) -> FloatArray:
    r""":math:`(J_i - J_i^*) / J_i^*` of :math:`J_i - J_i^*` (..., I, s + 1); that itself if not ``relative``."""
    return np.asarray(excess / optimal_cost[:, np.newaxis] if relative else excess)


def regret(excess: FloatArray) -> FloatArray:
    r"""Regret :math:`\sum_{j<s} (J_i(K_i^j) - J_i^*)` of the adaptation steps 1 to s, of the shape of ``excess``.

    A step is taken at :math:`K_i^j`, whose rollouts cost this much more than those of the optimum: times the rollouts
    of a step, it is the regret in costs of rollouts. The gain that results counts at the next step. Infinite from the
    first step at an unstable gain on.
    """
    sums = np.cumsum(excess[..., :-1], axis=-1)
    return np.concatenate([np.zeros_like(excess[..., :1]), sums], axis=-1)


def steps_to(gaps: FloatArray, target: float) -> FloatArray:
    """The first step at which a gap (..., s + 1) is at most the target; infinite if none is."""
    reached = gaps <= target
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1), np.inf)


def median(values: FloatArray, axis: Axes = None) -> FloatArray:
    """The median; of an even number with an infinite one in the middle, infinite."""
    return np.asarray(np.median(values, axis=axis))


def lower_median(values: FloatArray, axis: int | None = None) -> FloatArray:
    """The lower median, which is one of the values even where others are infinite, of either sign."""
    ordered = np.sort(values, axis=axis)
    return np.asarray(ordered.take((ordered.shape[axis or 0] - 1) // 2, axis or 0))


def quantile(values: FloatArray, share: float, axis: Axes = None) -> FloatArray:
    """The least value that is not below so large a share of all: without interpolation, since some may be infinite."""
    return np.asarray(np.quantile(values, share, axis=axis, method="inverted_cdf"))


def unstable_share(values: FloatArray, axis: Axes = None) -> FloatArray:
    """The share of values that are infinite."""
    return np.asarray(np.isinf(values).mean(axis=axis))


def difference(gaps: ArrayLike, others: ArrayLike) -> FloatArray:
    """Gaps less those of another method on the same tasks and noise; 0 where both are unstable."""
    first, second = np.broadcast_arrays(np.asarray(gaps, np.float64), np.asarray(others, np.float64))
    both = np.isposinf(first) & np.isposinf(second)
    return np.subtract(first, second, where=~both, out=np.zeros(first.shape))


def best_rate(gaps: FloatArray) -> NDArray[np.int64]:
    """Place of the step size with the lowest median gap (C, ...), for each of the others a place.

    The step sizes are in ascending order: of equals, as where nothing stays stable, the smallest is chosen.
    """
    return np.asarray(gaps.argmin(axis=0))

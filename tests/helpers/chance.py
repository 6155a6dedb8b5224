"""Comparisons of statistics with their exact distributions, which ideal numbers fail with a probability of 7e-6."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

Counts = NDArray[Any]
SIGNIFICANCE = 2 * scipy.stats.norm.sf(4.5)


def require_standard(errors: NDArray[np.float64]) -> None:
    """Errors in units of their standard error: the largest must be one that a normal may have."""
    bound = scipy.stats.norm.isf(SIGNIFICANCE / 2 / np.size(errors))
    assert np.abs(errors).max() < bound, (errors, bound)


def require_counts(counts: Counts, expected: NDArray[np.float64]) -> None:
    """Chi-square of counts in cells, neither too large nor too small to be chance; the cells contain all numbers."""
    assert counts.sum() == pytest.approx(expected.sum())
    assert expected.min() > 20
    statistic, freedom = ((counts - expected) ** 2 / expected).sum(), counts.size - 1
    assert scipy.stats.chi2.sf(statistic, freedom) > SIGNIFICANCE / 2
    assert scipy.stats.chi2.cdf(statistic, freedom) > SIGNIFICANCE / 2

"""Chances of instability and quantiles of the ratio, against distributions in closed form."""

import numpy as np
import pytest
from scipy import stats
from systems import scalar_tasks

from metalqr import MetaSettings
from metalqr.prediction.spread import GAIN_SAMPLES, Quadratic, Spread

TASKS = scalar_tasks([0.8, 0.6], [1.0, 1.2], p=[0.3, 0.7])
SETTINGS = MetaSettings(learning_rate=1.0, adaptation_rate=0.0, smoothing_radius=0.3)
SPREAD = Spread(TASKS, SETTINGS, 3)


def _inside(low: float, high: float, mean: float, deviation: float) -> float:
    return float(stats.norm.cdf(high, mean, deviation) - stats.norm.cdf(low, mean, deviation))


def test_chances_are_those_of_a_normal_gain() -> None:
    """Task 1 is stable for gains in (-0.2, 1.8), task 2 in (-1/3, 4/3); 4.5 standard errors of 500 samples."""
    mean, deviation = 0.4, 0.6
    found = SPREAD.chances(np.array([[mean]]), np.array([[deviation**2]]))
    leaving = 1.0 - _inside(-0.2, 4 / 3, mean, deviation)
    shares = [
        np.mean([1.0 - _inside(*bounds, mean + sign * 0.3, deviation) for sign in (1, -1)])
        for bounds in ((-0.2, 1.8), (-1 / 3, 4 / 3))
    ]
    share = 0.3 * shares[0] + 0.7 * shares[1]
    error = 4.5 * 0.5 / np.sqrt(GAIN_SAMPLES)
    assert found.leaving == pytest.approx(leaving, abs=error)
    assert found.unstable_share == pytest.approx(share, abs=error)
    assert 2 * error < leaving < 1 - 2 * error


def test_without_fluctuations_nothing_varies() -> None:
    zero = np.zeros((1, 1))
    assert SPREAD.chances(np.array([[0.4]]), zero) == (0.0, 0.0)
    samples = SPREAD.ratios(Quadratic(0.2, np.ones(1), np.ones((1, 1))), zero)
    assert (samples == 0.2).all()


def test_ratio_is_a_chi_square_with_a_linear_term() -> None:
    """f + b z + l z²/2 = l/2 (z + b/l)² + f - b²/2l, a noncentral chi-square with one degree of freedom."""
    value, slope, form, deviation = 1.0, 0.5, 2.0, 0.7
    b, scaled = slope * deviation, form * deviation**2
    samples = SPREAD.ratios(Quadratic(value, np.array([slope]), np.array([[form]])), np.array([[deviation**2]]))
    law = stats.ncx2(1, (b / scaled) ** 2, loc=value - b**2 / (2 * scaled), scale=scaled / 2)
    assert stats.kstest(samples, law.cdf).pvalue > 1e-3
    near = Quadratic(value, np.array([slope]), np.array([[form]]))
    assert near.expected(np.array([[deviation**2]])) == pytest.approx(law.mean())

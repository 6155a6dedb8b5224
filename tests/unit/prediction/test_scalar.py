"""One state and one input: the prediction against recursions of numbers, written out here."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import Array, scalar_tasks

from metalqr import MetaSettings, optimal
from metalqr.prediction import mean_path, predict

A, B, Q, R, PSI = np.array([0.8, 0.6]), np.array([1.0, 0.7]), np.array([1.0, 0.5]), np.array([0.4, 0.9]), 0.5
P = np.array([0.3, 0.7])
TASKS = scalar_tasks(A, B, Q, R, PSI, p=P)
LENGTH, COUNT, RADIUS = 6, 90, 0.03
SETTINGS = MetaSettings(
    method="mean_cost",
    learning_rate=0.02,
    adaptation_rate=0.0,
    perturbations=COUNT,
    smoothing_radius=RADIUS,
    rollout_length=6,
    iterations=40,
)
K0 = np.array([[0.05]])
#: What is of fourth order in the radius, and in the steps of differences.
CLOSE = 5e-4


def _moments(K: float) -> tuple[Array, Array]:
    """Mean and variance of a rollout's cost, from the covariances of all pairs of states, shape (2,) each."""
    closed, weight = A - B * K, Q + R * K**2
    covariance = np.zeros((LENGTH + 1, LENGTH + 1, 2))
    variances = [np.full(2, PSI)]
    for _ in range(LENGTH):
        variances.append(closed**2 * variances[-1] + PSI)
    for row in range(LENGTH + 1):
        for column in range(LENGTH + 1):
            covariance[row, column] = closed ** abs(row - column) * variances[min(row, column)]
    inside = covariance[1:, 1:]
    mean = weight * np.einsum("lli->i", inside) / LENGTH
    return mean, 2.0 * weight**2 * (inside**2).sum(axis=(0, 1)) / LENGTH**2


def _ratio(K: float) -> float:
    closed = A - B * K
    cost = (Q + R * K**2) * PSI / (1.0 - closed**2)
    return float(cost.sum() / optimal.optimal_gains(TASKS).cost.sum() - 1.0)


def _slopes(K: float) -> Array:
    """Gradients of the smoothed costs: on a sphere of two points, a difference quotient."""
    return np.asarray((_moments(K + RADIUS)[0] - _moments(K - RADIUS)[0]) / (2 * RADIUS))


def _gradient(K: float) -> float:
    return float(P @ _slopes(K))


def _noise(K: float, before: float | None, estimator: str) -> Array:
    """Covariance of the estimate of each task: of coefficients at K + r and K - r, with equal chances."""
    (high, high_variance), (low, low_variance) = _moments(K + RADIUS), _moments(K - RADIUS)
    slope = (high - low) / (2 * RADIUS)
    if estimator == "two_point":
        return np.asarray((high_variance + low_variance) / (4 * RADIUS**2 * COUNT))
    if estimator == "residual" and before is not None:
        (old_high, old_high_variance), (old_low, old_low_variance) = (
            _moments(before + RADIUS),
            _moments(before - RADIUS),
        )
        squares = [
            (new - old) ** 2 + new_variance + old_variance
            for new, new_variance in ((high, high_variance), (low, low_variance))
            for old, old_variance in ((old_high, old_high_variance), (old_low, old_low_variance))
        ]
        return np.asarray((sum(squares) / 4 / RADIUS**2 - slope**2) / COUNT)
    square = (high**2 + high_variance + low**2 + low_variance) / 2
    return np.asarray((square / RADIUS**2 - slope**2) / COUNT)


def _derivative(function: Callable[[float], float], K: float, order: int) -> float:
    step = 1e-3
    if order == 1:
        return (function(K + step) - function(K - step)) / (2 * step)
    return (function(K + step) - 2 * function(K) + function(K - step)) / step**2


def _recursion(
    estimator: str, momentum: float, decay: float, batch: int | None, corrects: bool
) -> tuple[list[float], list[float]]:
    """Mean gains and expected ratios, number by number."""
    K, velocity, before = K0.item(), 0.0, None
    ee = ev = vv = 0.0
    gains, ratios = [K], [_ratio(K)]
    for step in range(SETTINGS.iterations):
        rate = SETTINGS.learning_rate / (1.0 + step / decay if decay else 1.0)
        h, each = _derivative(_gradient, K, 1), _noise(K, before, estimator)
        if batch is None:
            noise = float(P**2 @ each)
        else:
            slopes = _slopes(K)
            noise = float(P @ each + P @ (slopes - P @ slopes) ** 2) / batch
        pull = 0.5 * _derivative(_gradient, K, 2) * ee if corrects else 0.0
        velocity = momentum * velocity + _gradient(K) + pull
        before, K = K, K - rate * velocity
        new_vv = momentum**2 * vv + 2 * momentum * h * ev + h**2 * ee + noise
        new_ev = momentum * ev + h * ee
        ee, ev, vv = ee - 2 * rate * new_ev + rate**2 * new_vv, new_ev - rate * new_vv, new_vv
        gains.append(K)
        ratios.append(_ratio(K) + 0.5 * _derivative(_ratio, K, 2) * ee)
    return gains, ratios


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["one_point", "two_point", "residual"])
@pytest.mark.parametrize(("momentum", "decay", "batch"), [(0.0, 0.0, None), (0.7, 0.0, None), (0.0, 40.0, 3)])
def test_mean_and_expected_ratio(
    estimator: str, momentum: float, decay: float, batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything computed at every gain; and by default, at some of them, not much else."""
    settings = SETTINGS.replace(estimator=estimator, learning_rate_decay=decay, task_batch=batch or "all")
    if momentum:
        settings = settings.replace(update_rule="momentum", momentum_decay=momentum)
    by_default = predict(TASKS, K0, settings)
    monkeypatch.setattr(mean_path, "MAX_POINTS", 10_000)
    for corrects in (True, False):
        gains, ratios = _recursion(estimator, momentum, decay, batch, corrects)
        found = predict(TASKS, K0, settings, corrects=corrects)
        assert found.noise_kind == "exact"
        assert_allclose(found.K.ravel(), gains, rtol=CLOSE)
        assert_allclose(found.ratio, ratios, rtol=5 * CLOSE)
        assert found.ratio[-1] > (1.0 + 25 * CLOSE) * found.path_ratio[-1]  # the noise shows
        if corrects:
            assert_allclose(by_default.ratio, ratios, rtol=0.01)


@pytest.mark.slow
def test_the_ratio_after_infinitely_many_iterations() -> None:
    """The end of 3000 iterations."""
    settings = SETTINGS.replace(iterations=3000)
    found = predict(TASKS, K0, settings)
    assert found.stationary_ratio == pytest.approx(found.ratio[-1], rel=1e-3)
    assert found.stationary_ratio == pytest.approx(predict(TASKS, K0, SETTINGS).stationary_ratio, rel=1e-3)
    assert found.stationary_ratio > 1.05 * found.path_ratio[-1]
    with_decay = predict(TASKS, K0, settings.replace(learning_rate_decay=10.0))
    assert with_decay.stationary_ratio < found.stationary_ratio


@pytest.mark.slow
def test_the_mean_of_the_last_gains_varies_less() -> None:
    found = predict(TASKS, K0, SETTINGS.replace(average_last=0.5, iterations=1000))
    assert found.path_ratio[-1] < found.average[0] < found.ratio[-1]
    assert found.average[2] <= found.average[1] <= found.average[3]
    assert np.isnan(predict(TASKS, K0, SETTINGS).average).all()


def test_band_holds_what_a_gaussian_gain_gives() -> None:
    """Quantiles of the quadratic form, against the same of a fresh Gaussian of the predicted covariance."""
    found = predict(TASKS, K0, SETTINGS)
    K, deviation = found.K[-1].item(), np.sqrt(found.covariance.item())
    e = deviation * np.random.default_rng(5).standard_normal(200_000)
    ratios = _ratio(K) + _derivative(_ratio, K, 1) * e + 0.5 * _derivative(_ratio, K, 2) * e**2
    expected = np.quantile(ratios, [0.05, 0.5, 0.95])
    assert_allclose([found.lower[-1], found.median[-1], found.upper[-1]], expected, rtol=0.03)
    assert found.ratio[-1] == pytest.approx(ratios.mean(), rel=0.01)

"""The objective that is followed, its smoothing and its inner noise, against differences and samples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import Array, similar_tasks

from metalqr import MetaSettings, Stream, estimators, lqr
from metalqr.lqr import LQRTasks
from metalqr.prediction import objective as module
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.objective import Objective

SETTINGS = MetaSettings(
    learning_rate=1.0, adaptation_rate=0.004, smoothing_radius=0.05, rollout_length=6, inner_perturbations=30
)


def _problem(dims: tuple[int, int]) -> tuple[LQRTasks, Array]:
    tasks = similar_tasks(8, 3, *dims)
    return tasks, 0.05 * np.random.default_rng(1).standard_normal((dims[1], dims[0]))


def _value(tasks: LQRTasks, gains: Array, rate: float) -> Array:
    """The mean of the adapted costs of rollouts at gains (P, k, d), shape (P,)."""
    many, each = lqr.tiled(tasks, len(gains)), np.repeat(gains, tasks.count, axis=0)
    adapted = each - rate * lqr.finite_horizon_gradient(many, each, SETTINGS.rollout_length)
    costs = lqr.finite_horizon_cost(many, adapted, SETTINGS.rollout_length)
    return np.asarray(costs.reshape(len(gains), -1) @ tasks.p)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 1e-7, 0.004])
@pytest.mark.parametrize("directions", ["sphere", "gaussian"])
def test_gradient_is_that_of_the_smoothed_cost(rate: float, directions: str) -> None:
    r"""Of the mean over V, from 20 000 pairs of a ball or a Gaussian, whose difference quotients are averaged."""
    tasks, K = _problem((2, 2))
    settings = SETTINGS.replace(directions=directions, smoothing_radius=0.02)
    rng, radius = np.random.default_rng(3), settings.smoothing_radius
    V = rng.standard_normal((5000, 4))
    if directions == "sphere":
        V *= rng.uniform(size=(5000, 1)) ** 0.25 / np.linalg.norm(V, axis=1, keepdims=True)
    else:
        V /= 2.0
    V = radius * V.reshape(-1, 2, 2)
    step, found = 1e-4, Objective(tasks, settings, rate, K).gradient(K)
    unsmoothed = Objective(tasks, settings.replace(smoothing_radius=1e-3), rate, K).gradient(K)
    added = float(np.linalg.norm(found - unsmoothed))
    for entry, unit in enumerate(np.eye(4).reshape(-1, 2, 2)):
        # The gradient itself is subtracted, so that the error of the mean is that of the curvature in V alone.
        pairs = [[_value(tasks, K + s * V + t * step * unit, rate) for t in (1, -1)] for s in (1, -1)]
        slopes = sum((high - low) / (4 * step) for high, low in pairs)
        error = float(np.std(slopes)) / np.sqrt(len(V))
        # What is of fourth order in the radius.
        assert abs(np.mean(slopes) - found.flat[entry]) < 4.5 * error + 0.03 * added
        assert added > 20 * error  # the smoothing shows


@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("rate", [0.0, 0.004])
def test_hessian_is_the_derivative_of_the_gradient(dims: tuple[int, int], rate: float) -> None:
    tasks, K = _problem(dims)
    objective = Objective(tasks, SETTINGS.replace(smoothing_radius=0.02), rate, K)
    found, step = objective.hessian(K), 1e-4
    for column, unit in enumerate(np.eye(K.size).reshape(-1, *K.shape)):
        slope = (objective.gradient(K + step * unit) - objective.gradient(K - step * unit)) / (2 * step)
        assert_allclose(found[:, column], slope.ravel(), rtol=1e-3, atol=1e-3 * np.abs(found).max())


def test_correction_is_the_third_derivative() -> None:
    """Of the average cost, to which long rollouts tend; in exact directions, and in random ones."""
    tasks, K = _problem((2, 2))
    S = np.array([[2.0, 0.3, 0.0, 0.1], [0.3, 1.0, 0.2, 0.0], [0.0, 0.2, 0.5, 0.1], [0.1, 0.0, 0.1, 0.0]])
    S = S @ S.T * 1e-3
    values, vectors = np.linalg.eigh(S)
    expected = np.zeros_like(K)
    for value, vector in zip(values, vectors.T, strict=True):
        X = vector.reshape(2, 2)
        expected += 0.5 * value * np.tensordot(tasks.p, lqr.third_derivative(tasks, K, X, X), axes=1)
    objective = Objective(tasks, SETTINGS.replace(rollout_length=20_000, smoothing_radius=0.01), 0.0, K)
    assert_allclose(objective.correction(K, S), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert not objective.correction(K, np.zeros((4, 4))).any()


@pytest.mark.slow
def test_correction_in_random_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thirty entries: in the mean of 200 sets of directions the exact one, from which half are within a half."""
    tasks, K = _problem((6, 5))
    objective = Objective(tasks, SETTINGS.replace(rollout_length=10), 0.0, K)
    step, exact = 1e-3, np.zeros_like(K)
    for unit in np.eye(30).reshape(-1, 5, 6):
        at = (lqr.finite_horizon_gradient(tasks, K + sign * step * unit, 10) for sign in (1, 0, -1))
        high, middle, low = (np.tensordot(tasks.p, each, axes=1) for each in at)
        exact += 0.5e-3 * (high - 2 * middle + low) / step**2
    samples = []
    for seed in range(200):
        monkeypatch.setattr(module, "_SEED", seed)
        samples.append(objective.correction(K, 1e-3 * np.eye(30)) - exact)
    size = np.linalg.norm(exact)
    assert np.median(np.linalg.norm(samples, axis=(1, 2))) < 0.5 * size
    assert np.linalg.norm(np.mean(samples, axis=0)) < 0.08 * size


@pytest.mark.slow
@pytest.mark.parametrize("inner", ["one_point", "two_point"])
def test_inner_noise_against_estimates(inner: str) -> None:
    """Mean and variance of the cost after an adaptation by 4000 estimates of each task, within 4.5 standard errors."""
    tasks, K = _problem((2, 2))
    settings = SETTINGS.replace(adaptation_rate=3e-4, inner_estimator=inner, inner_smoothing_radius=0.02)
    objective = Objective(tasks, settings, settings.adaptation_rate, K)
    noise, copies, length = InnerNoise(objective, settings), 4000, settings.rollout_length
    many = lqr.tiled(tasks, copies)
    estimates = estimators.estimate_gradient(many, K, settings, Stream(3)).reshape(copies, tasks.count, 2, 2)
    adapted = K - settings.adaptation_rate * estimates
    costs = lqr.finite_horizon_cost(many, adapted.reshape(-1, 2, 2), length).reshape(copies, -1)
    # At the mean of the estimates, whose own error and bias, of first order, are not what is tested.
    added = costs - lqr.finite_horizon_cost(tasks, adapted.mean(axis=0), length)
    found = noise.moments(K)
    slope = lqr.finite_horizon_gradient(tasks, adapted.mean(axis=0), length)
    linear = np.einsum("pikd,ikd->pi", adapted - adapted.mean(axis=0), slope)
    error = (added - linear).std(axis=0) / np.sqrt(copies)
    # A tenth for what is of third and fourth order.
    assert (np.abs((added - linear).mean(axis=0) - found.mean) < 4.5 * error + 0.1 * found.mean).all()
    assert (found.mean > 10 * error).all()
    spread = costs.var(axis=0)
    fourth = ((costs - costs.mean(axis=0)) ** 4).mean(axis=0)
    assert (np.abs(spread - found.variance) < 4.5 * np.sqrt(fourth / copies) + 0.1 * found.variance).all()


def test_derivatives_of_the_inner_noise() -> None:
    tasks, K = _problem((2, 1))
    objective = Objective(tasks, SETTINGS, SETTINGS.adaptation_rate, K)
    noise, step = InnerNoise(objective, SETTINGS), 1e-3
    gradient, hessian = noise.gradient(K), noise.hessian(K)
    for entry, unit in enumerate(np.eye(2).reshape(-1, 1, 2)):
        high, low = (float(tasks.p @ noise.moments(K + sign * step * unit).mean) for sign in (1, -1))
        assert gradient.flat[entry] == pytest.approx((high - low) / (2 * step), rel=1e-3)
        slope = (noise.gradient(K + step * unit) - noise.gradient(K - step * unit)) / (2 * step)
        assert_allclose(hessian[:, entry], slope.ravel(), rtol=5e-3, atol=5e-3 * np.abs(hessian).max())

"""The mean of every estimator, with every distribution of directions, against the expectation by independent means.

Two tasks with one state and two actions. Their finite-horizon cost is a polynomial of the gain, so an average over
directions in the plane is a quadrature sum without error. Of an adapted cost, which has the noise of the inner
estimate in it, plain NumPy rollouts give the expectation, and its standard error is allowed for.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal
from planar import LENGTH, K, P, copies, cost, plane, rollout_cost, unit_directions

from metalqr import estimators, lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.estimators.estimator import Array, Direction
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.simulation.streams import Stream

SETTINGS = MetaSettings(
    learning_rate=1.0,
    adaptation_rate=0.09,
    perturbations=5,
    inner_perturbations=3,
    smoothing_radius=0.4,
    inner_smoothing_radius=0.6,
    rollout_length=LENGTH,
)
#: Many copies of both tasks, for as many independent estimates at once.
COPIES = 500

ESTIMATORS: dict[str, dict[str, Any]] = {
    "one_point": {"estimator": "one_point"},
    "one_point_baseline": {"estimator": "one_point_baseline"},
    "two_point": {"estimator": "two_point"},
    "two_point_common_noise": {"estimator": "two_point", "common_noise": True},
    "residual": {"estimator": "residual"},
}
INNER = [name for name in ESTIMATORS if name != "residual"]
DIRECTIONS = pytest.mark.parametrize("directions", ["sphere", "gaussian", "orthogonal"])
BATCHES = pytest.mark.parametrize("batch", ["all", pytest.param(COPIES, marks=pytest.mark.slow)], ids=["all", "half"])


# --- the expectations ---


def _smoothed_gradient(cost: Callable[[Array], Array], directions: str) -> Array:
    """(n / r^2) E[cost(K + U) U] of each task: on the circle by the trapezoidal rule, or by that of Gauss."""
    U, weights = plane(directions)
    U = SETTINGS.smoothing_radius * U
    values = cost((K[:, 0] + U)[:, np.newaxis].repeat(2, axis=1))
    return 2 / SETTINGS.smoothing_radius**2 * np.einsum("q,qi,qa->ia", weights, values, U)[..., np.newaxis]


def _adapted_cost(gains: Array, inner: str, directions: str, seed: int, count: int) -> Array:
    """The mean of J(K - eta g(K)) over samples of the inner estimate g, the same random numbers at every gain."""
    rng, r = np.random.default_rng(seed), SETTINGS.inner.radius
    U = r * unit_directions(rng, directions, count)
    signs = (1, -1) if inner.startswith("two_point") else (1,)
    noise = rng.standard_normal((2, SETTINGS.rollout_length + 1, count, 3, 2))
    if inner == "two_point_common_noise":
        noise[1] = noise[0]
    found = []
    for gain in gains:
        values = [rollout_cost(gain + sign * U, each) for sign, each in zip(signs, noise, strict=False)]
        coefficients = 0.5 * (values[0] - values[1]) if len(signs) == 2 else values[0]
        if inner == "one_point_baseline":
            coefficients = coefficients - (coefficients.sum(axis=1, keepdims=True) - coefficients) / 2
        gradients = 2 / (3 * r**2) * np.einsum("smi,smia->sia", coefficients, U)
        found.append(cost(gain - SETTINGS.adaptation_rate * gradients).mean(axis=0))
    return np.array(found)


@functools.cache
def _adapted_gradients(inner: str, directions: str) -> Array:
    """The gradient of the smoothed adapted cost, from each of 12 batches of samples."""
    costs = [
        functools.partial(_adapted_cost, inner=inner, directions=directions, seed=s, count=1000) for s in range(12)
    ]
    return np.array([np.tensordot(P, _smoothed_gradient(cost, directions), 1) for cost in costs])


# --- the estimates ---


def _estimates(estimate: Callable[..., Direction], settings: MetaSettings, repeats: int = 60) -> Array:
    """Estimates with different seeds; of an estimator with a memory, those of the second iteration at the gain."""
    tasks, found = copies(COPIES), []
    for seed in range(repeats):
        result = estimate(tasks, K, settings, Stream(seed))
        if result.memory:
            result = estimate(tasks, K, settings, Stream(seed, 1), result.memory)
        found.append(result.gradient)
    return np.array(found)


def test_the_cost_is_the_finite_horizon_cost() -> None:
    gains = np.array([[0.8, -0.7], [-0.3, 2.0], [5.0, 4.0]])
    exact = [lqr.finite_horizon_cost(copies(1), gain.reshape(2, 1), SETTINGS.rollout_length) for gain in gains]
    assert_allclose(cost(gains[:, np.newaxis].repeat(2, axis=1)), exact, rtol=1e-13)


@DIRECTIONS
@pytest.mark.parametrize("estimator", INNER)
def test_mean_in_the_inner_layer(estimator: str, directions: str) -> None:
    """Five perturbations, for orthogonal ones two blocks and one left over. 4.5 standard errors."""
    settings = SETTINGS.replace(inner_perturbations=5, inner_smoothing_radius=0.4, directions=directions)
    settings = settings.replace(**ESTIMATORS[estimator])
    found = estimators.estimate_gradient(copies(40 * COPIES), K, settings, Stream(1)).reshape(-1, 2, 2, 1)
    exact = _smoothed_gradient(cost, directions)
    twins.within(found, exact)
    # Small enough to tell the tasks apart, and this gradient from that of the cost itself.
    error = found.std(axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(exact[0] - exact[1]).max() > 15 * error)


@DIRECTIONS
@BATCHES
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mean_in_the_outer_layer(estimator: str, directions: str, batch: Any) -> None:
    """Without an adaptation: the mean cost, and Algorithm 2 with eta = 0. 4.5 standard errors.

    Half as many tasks as there are, drawn with replacement by a distribution that is not uniform.
    """
    settings = SETTINGS.replace(directions=directions, task_batch=batch, adaptation_rate=0.0, **ESTIMATORS[estimator])
    found = _estimates(estimate_mean_gradient, settings)
    each = _smoothed_gradient(cost, directions)
    twins.within(found, np.tensordot(P, each, 1))
    error = found.std(axis=0) / np.sqrt(len(found))
    # Small enough to tell this distribution of tasks from a uniform one.
    assert np.abs((np.tensordot(P, each, 1) - each.mean(axis=0)) / error).max() > 10
    assert_array_equal(_estimates(estimators.estimate_with_counts, settings, 2), found[:2])


@pytest.mark.slow
@DIRECTIONS
@BATCHES
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mean_of_algorithm_2(estimator: str, directions: str, batch: Any) -> None:
    """The gradient of the smoothed adapted cost. 4.5 standard errors, of which the adaptation moves it by many."""
    settings = SETTINGS.replace(directions=directions, task_batch=batch, **ESTIMATORS[estimator])
    inner = "one_point_baseline" if estimator == "residual" else estimator
    sampled = _adapted_gradients(inner, directions)
    exact, error = sampled.mean(axis=0), sampled.std(axis=0, ddof=1) / np.sqrt(len(sampled))
    found = _estimates(estimators.estimate_with_counts, settings)
    twins.within(found, exact, error=error)
    unadapted = np.tensordot(P, _smoothed_gradient(cost, directions), 1)
    moved = (exact - unadapted) / np.hypot(error, found.std(axis=0) / np.sqrt(len(found)))
    assert np.abs(moved).max() > 6

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

from metalqr import estimators, lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.estimators.estimator import Array, Direction
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.lqr import LQRTasks
from metalqr.simulation.streams import Stream

SETTINGS = MetaSettings(
    learning_rate=1.0,
    adaptation_rate=0.09,
    perturbations=5,
    inner_perturbations=3,
    smoothing_radius=0.4,
    inner_smoothing_radius=0.6,
    rollout_length=4,
)
# One entry for each task. B is small, and K far from the optimum: then an adaptation moves the gradient much, and
# estimates along normal directions have no heavy tails, in which a standard error would mean nothing.
A, Q, PSI, SIGMA0 = (np.array(values) for values in ([0.5, 0.4], [0.05, 0.1], [0.4, 0.8], [0.7, 0.3]))
B = np.array([[0.1, 0.05], [0.05, -0.1]])
R = np.array([[[1.5, 0.3], [0.3, 1.0]], [[0.8, -0.2], [-0.2, 1.2]]])
P = np.array([0.3, 0.7])
K = np.array([[0.8], [-0.7]])
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


def _copies(count: int) -> LQRTasks:
    arrays = (A, B, Q, R, PSI, SIGMA0)
    shapes = ((1, 1), (1, 2), (1, 1), (2, 2), (1, 1), (1, 1))
    tiled = [np.tile(array.reshape(2, *shape), (count, 1, 1)) for array, shape in zip(arrays, shapes, strict=True)]
    return LQRTasks(*tiled).replace(p=np.tile(P, count) / count)


def _stage_cost(gains: Array) -> Array:
    """The factor of the squared state in the cost of a step, for gains (..., 2 tasks, 2)."""
    return Q + np.einsum("...ia,iab,...ib->...i", gains, R, gains)


def _cost(gains: Array) -> Array:
    """The mean cost of a rollout by the variances of its states."""
    closed_loop = A - (gains * B).sum(axis=-1)
    variance, total = SIGMA0, np.zeros_like(closed_loop)
    for _ in range(SETTINGS.rollout_length):
        variance = closed_loop**2 * variance + PSI
        total += variance
    return _stage_cost(gains) * total / SETTINGS.rollout_length


def _rollout_cost(gains: Array, noise: Array) -> Array:
    """The cost of one rollout."""
    closed_loop = A - (gains * B).sum(axis=-1)
    x, total = np.sqrt(SIGMA0) * noise[0], np.zeros_like(closed_loop)
    for w in noise[1:]:
        x = closed_loop * x + np.sqrt(PSI) * w
        total += x**2
    return _stage_cost(gains) * total / SETTINGS.rollout_length


def _smoothed_gradient(cost: Callable[[Array], Array], directions: str) -> Array:
    """(n / r^2) E[cost(K + U) U] of each task: on the circle by the trapezoidal rule, or by that of Gauss."""
    if directions == "gaussian":
        x, weight = np.polynomial.hermite_e.hermegauss(5)
        U = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2) / np.sqrt(2)
        weights = np.outer(weight, weight).ravel() / weight.sum() ** 2
    else:
        angles = 2 * np.pi * np.arange(10) / 10
        U, weights = np.stack([np.cos(angles), np.sin(angles)], axis=-1), np.full(10, 1 / 10)
    U *= SETTINGS.smoothing_radius
    values = cost((K[:, 0] + U)[:, np.newaxis].repeat(2, axis=1))
    return 2 / SETTINGS.smoothing_radius**2 * np.einsum("q,qi,qa->ia", weights, values, U)[..., np.newaxis]


def _unit_directions(rng: np.random.Generator, directions: str, count: int) -> Array:
    """The directions (count, 3, 2 tasks, 2) of inner estimates, for r = 1; orthogonal are the first two of three."""
    z = rng.standard_normal((count, 3, 2, 2))
    if directions == "gaussian":
        return z / np.sqrt(2)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    if directions == "orthogonal":
        side = rng.choice([-1.0, 1.0], size=(count, 2, 1))
        z[:, 1] = side * np.stack([-z[:, 0, :, 1], z[:, 0, :, 0]], axis=-1)
    return z


def _adapted_cost(gains: Array, inner: str, directions: str, seed: int, count: int) -> Array:
    """The mean of J(K - eta g(K)) over samples of the inner estimate g, the same random numbers at every gain."""
    rng, r = np.random.default_rng(seed), SETTINGS.inner.radius
    U = r * _unit_directions(rng, directions, count)
    signs = (1, -1) if inner.startswith("two_point") else (1,)
    noise = rng.standard_normal((2, SETTINGS.rollout_length + 1, count, 3, 2))
    if inner == "two_point_common_noise":
        noise[1] = noise[0]
    found = []
    for gain in gains:
        values = [_rollout_cost(gain + sign * U, each) for sign, each in zip(signs, noise, strict=False)]
        coefficients = 0.5 * (values[0] - values[1]) if len(signs) == 2 else values[0]
        if inner == "one_point_baseline":
            coefficients = coefficients - (coefficients.sum(axis=1, keepdims=True) - coefficients) / 2
        gradients = 2 / (3 * r**2) * np.einsum("smi,smia->sia", coefficients, U)
        found.append(_cost(gain - SETTINGS.adaptation_rate * gradients).mean(axis=0))
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
    tasks, found = _copies(COPIES), []
    for seed in range(repeats):
        result = estimate(tasks, K, settings, Stream(seed))
        if result.memory:
            result = estimate(tasks, K, settings, Stream(seed, 1), result.memory)
        found.append(result.gradient)
    return np.array(found)


def test_the_cost_is_the_finite_horizon_cost() -> None:
    gains = np.array([[0.8, -0.7], [-0.3, 2.0], [5.0, 4.0]])
    exact = [lqr.finite_horizon_cost(_copies(1), gain.reshape(2, 1), SETTINGS.rollout_length) for gain in gains]
    assert_allclose(_cost(gains[:, np.newaxis].repeat(2, axis=1)), exact, rtol=1e-13)


@DIRECTIONS
@pytest.mark.parametrize("estimator", INNER)
def test_mean_in_the_inner_layer(estimator: str, directions: str) -> None:
    """Five perturbations, for orthogonal ones two blocks and one left over. 4.5 standard errors."""
    settings = SETTINGS.replace(inner_perturbations=5, inner_smoothing_radius=0.4, directions=directions)
    settings = settings.replace(**ESTIMATORS[estimator])
    found = estimators.estimate_gradient(_copies(40 * COPIES), K, settings, Stream(1)).reshape(-1, 2, 2, 1)
    exact = _smoothed_gradient(_cost, directions)
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
    each = _smoothed_gradient(_cost, directions)
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
    unadapted = np.tensordot(P, _smoothed_gradient(_cost, directions), 1)
    moved = (exact - unadapted) / np.hypot(error, found.std(axis=0) / np.sqrt(len(found)))
    assert np.abs(moved).max() > 6

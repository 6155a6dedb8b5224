import numpy as np
import pytest
from systems import random_tasks, scalar_tasks, stable_gain

from metalqr import lqr, optimal
from metalqr.theory import certificates


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.5, 3.0, 20.0])
def test_clipped_noisy_steps_rise_no_more_than_the_bound_in_the_mean(seed: int, noise: float) -> None:
    """A simulated mean, with 4.5 standard errors."""
    tasks, rng, draws = random_tasks(seed, count=2, radius=0.8), np.random.default_rng(seed), 4000
    K = stable_gain(tasks, seed) * 0.3
    found = certificates.at(tasks, K)
    gradient = np.tensordot(tasks.p, lqr.gradient(tasks, K), axes=1)
    bias = 0.2 * np.linalg.norm(gradient) * np.ones(K.shape) / np.sqrt(K.size)
    deviation = noise * np.linalg.norm(gradient) / np.sqrt(K.size)
    rate = certificates.largest_expected_step(found, 0.2 * found.gradient_norm, deviation**2 * K.size)
    for factor in (1.0, 30.0):
        alpha = factor * rate
        steps = alpha * (gradient + bias + deviation * rng.standard_normal((draws, *K.shape)))
        sizes = np.linalg.norm(steps, axis=(1, 2), keepdims=True)
        steps = steps * np.minimum(1.0, found.radius / sizes)
        costs = lqr.cost(lqr.tiled(tasks, draws), np.repeat(K - steps, tasks.count, axis=0)).reshape(draws, -1)
        changes = (costs - lqr.cost(tasks, K)) @ tasks.p
        numbers = 0.2 * found.gradient_norm, deviation**2 * K.size
        covariance = deviation**2 * np.eye(K.size)
        curvature = certificates.expected_curvature(tasks, K, 0.0, found.radius, numbers[0], covariance)
        for bound in (
            certificates.expected_change(found, alpha, *numbers),
            certificates.expected_change(found, alpha, *numbers, curvature=curvature),
        ):
            assert changes.mean() <= bound + 4.5 * changes.std() / np.sqrt(draws)


def test_below_the_largest_expected_step_the_objective_falls() -> None:
    found = certificates.at(scalar_tasks(a=0.8), [[0.0]])
    bias, variance = 0.3 * found.gradient_norm, 50.0 * found.gradient_norm**2
    rate = certificates.largest_expected_step(found, bias, variance)
    assert certificates.expected_change(found, 0.99 * rate, bias, variance) < 0
    assert certificates.expected_change(found, rate, bias, variance) == pytest.approx(0, abs=1e-12)
    assert certificates.largest_expected_step(found, 2 * found.gradient_norm, variance) == 0


def test_the_second_order_allows_longer_steps_where_few_directions_are_steep() -> None:
    """Two inputs, one a hundred times as expensive, near the optimum; against the exact expectation of a quadratic."""
    ones = np.array([np.eye(2)])
    tasks = lqr.LQRTasks(A=0.5 * ones, B=ones, Q=ones, R=[np.diag([1.0, 100.0])], Psi=ones)
    K = optimal.optimal_gains(tasks).K[0] + 1e-5
    found, covariance = certificates.at(tasks, K), 1e-2 * np.eye(4)
    curvature = certificates.expected_curvature(tasks, K, 0.0, 1e-4, 0.0, covariance)
    exact = np.trace(lqr.hessian_matrix(tasks, K)[0] @ covariance)
    assert exact <= curvature < 1.5 * exact < found.smoothness * np.trace(covariance)
    first = certificates.largest_expected_step(found, 0.0, np.trace(covariance))
    second = certificates.largest_expected_step(found, 0.0, np.trace(covariance), curvature=curvature)
    assert first < second
    with pytest.raises(ValueError, match="covariance has shape"):
        certificates.expected_curvature(tasks, K, 0.0, 1e-4, 0.0, np.eye(2))


def test_a_walk_leaves_a_level_no_more_often_than_the_bound() -> None:
    """A walk on a quadratic with known noise, for which every quantity of the bound is exact."""
    rng, rate, deviation, steps, level = np.random.default_rng(0), 0.1, 1.0, 20, 0.15
    x, exceeded = np.zeros(20_000), np.zeros(20_000, dtype=bool)
    rises = 0.5 * rate**2 * deviation**2  # of x²/2 in the mean, at x = 0, where it is the largest
    for _ in range(steps):
        x = x - rate * (x + deviation * rng.standard_normal(len(x)))
        exceeded |= 0.5 * x**2 > level
    bound = certificates.leaving_probability(0.0, level, steps * rises)
    assert 0 < exceeded.mean() <= bound < 1
    assert certificates.leaving_probability(3.0, 2.0, 0.0) == 1.0


def test_the_bound_of_the_chance_is_attained() -> None:
    """A fair game that doubles or ends: it reaches 2^j times the start with the probability 2^-j."""
    rng, wealth, top = np.random.default_rng(1), np.ones(100_000), np.ones(100_000)
    for _ in range(10):
        wealth = wealth * 2 * rng.integers(0, 2, len(wealth))
        top = np.maximum(top, wealth)
    bound = certificates.leaving_probability(1.0, 16.0, 0.0)
    share = np.mean(top >= 16.0)
    assert share == pytest.approx(bound, abs=4.5 * np.sqrt(bound / len(top)))

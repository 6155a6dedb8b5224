"""Second moments of a rollout's cost, against sums by hand, closed forms, finite differences and simulated rollouts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from systems import Array, check_derivative, random_tasks, scalar_tasks, stable_gain

from metalqr import Stream, lqr, rollout
from metalqr.lqr import LQRTasks

SIZES = [(1, 1), (2, 2), (4, 2), (3, 5)]


def _all_pairs(tasks: LQRTasks, K: Array, length: int) -> Array:
    """The first form of the variance: every pair of steps, for one gain per task."""
    found = []
    for A, B, Q, R, Psi, covariance, gain in zip(
        tasks.A, tasks.B, tasks.Q, tasks.R, tasks.Psi, tasks.Sigma0, K, strict=True
    ):
        closed, weight, total, covariances = A - B @ gain, Q + gain.T @ R @ gain, 0.0, []
        for _ in range(length):
            covariance = closed @ covariance @ closed.T + Psi
            covariances.append(covariance)
        for late in range(length):
            for early in range(length):
                power = np.linalg.matrix_power(closed, abs(late - early))
                C = power @ covariances[min(late, early)]
                total += np.trace(weight @ C @ weight @ C.T)
        found.append(2 * total / length**2)
    return np.array(found)


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("radius", [0.7, 1.1])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_variance_is_the_sum_over_all_pairs_of_steps(dims: tuple[int, int], radius: float, length: int) -> None:
    tasks = random_tasks(21, 2, *dims, radius=radius)
    K = 0.3 * stable_gain(random_tasks(21, 2, *dims, radius=0.7), 21, per_task=True)
    np.testing.assert_allclose(lqr.rollout_variance(tasks, K, length), _all_pairs(tasks, K, length), rtol=1e-12)


def test_variance_of_scalar_tasks_in_closed_form() -> None:
    """One step: 2 (s σ1²)²; two: a second square, and the covariance a σ1² of the states. White: 2 s² ψ² / l."""
    a, k, q, r, psi, start = 0.9, 0.3, 2.0, 0.5, 0.7, 3.0
    tasks = scalar_tasks(a, q=q, r=r, psi=psi, Sigma0=[[[start]]])
    weight, loop = q + r * k**2, a - k
    first = loop**2 * start + psi
    second = loop**2 * first + psi
    two = 2 * weight**2 / 4 * (first**2 + second**2 + 2 * (loop * first) ** 2)
    np.testing.assert_allclose(lqr.rollout_variance(tasks, [[k]], 1), 2 * (weight * first) ** 2, rtol=1e-13)
    np.testing.assert_allclose(lqr.rollout_variance(tasks, [[k]], 2), two, rtol=1e-13)
    white = lqr.rollout_variance(tasks, [[a]], 10)
    np.testing.assert_allclose(white, 2 * (q + r * a**2) ** 2 * psi**2 / 10, rtol=1e-13)


@pytest.mark.parametrize("dims", [(1, 1), (3, 2)])
def test_variance_is_that_of_simulated_rollouts(dims: tuple[int, int]) -> None:
    """10^5 rollouts of each task, one gain unstable; within 4.5 standard errors of a sample variance."""
    tasks, count = random_tasks(22, 2, *dims, radius=1.02), 100_000
    K = np.stack([np.zeros(dims[::-1]), stable_gain(random_tasks(22, 1, *dims), 22)])
    gains = np.broadcast_to(K[:, np.newaxis], (2, count, *dims[::-1]))
    costs = rollout.costs(tasks, gains, 12, Stream(22))
    squares = (costs - costs.mean(axis=1, keepdims=True)) ** 2
    error = squares.mean(axis=1) - lqr.rollout_variance(tasks, K, 12)
    assert (np.abs(error) < 4.5 * squares.std(axis=1) / np.sqrt(count)).all()


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("radius", [0.7, 1.1])
def test_gradient_of_the_variance_agrees_with_finite_differences(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(23, 2, *dims, radius=radius)
    K = 0.3 * stable_gain(random_tasks(23, 2, *dims, radius=0.7), 23, per_task=True)
    gradient = lqr.rollout_variance_gradient(tasks, K, 6)
    variance = partial(lqr.rollout_variance, tasks, length=6)
    check_derivative(variance, K, lambda unit: np.tensordot(gradient, unit, 2), 1e-7, step=3e-4)


@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("radius", [0.7, 1.1])
def test_gradient_covariance_is_the_limit_of_differences(dims: tuple[int, int], radius: float) -> None:
    """⟨X, C X⟩ = Var(f(K + hX) - f(K - hX)) / 4h² + O(h²), in enough directions X to see every entry."""
    tasks = random_tasks(24, 2, *dims, radius=radius)
    K = 0.3 * stable_gain(random_tasks(24, 2, *dims, radius=0.7), 24, per_task=True)
    covariance, size, step = lqr.rollout_gradient_covariance(tasks, K, 6), dims[0] * dims[1], 1e-4
    np.testing.assert_allclose(covariance, covariance.mT, rtol=0, atol=1e-12 * covariance.max())
    assert (np.linalg.eigvalsh(covariance) > -1e-12 * covariance.max()).all()
    directions = [np.eye(size)[i] + np.eye(size)[j] for i in range(size) for j in range(i + 1)]
    for X in directions:
        change = step * X.reshape(dims[::-1])
        found = lqr.rollout_difference_variance(tasks, K + change, K - change, 6) / (4 * step**2)
        np.testing.assert_allclose(found, X @ covariance @ X, rtol=1e-5)


def test_difference_variance_is_that_of_simulated_rollouts_with_the_same_noise() -> None:
    """Plain NumPy, 10^5 pairs; within 4.5 standard errors of a sample variance."""
    tasks, length, rng = random_tasks(25, 1, 3, 2), 8, np.random.default_rng(25)
    gains = stable_gain(tasks, 25), 0.3 * stable_gain(tasks, 26)
    start, noise = (np.linalg.cholesky(each[0]) for each in (tasks.Sigma0, tasks.Psi))
    first = rng.standard_normal((100_000, 3)) @ start.T
    steps = rng.standard_normal((length, 100_000, 3)) @ noise.T
    costs: list[Array] = []
    for K in gains:
        weight, x, total = tasks.Q[0] + K.T @ tasks.R[0] @ K, first, np.zeros(100_000)
        for w in steps:
            x = x @ (tasks.A[0] - tasks.B[0] @ K).T + w
            total = total + np.einsum("na,ab,nb->n", x, weight, x)
        costs.append(total / length)
    difference = costs[0] - costs[1]
    squares: Array = (difference - difference.mean()) ** 2
    exact = lqr.rollout_difference_variance(tasks, *gains, length)
    assert abs(squares.mean() - exact[0]) < 4.5 * squares.std() / np.sqrt(100_000)
    # It would be the sum with independent noise, which is more than 4.5 standard errors away.
    independent = sum(lqr.rollout_variance(tasks, K, length)[0] for K in gains)
    assert abs(squares.mean() - independent) > 20 * squares.std() / np.sqrt(100_000)
    np.testing.assert_allclose(lqr.rollout_difference_variance(tasks, gains[0], gains[0], length), 0.0, atol=1e-12)


def test_rollouts_beyond_every_double_vary_infinitely_and_warn_of_nothing() -> None:
    zero, tasks = np.zeros((2, 2)), random_tasks(0, 1, 2, 2, radius=40.0)
    assert np.isfinite(lqr.rollout_variance(tasks, zero, 20)).all()
    assert lqr.rollout_variance(tasks, zero, 2000)[0] == np.inf
    assert lqr.rollout_difference_variance(tasks, zero, np.eye(2), 2000)[0] == np.inf
    assert not np.isfinite(lqr.rollout_variance_gradient(tasks, zero, 2000)).any()
    assert not np.isfinite(lqr.rollout_gradient_covariance(tasks, zero, 200)).any()


@pytest.mark.parametrize("length", [0, 2.5])
def test_an_impossible_length_is_refused(length: Any) -> None:
    tasks, K = random_tasks(0), np.zeros((2, 3))
    difference = partial(lqr.rollout_difference_variance, other=K)
    functions: list[Callable[..., Array]] = [lqr.rollout_variance, lqr.rollout_variance_gradient, difference]
    for function in [*functions, lqr.rollout_gradient_covariance]:
        with pytest.raises(ValueError, match=r"length: .* is not a whole number >= 1"):
            function(tasks, K, length=length)

"""The recursion in the eigenbasis, against block matrices, a plain loop, and a simulated Gaussian recursion."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import Array, definite

from metalqr.prediction.recursion import Recursion, Sums, entering, moved, turned

SIZE, RATE, STEPS, FIRST_SUMMED = 4, 0.15, 25, 11


def _problem(seed: int) -> tuple[Array, Array]:
    """A curvature and a covariance that do not commute."""
    curvature, noise = definite(np.random.default_rng(seed), 2, SIZE)
    return curvature, noise


def _rate(iteration: int) -> float:
    return RATE / (1.0 + iteration / 20.0)


def _in_eigenbasis(momentum: float, curvature: Array, noise: Array) -> Array:
    """Covariances of gain, (velocity) and sum, (q, q, n, n), in the basis of the entries."""
    recursion = Recursion(momentum, averages=True)
    values, basis = np.linalg.eigh(curvature)
    state, turned_noise = np.zeros((recursion.order, recursion.order, SIZE, SIZE)), turned(basis, noise)
    for step in range(STEPS):
        sums = Sums(float(step + 1 > FIRST_SUMMED), float(step + 1 >= FIRST_SUMMED))
        T, b = recursion.transition(values, _rate(step), sums)
        state = moved(T, state) + entering(b, turned_noise)
    return turned(basis.T, state)


def _by_block_matrices(momentum: float, curvature: Array, noise: Array) -> Array:
    """The joint covariance of all gains and the velocities, from one large linear map of all the noises."""
    one, zero = np.eye(SIZE), np.zeros((SIZE, SIZE * STEPS))
    gain, velocity, gains = zero, zero, [zero]
    for step in range(STEPS):
        enters = np.zeros((SIZE, SIZE * STEPS))
        enters[:, SIZE * step : SIZE * (step + 1)] = one
        velocity = momentum * velocity + curvature @ gain + enters
        gain = gain - _rate(step) * velocity
        gains.append(gain)
    joint = [gain, velocity, np.sum(gains[FIRST_SUMMED:], axis=0)]
    kept = joint if momentum else [joint[0], joint[2]]
    noises = np.kron(np.eye(STEPS), noise)
    return np.stack([np.stack([first @ noises @ second.T for second in kept]) for first in kept])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_and_averages_agree_with_block_matrices(momentum: float) -> None:
    curvature, noise = _problem(1)
    found = _in_eigenbasis(momentum, curvature, noise)
    assert_allclose(found, _by_block_matrices(momentum, curvature, noise), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_doubling_agrees_with_the_plain_loop(momentum: float) -> None:
    curvature, noise = _problem(2)
    values, basis = np.linalg.eigh(curvature)
    found = Recursion(momentum).stationary(values, RATE, turned(basis, noise))
    assert found is not None
    gain, cross, velocity = np.zeros((3, SIZE, SIZE))  # E ee', E ev', E vv'
    for _ in range(3000):
        # v' = m v + H e + noise, e' = e - a v'.
        carried = momentum * cross + gain @ curvature  # E e (m v + H e)'
        velocity = momentum**2 * velocity + momentum * (cross.T @ curvature + curvature @ cross)
        velocity = velocity + curvature @ gain @ curvature + noise
        cross = carried - RATE * velocity
        gain = gain - RATE * (carried + carried.T) + RATE**2 * velocity
        gain = 0.5 * (gain + gain.T)  # its antisymmetric part, rounding, would grow
    assert_allclose(turned(basis.T, found), gain, rtol=1e-9)


def test_the_stationary_covariance_in_one_dimension() -> None:
    """a² c / (1 - (1 - a h)²), and none at a step beyond 2 / h."""
    curvature, noise = np.array([3.0]), np.array([[0.7]])
    found = Recursion().stationary(curvature, 0.1, noise)
    assert found is not None
    assert found.item() == pytest.approx(0.01 * 0.7 / (1.0 - 0.7**2), rel=1e-12)
    assert Recursion().stationary(curvature, 0.67, noise) is None
    # The heavy ball is stable up to 2 (1 + m) / h.
    assert Recursion(0.5).stationary(curvature, 0.99, noise) is not None
    assert Recursion(0.5).stationary(curvature, 1.01, noise) is None


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_long_simulation_of_the_gaussian_recursion(momentum: float) -> None:
    """4000 chains after 200 steps: each variance within 4.5 standard errors, sqrt(2 / 4000) of it each."""
    curvature, noise = _problem(3)
    rng, chains = np.random.default_rng(7), 4000
    root = np.linalg.cholesky(noise)
    gain, velocity = np.zeros((2, chains, SIZE))
    for _ in range(200):
        velocity = momentum * velocity + gain @ curvature + rng.standard_normal((chains, SIZE)) @ root.T
        gain = gain - RATE * velocity
    values, basis = np.linalg.eigh(curvature)
    found = Recursion(momentum).stationary(values, RATE, turned(basis, noise))
    assert found is not None
    error = np.diag(turned(basis.T, found)) / (gain**2).mean(axis=0) - 1.0
    assert np.abs(error).max() < 4.5 * np.sqrt(2.0 / chains)

"""Plain NumPy twins of the compiled code: the shortest way to write the same mathematics, as slow as it likes."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks, finite_horizon_cost
from metalqr.simulation.simd.coordinates import simulation_tasks
from metalqr.simulation.streams import Purpose, Stream

Array = NDArray[np.float64]
Address = NDArray[np.int64]
#: The values of an estimator for each perturbation U: the sign of U at each, and its weight.
SIGNS = {"one_point": ((1, 1.0),), "two_point": ((1, 0.5), (-1, -0.5))}


def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """Philox 4x32-10 as in the paper of Salmon and others, in Python's integers."""
    (c0, c1, c2, c3), (k0, k1), mask = counter, key, 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & mask, (p0 >> 32) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return [c0, c1, c2, c3]


def box_muller(radius_word: NDArray[np.int64], angle_word: NDArray[np.int64]) -> Array:
    """Two normals, in the last dimension, from each pair of words: 30 bits of a quarter turn, and two signs."""
    radius = np.sqrt(-2.0 * np.log((radius_word + 0.5) / 2**32))
    angle = np.pi / 2 * (angle_word % 2**30 + 0.5) / 2**30
    signs = 1 - 2 * np.stack([angle_word >> 31, angle_word >> 30 & 1], axis=-1)
    return signs * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def normals(count: int, counter_1: int, counter_2: int, address: Address) -> Array:
    """The first ``count`` normals at an address: Box-Muller on the words of consecutive blocks."""
    iteration, *key = address[:3].tolist()
    blocks = [philox((block, counter_1, counter_2, iteration), key) for block in range(-(-count // 4))]
    return box_muller(*np.array(blocks).reshape(-1, 2).T).ravel()[:count]


def direction(shape: tuple[int, int], radius: float, counter_1: int, counter_2: int, address: Address) -> Array:
    """A perturbation of Algorithm 2 on the sphere."""
    vector = normals(shape[0] * shape[1], counter_1, counter_2, address)
    return (radius * vector / np.linalg.norm(vector)).reshape(shape)


def inner_direction(
    tasks: LQRTasks, task: int, radius: float, counter_1: int, counter_2: int, address: Address
) -> Array:
    """A perturbation of Algorithm 1: the coordinates of the simulation turn it, column by column."""
    simulated = simulation_tasks(tasks)
    turned = direction((tasks.state_dim, tasks.action_dim), radius, counter_1, counter_2, address).T
    return simulated.action_rotation[task] @ turned @ simulated.state_rotation[task]


def rollout_cost(
    tasks: LQRTasks, task: int, K: Array, length: int, counter_1: int, counter_2: int, address: Address
) -> float:
    """One rollout in the task's own coordinates, with the noise of the compiled one."""
    A, B, Q, R, d = tasks.A[task], tasks.B[task], tasks.Q[task], tasks.R[task], tasks.state_dim
    noise = normals((length + 1) * d, counter_1, counter_2, address).reshape(length + 1, d)
    state_map = simulation_tasks(tasks).state_map[task]
    np.testing.assert_allclose(state_map @ state_map.T, tasks.Psi[task], atol=1e-13)
    x, cost = np.linalg.cholesky(tasks.Sigma0[task]) @ noise[0], 0.0
    for w in noise[1:] @ state_map.T:
        x = (A - B @ K) @ x + w
        cost += x @ Q @ x + (K @ x) @ R @ (K @ x)
    return cost / length


def inner_estimate(tasks: LQRTasks, task: int, K: Array, settings: MetaSettings, policy: int, stream: Stream) -> Array:
    """Algorithm 1 inside Algorithm 2 at one gain, with the noise of the compiled one; ``policy`` is counter 2."""
    r, M = settings.smoothing_radius, settings.inner_perturbations
    estimate = np.zeros_like(K)
    for m in range(M):
        U = inner_direction(tasks, task, r, m, policy, stream.address(Purpose.INNER_PERTURBATION))
        for sign, weight in SIGNS[settings.estimator]:
            address = stream.address(Purpose.INNER_ROLLOUT if sign > 0 else Purpose.MIRRORED_INNER_ROLLOUT)
            cost = rollout_cost(tasks, task, K + sign * U, settings.rollout_length, m, policy, address)
            estimate += weight * K.size / r**2 * cost * U / M
    return estimate


def outer_estimate(
    tasks: LQRTasks, task: int, K: Array, settings: MetaSettings, stream: Stream, adapts: bool = False
) -> Array:
    """The estimate of the gradient of one task's cost, or of that after an adaptation, where every task is a slot."""
    r, M, estimate = settings.smoothing_radius, settings.perturbations, np.zeros_like(K)
    signs = SIGNS[settings.estimator]
    for m in range(M):
        U = direction((K.shape[0], K.shape[1]), r, 0, M * task + m, stream.address(Purpose.PERTURBATION))
        for half, (sign, weight) in enumerate(signs):
            slot, policy = len(signs) * M * task + half * M + m, K + sign * U
            if adapts:
                inner = inner_estimate(tasks, task, policy, settings, slot, stream)
                policy = policy - settings.adaptation_rate * inner
            cost = rollout_cost(tasks, task, policy, settings.rollout_length, 0, slot, stream.address(Purpose.ROLLOUT))
            estimate += weight * K.size / r**2 * cost * U / M
    return estimate


def interval_average(tasks: LQRTasks, gain: Array, radius: float, length: int) -> Array:
    """Gradient of the finite-horizon cost of scalar tasks averaged over the interval [K - r, K + r], (I, 1, 1)."""
    high, low = (finite_horizon_cost(tasks, gain + step, length) for step in (radius, -radius))
    return ((high - low) / (2 * radius)).reshape(-1, 1, 1)


def circle_average(values: Callable[[Array], Array], gain: Array, radius: float, points: int = 64) -> Array:
    """(dk/r^2) E[values(K + U) U] over the circle of a (1, 2) gain: the trapezoidal rule, exact if it is smooth."""
    angles = 2 * np.pi * np.arange(points) / points
    U = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(points, 1, 2)
    found = np.array([values(gain + direction) for direction in U])
    return 2 / radius**2 * np.einsum("pi,pkd->ikd", found, U) / points


def within(estimates: Array, exact: Array | float, bound: float = 4.5) -> None:
    """Every entry of the mean of independent estimates is within ``bound`` standard errors of the exact value."""
    error = (estimates.mean(axis=0) - exact) / (estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates)))
    assert np.all(np.abs(error) < bound), error

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
#: The signs of a perturbation U at the values of an estimator.
SIGNS = {"one_point": (1,), "one_point_baseline": (1,), "two_point": (1, -1), "residual": (1,)}


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
    return directions("sphere", shape, radius, [(counter_1, counter_2)], address)[0]


def directions(
    name: str, shape: tuple[int, int], radius: float, counters: Sequence[tuple[int, int]], address: Address
) -> Array:
    """Perturbations around one gain by the name of their distribution, (M, k, d)."""
    n = shape[0] * shape[1]
    z = np.array([normals(n, *counter, address) for counter in counters])
    if name == "sphere":
        z /= np.linalg.norm(z, axis=1, keepdims=True)
    elif name == "gaussian":
        z /= np.sqrt(n)
    else:
        for first in range(0, len(z), n):
            z[first : first + n] = orthonormal(z[first : first + n])
    return radius * z.reshape(-1, *shape)


def orthonormal(z: Array) -> Array:
    """Rows H_0 ... H_{j-1} x_j / |x_j|, with x_j the normals from entry j on and H_j the reflector of x_j."""
    rows, reflectors = np.empty_like(z), list[Array]()
    for j in range(len(z)):
        x = np.where(np.arange(z.shape[1]) < j, 0.0, z[j])
        rows[j] = x / np.linalg.norm(x)
        for H in reversed(reflectors):
            rows[j] = H @ rows[j]
        v = x + np.copysign(np.linalg.norm(x), x[j]) * np.eye(z.shape[1])[j]
        reflectors.append(np.eye(z.shape[1]) - 2 * np.outer(v, v) / (v @ v))
    return rows


def inner_directions(tasks: LQRTasks, task: int, settings: MetaSettings, counter_2: int, address: Address) -> Array:
    """The perturbations of Algorithm 1 around one gain, as the coordinates of the simulation turn them."""
    simulated, radius = simulation_tasks(tasks), settings.inner.radius
    counters = [(m, counter_2) for m in range(settings.inner_perturbations)]
    shape = tasks.action_dim, tasks.state_dim
    if settings.directions == "orthogonal":
        turned = directions("orthogonal", shape, radius, counters, address)
    else:  # drawn column by column
        turned = directions(settings.directions, shape[::-1], radius, counters, address).swapaxes(1, 2)
    return simulated.action_rotation[task] @ turned @ simulated.state_rotation[task]


def coefficients(name: str, values: Array) -> Array:
    """The coefficient of each perturbation from the values (S, M) at each sign."""
    if name == "two_point":
        return 0.5 * (values[0] - values[1])
    if name == "one_point_baseline":
        return np.array([value - np.delete(values[0], m).mean() for m, value in enumerate(values[0])])
    return values[0]


def rollout_cost(
    tasks: LQRTasks,
    task: int,
    K: Array,
    length: int,
    counter_1: int,
    counter_2: int,
    address: Address,
    discount: float = 1.0,
) -> float:
    """One rollout in the task's own coordinates, with the noise of the compiled one."""
    A, B, Q, R, S = (getattr(tasks, name)[task] for name in ("A", "B", "Q", "R", "S"))
    d = tasks.state_dim
    simulated = simulation_tasks(tasks)
    initial, factor = simulated.state_map[task] @ simulated.start[task, :d].T, simulated.state_map[task]
    if simulated.noise_map is None:
        passed, rank = d, d
    else:  # whole blocks for the initial state, and step 0 passed over
        factor = factor @ simulated.noise_map[task].T
        rank = factor.shape[1]
        passed = -(-d // 4) * 4 + rank
    np.testing.assert_allclose(factor @ factor.T, tasks.Psi[task], atol=1e-13 * max(1.0, np.abs(tasks.Psi).max()))
    np.testing.assert_allclose(initial @ initial.T, tasks.Sigma0[task], atol=1e-13 * np.abs(tasks.Sigma0).max())
    noise = normals(passed + length * rank, counter_1, counter_2, address)
    x, cost = tasks.initial_mean[task] + initial @ noise[:d], 0.0
    if tasks.noise == "initial_state":
        for t in range(length):
            u = -K @ x
            cost += discount**t * (x @ Q @ x + 2.0 * x @ S @ u + u @ R @ u)
            x = A @ x + B @ u
        return cost
    for z in noise[passed:].reshape(length, rank):
        x = (A - B @ K) @ x + factor @ z
        u = -K @ x
        cost += x @ Q @ x + 2.0 * x @ S @ u + u @ R @ u
    return cost / length


def inner_estimate(tasks: LQRTasks, task: int, K: Array, settings: MetaSettings, policy: int, stream: Stream) -> Array:
    """Algorithm 1 inside Algorithm 2 at one gain, with the noise of the compiled one; ``policy`` is counter 2."""
    name, M, r, _ = settings.inner
    U = inner_directions(tasks, task, settings, policy, stream.address(Purpose.INNER_PERTURBATION))
    address, length = stream.address(Purpose.INNER_ROLLOUT), settings.rollout_length
    signs = SIGNS[name.name]
    # Counter 1: the members of a pair have the same with common noise.
    places = [0 if settings.common_noise else half * M for half in range(len(signs))]
    values = [
        [rollout_cost(tasks, task, K + sign * U[m], length, place + m, policy, address) for m in range(M)]
        for sign, place in zip(signs, places, strict=True)
    ]
    return K.size / (r**2 * M) * np.einsum("m,mkd->kd", coefficients(name.name, np.array(values)), U)


def outer_estimate(
    tasks: LQRTasks, task: int, K: Array, settings: MetaSettings, stream: Stream, adapts: bool = False
) -> Array:
    """The estimate of the gradient of one task's cost, or of that after an adaptation, where every task is a slot."""
    name, M, r, _ = settings.outer
    shape, signs, shared = (
        (K.shape[0], K.shape[1]),
        SIGNS[name.name],
        settings.common_noise and len(SIGNS[name.name]) > 1,
    )
    counters = [(0, M * task + m) for m in range(M)]
    U = directions(settings.directions, shape, r, counters, stream.address(Purpose.PERTURBATION))
    values = np.empty((len(signs), M))
    for half, m in np.ndindex(values.shape):
        # With common noise both members of a pair have the same place.
        slot = M * task + m if shared else len(signs) * M * task + half * M + m
        policy = K + signs[half] * U[m]
        if adapts:
            policy = policy - settings.adaptation_rate * inner_estimate(tasks, task, policy, settings, slot, stream)
        address = stream.address(Purpose.ROLLOUT)
        values[half, m] = rollout_cost(tasks, task, policy, settings.rollout_length, 0, slot, address)
    return K.size / (r**2 * M) * np.einsum("m,mkd->kd", coefficients(name.name, values), U)


def hessian_product(
    tasks: LQRTasks, task: int, K: Array, X: Array, settings: MetaSettings, M: int, r: float, stream: Stream
) -> Array:
    """The estimate of a Hessian, as the matrix that it is, applied to X; of settings with the method's own."""
    n, shape, address = K.size, (K.shape[0], K.shape[1]), stream.address(Purpose.HESSIAN_ROLLOUT)
    counters = [(0, M * task + m) for m in range(M)]
    U = directions(settings.directions, shape, r, counters, stream.address(Purpose.HESSIAN_PERTURBATION))
    is_printed = getattr(settings, "hessian", "") == "toso"
    signs = (1, 0) if is_printed else (1, -1, 0)
    values = np.empty((len(signs), M))
    for place, m in np.ndindex(values.shape):
        slot = M * task + m if settings.common_noise else len(signs) * M * task + place * M + m
        policy = K + signs[place] * U[m]
        values[place, m] = rollout_cost(tasks, task, policy, settings.rollout_length, 0, slot, address)
    c = values[:-1].mean(axis=0) - values[-1]
    if is_printed:
        return K.shape[0] ** 2 / (r**2 * M) * sum(c[m] * (U[m] @ U[m].T - np.eye(len(K))) for m in range(M)) @ X
    u = U.reshape(M, n)
    if settings.directions == "gaussian":
        variance = r**2 / n
        H = np.einsum("m,mab->ab", c, u[:, :, None] * u[:, None] - variance * np.eye(n)) / (variance**2 * M)
    else:
        H = (
            np.einsum("m,mab->ab", c, u[:, :, None] * u[:, None] - r**2 / (n + 2) * np.eye(n))
            * n
            * (n + 2)
            / (r**4 * M)
        )
    return np.asarray((H @ X.ravel()).reshape(K.shape))


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


def within(estimates: Array, exact: Array | float, bound: float = 4.5, error: Array | float = 0.0) -> None:
    """Every entry of the mean of independent estimates is within ``bound`` standard errors of the exact value.

    An exact value that comes from samples has a standard error of its own, ``error``.
    """
    own = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    deviation = (estimates.mean(axis=0) - exact) / np.hypot(own, error)
    assert np.all(np.abs(deviation) < bound), deviation

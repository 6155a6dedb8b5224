"""Random tasks of many scales, unlike those of any case: what must hold for all tasks is checked on these."""

import functools

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks

#: Tasks in a set.
COUNT = 3
MAX_SPECTRAL_RADIUS = 0.95


@functools.cache
def random_task_set(seed: int, index: int, action_dim: int, state_dim: int) -> LQRTasks:
    """Draw the set with that number of that seed: three random tasks that the gain zero stabilises.

    Spectral radii between 0 and 0.95, scales of B, Q, R and Ψ over two decades, condition numbers up to a hundred; in
    every second set the initial state has another covariance than the noise.
    """
    generator = np.random.default_rng([seed, 1, index])
    A = generator.standard_normal((COUNT, state_dim, state_dim))
    radii = np.abs(np.linalg.eigvals(A)).max(axis=1)
    A *= (generator.uniform(0.0, MAX_SPECTRAL_RADIUS, COUNT) / radii)[:, np.newaxis, np.newaxis]
    B = _scale(generator) * generator.standard_normal((COUNT, state_dim, action_dim))
    Q, Psi, Sigma0 = (_definite(generator, state_dim) for _ in range(3))
    weights = generator.uniform(0.2, 1.0, COUNT)
    R = _definite(generator, action_dim)
    return LQRTasks(A, B, Q, R, Psi, Sigma0 if index % 2 else Psi, weights / weights.sum())


def _scale(generator: np.random.Generator) -> float:
    return float(10 ** generator.uniform(-1, 1))


def _definite(generator: np.random.Generator, dim: int) -> FloatArray:
    basis = np.linalg.qr(generator.standard_normal((COUNT, dim, dim)))[0]
    eigenvalues = _scale(generator) * 10 ** generator.uniform(-2, 0, (COUNT, 1, dim))
    return np.asarray((basis * eigenvalues) @ basis.swapaxes(1, 2))

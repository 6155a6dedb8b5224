"""Vectorised NumPy: thousands of rollouts advance together, and every core works on chunks of its own.

Processes, because threads would wait for the interpreter lock between the short array operations of small dimensions.
A rollout is the last dimension of every array, so that operations run along contiguous memory. What all rollouts
share is one matrix product a step, [A, B, noise] [x; u; z]; only the action needs each rollout's own gain.
"""

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from benchmarks.contestants import Contestant, chunks_per_task
from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings

#: One thread for each worker's matrix products, with any BLAS library.
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Workers:
    """Processes that each keep to one core; use as a context manager."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        before = os.environ.copy()
        os.environ.update(dict.fromkeys(_THREAD_COUNTS, "1"))
        try:  # the first job starts all processes, and they inherit the environment of that moment
            list(self._pool.map(abs, range(self.count)))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        return list(self._pool.map(function, *arguments))


class VectorisedNumpy(Contestant):
    """Vectorised NumPy with the fastest of its generators, in this process or in workers."""

    name = "NumPy, vectorised"

    def __init__(self, workers: Workers | None = None) -> None:
        self._map: Callable[..., Iterable[Array]] = workers.map if workers else map
        self._cores = workers.count if workers else 1

    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        policies = settings.perturbations
        chunks = chunks_per_task(tasks.count, policies, settings.inner_perturbations, K.size, self._cores)
        sizes = [size for part in np.array_split(range(policies), chunks) if (size := len(part))]
        noise, start = np.linalg.cholesky(tasks.Psi), np.linalg.cholesky(tasks.Sigma0)
        matrices = zip(tasks.A, tasks.B, tasks.Q, tasks.R, noise, start, tasks.p, strict=True)
        work = [(_System(*system), size) for system in matrices for size in sizes]
        seeds = np.random.SeedSequence(seed).spawn(len(work))
        return np.sum(list(self._map(functools.partial(_chunk, K=K, settings=settings), work, seeds)), axis=0)


class _System(NamedTuple):
    A: Array
    B: Array
    Q: Array
    R: Array
    noise: Array  # a factor of Psi
    start: Array  # a factor of Sigma0
    p: float


def _chunk(work: tuple[_System, int], seed: np.random.SeedSequence, K: Array, settings: MetaSettings) -> Array:
    """The contribution of some perturbed policies of one task to the estimate."""
    system, size = work
    rng = np.random.Generator(np.random.SFC64(seed))
    radius, inner, length = settings.smoothing_radius, settings.inner_perturbations, settings.rollout_length
    scale = K.size / radius**2
    directions = _directions((*K.shape, size), radius, rng)
    perturbed = K[..., np.newaxis] + directions
    inner_directions = _directions((*K.shape, size, inner), radius, rng)
    gains = perturbed[..., np.newaxis] + inner_directions
    costs = _costs(system, gains.reshape(*K.shape, size * inner), length, rng).reshape(size, inner)
    gradients = scale / inner * np.einsum("kdpm,pm->kdp", inner_directions, costs)
    adapted = perturbed - settings.adaptation_rate * gradients
    return system.p * scale / settings.perturbations * (directions @ _costs(system, adapted, length, rng))


def _directions(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> Array:
    directions = rng.standard_normal(shape)
    directions *= radius / np.sqrt(np.einsum("kd...,kd...->...", directions, directions))
    return directions


def _costs(system: _System, gains: Array, length: int, rng: np.random.Generator) -> Array:
    """The costs of rollouts with the gains (k, d, n); arrays are reused, so that they stay in the cache."""
    A, B, Q, R, noise, start, _ = system
    state_dim, action_dim, count = A.shape[0], B.shape[1], gains.shape[-1]
    stacked = np.concatenate([A, -B, noise], axis=1)
    new, old = np.empty((2, 2 * state_dim + action_dim, count))  # x, K x, z
    actions = slice(state_dim, state_dim + action_dim)
    state_cost, action_cost = np.empty((state_dim, count)), np.empty((action_dim, count))
    total = np.zeros(count)

    rng.standard_normal(out=new[actions.stop :])
    np.matmul(start, new[actions.stop :], out=new[:state_dim])
    np.einsum("kdn,dn->kn", gains, new[:state_dim], out=new[actions])
    for _ in range(length):
        new, old = old, new
        x, u = new[:state_dim], new[actions]
        rng.standard_normal(out=old[actions.stop :])
        np.matmul(stacked, old, out=x)
        np.einsum("kdn,dn->kn", gains, x, out=u)
        np.matmul(Q, x, out=state_cost)
        state_cost *= x
        total += state_cost.sum(axis=0)
        np.matmul(R, u, out=action_cost)
        action_cost *= u
        total += action_cost.sum(axis=0)
    return total / length

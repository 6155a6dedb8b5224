"""Vectorised NumPy: thousands of rollouts advance together, and every core works on chunks of its own.

Processes, because threads would wait for the interpreter lock between the short array operations of small dimensions.
A rollout is the last dimension of every array, so that operations run along contiguous memory. What all rollouts
share is one matrix product a step, [A, B, noise] [x; u; z]; only the action needs each rollout's own gain.
"""

import functools
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from benchmarks.contestants import Contestant, Rollouts, chunks_per_task, finished
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
        policies, inner = settings.outer.perturbations, settings.inner.perturbations
        members = Rollouts.of(settings, settings.outer).members * Rollouts.of(settings, settings.inner).members
        chunks = chunks_per_task(tasks.count, policies, members * inner, K.size, self._cores)
        sizes = [size for part in np.array_split(range(policies), chunks) if (size := len(part))]
        noise, start = np.linalg.cholesky(tasks.Psi), np.linalg.cholesky(tasks.Sigma0)
        matrices = zip(tasks.A, tasks.B, tasks.Q, tasks.R, noise, start, strict=True)
        work = [(_System(*system), size) for system in matrices for size in sizes]
        seeds = np.random.SeedSequence(seed).spawn(len(work))
        parts = np.array(list(self._map(functools.partial(_chunk, K=K, settings=settings), work, seeds)))
        return finished(parts.reshape(tasks.count, len(sizes), -1).sum(axis=1), tasks, settings)


class _System(NamedTuple):
    A: Array
    B: Array
    Q: Array
    R: Array
    noise: Array  # a factor of Psi
    start: Array  # a factor of Sigma0


def _chunk(work: tuple[_System, int], seed: np.random.SeedSequence, K: Array, settings: MetaSettings) -> Array:
    """The sums of some perturbed policies of one task, for :func:`benchmarks.contestants.finished`."""
    system, size = work
    rng = np.random.Generator(np.random.SFC64(seed))
    outer, inner = Rollouts.of(settings, settings.outer), Rollouts.of(settings, settings.inner)
    radius, count, length = settings.inner.radius, settings.inner.perturbations, settings.rollout_length
    directions = _directions((*K.shape, size), settings.outer.radius, rng)
    outer_signs, inner_signs = (np.array(each.signs, dtype=float) for each in (outer, inner))
    perturbed = K[..., np.newaxis, np.newaxis] + directions[:, :, np.newaxis] * outer_signs[:, np.newaxis]
    # By entry, member of the outer pair, outer perturbation and inner one; pairs with common noise share these too.
    inner_directions = _directions((*K.shape, outer.noises, size, count), radius, rng)
    # Another dimension, after that of the outer pair, for the members of the inner one.
    signed = inner_directions[:, :, :, np.newaxis] * inner_signs[:, np.newaxis, np.newaxis]
    gains = perturbed[:, :, :, np.newaxis, :, np.newaxis] + signed
    costs = _costs(system, gains, (outer.noises, inner.noises, size, count), length, rng)
    coefficients = np.einsum("j,sjpm->spm", inner.weights, costs)
    if inner.leaves_one_out:
        coefficients -= coefficients.mean(axis=-1, keepdims=True)
        coefficients *= count / (count - 1)
    shared = np.broadcast_to(inner_directions, (*K.shape, outer.members, size, count))
    gradients = K.size / radius**2 / count * np.einsum("kdspm,spm->kdsp", shared, coefficients)
    adapted = perturbed - settings.adaptation_rate * gradients
    values = np.asarray(outer.weights) @ _costs(system, adapted, (outer.noises, size), length, rng)
    return np.concatenate([(directions @ values).ravel(), directions.sum(axis=-1).ravel(), [values.sum()]])


def _directions(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> Array:
    directions = rng.standard_normal(shape)
    directions *= radius / np.sqrt(np.einsum("kd...,kd...->...", directions, directions))
    return directions


def _costs(system: _System, gains: Array, noises: tuple[int, ...], length: int, rng: np.random.Generator) -> Array:
    """The costs (...) of rollouts with the gains (k, d, ...), which share noise where ``noises`` has a 1 instead.

    Arrays are reused, so that they stay in the cache.
    """
    A, B, Q, R, noise, start = system
    state_dim, action_dim, shape = A.shape[0], B.shape[1], gains.shape[2:]
    count = math.prod(shape)
    gains = gains.reshape(action_dim, state_dim, count)
    stacked = np.concatenate([A, -B, noise], axis=1)
    new, old = np.empty((2, 2 * state_dim + action_dim, count))  # x, K x, z
    actions = slice(state_dim, state_dim + action_dim)
    state_cost, action_cost = np.empty((state_dim, count)), np.empty((action_dim, count))
    total = np.zeros(count)

    def draw(normals: Array) -> None:
        if shape == noises:
            rng.standard_normal(out=normals)
        else:
            normals.reshape(state_dim, *shape)[...] = rng.standard_normal((state_dim, *noises))

    draw(new[actions.stop :])
    np.matmul(start, new[actions.stop :], out=new[:state_dim])
    np.einsum("kdn,dn->kn", gains, new[:state_dim], out=new[actions])
    for _ in range(length):
        new, old = old, new
        x, u = new[:state_dim], new[actions]
        draw(old[actions.stop :])
        np.matmul(stacked, old, out=x)
        np.einsum("kdn,dn->kn", gains, x, out=u)
        np.matmul(Q, x, out=state_cost)
        state_cost *= x
        total += state_cost.sum(axis=0)
        np.matmul(R, u, out=action_cost)
        action_cost *= u
        total += action_cost.sum(axis=0)
    return (total / length).reshape(shape)

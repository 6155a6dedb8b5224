"""JAX: ``lax.scan`` over the steps, thousands of rollouts at once, all in one compiled program in double precision.

On processors JAX runs one program on one core, apart from large operations. So every core is a device of its own, and
chunks of one shape are distributed over them. The last chunk of a task may have surplus policies, which do not count.
As in NumPy, the rollout is the last dimension of every array.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from benchmarks.contestants import Contestant, chunks_per_task
from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings

#: An array while JAX traces the program; JAX does not type its contents.
Traced = Any


class JaxScan(Contestant):
    """JAX on all cores; make it before anything else uses JAX, because the devices are fixed at the first use."""

    name = "JAX"

    def __init__(self, cores: int) -> None:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_num_cpu_devices", cores)

    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        policies, inner = settings.perturbations, settings.inner_perturbations
        chunks = chunks_per_task(tasks.count, policies, inner, K.size, jax.device_count())
        size = -(-policies // chunks)
        weight = np.where(np.arange(chunks * size) < policies, 1.0 / policies, 0.0).reshape(chunks, size)
        noise, start = np.linalg.cholesky(tasks.Psi), np.linalg.cholesky(tasks.Sigma0)
        parts = _program(inner, settings.rollout_length)(
            (tasks.A, tasks.B, tasks.Q, tasks.R, noise, start),
            K,
            settings.smoothing_radius,
            settings.adaptation_rate,
            np.repeat(np.arange(tasks.count), chunks),
            np.kron(tasks.p[:, np.newaxis], weight),
            jax.random.split(jax.random.key(seed), tasks.count * chunks),
        )
        return np.asarray(parts.sum(axis=0))


@functools.cache
def _program(inner: int, length: int) -> Any:
    """The program for chunks of perturbed policies, shared out between the devices; compiled for each new shape."""
    mesh = Mesh(np.array(jax.devices()), ("cores",))
    shared, split = PartitionSpec(), PartitionSpec("cores")

    @functools.partial(
        jax.shard_map, mesh=mesh, in_specs=(shared, shared, shared, shared, split, split, split), out_specs=split
    )
    def parts(
        systems: Any, K: Traced, radius: Traced, rate: Traced, tasks: Traced, weights: Traced, keys: Traced
    ) -> Traced:
        def part(chunk: tuple[Traced, Traced, Traced]) -> Traced:
            task, weight, key = chunk
            return _chunk([matrices[task] for matrices in systems], weight, key, K, radius, rate, inner, length)

        return jax.lax.map(part, (tasks, weights, keys))

    return jax.jit(parts)


def _chunk(
    system: list[Traced], weight: Traced, key: Traced, K: Traced, radius: Traced, rate: Traced, inner: int, length: int
) -> Traced:
    """The contribution of some perturbed policies of one task, as many as weights, to the estimate."""
    keys, size = jax.random.split(key, 4), weight.size
    scale = K.size / radius**2
    directions = _directions(keys[0], (*K.shape, size), radius)
    perturbed = K[..., None] + directions
    inner_directions = _directions(keys[1], (*K.shape, size, inner), radius)
    gains = (perturbed[..., None] + inner_directions).reshape(*K.shape, size * inner)
    costs = _costs(system, gains, length, keys[2]).reshape(size, inner)
    gradients = scale / inner * (inner_directions * costs).sum(axis=-1)
    adapted = perturbed - rate * gradients
    return scale * (directions * (weight * _costs(system, adapted, length, keys[3]))).sum(axis=-1)


def _directions(key: Traced, shape: tuple[int, ...], radius: Traced) -> Traced:
    directions = jax.random.normal(key, shape)
    return directions * (radius / jnp.sqrt((directions**2).sum(axis=(0, 1))))


def _costs(system: list[Traced], gains: Traced, length: int, key: Traced) -> Traced:
    """The costs of rollouts with the gains (k, d, n)."""
    A, B, Q, R, noise, start = system
    shape = (A.shape[0], gains.shape[-1])

    def act(x: Traced) -> Traced:
        return (gains * x).sum(axis=1)

    def step(carried: tuple[Traced, Traced, Traced], key: Traced) -> tuple[tuple[Traced, Traced, Traced], None]:
        x, u, total = carried
        x = A @ x - B @ u + noise @ jax.random.normal(key, shape)
        u = act(x)
        return (x, u, total + ((Q @ x) * x).sum(axis=0) + ((R @ u) * u).sum(axis=0)), None

    start_key, noise_key = jax.random.split(key)
    x = start @ jax.random.normal(start_key, shape)
    first = (x, act(x), jnp.zeros_like(x[0]))
    (_, _, total), _ = jax.lax.scan(step, first, jax.random.split(noise_key, length))
    return total / length

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

from benchmarks.contestants import Contestant, Rollouts, chunks_per_task, finished
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
        policies, count = settings.outer.perturbations, settings.inner.perturbations
        outer, inner = Rollouts.of(settings, settings.outer), Rollouts.of(settings, settings.inner)
        rollouts = outer.members * inner.members * count
        chunks = chunks_per_task(tasks.count, policies, rollouts, K.size, jax.device_count())
        size = -(-policies // chunks)
        weight = np.where(np.arange(chunks * size) < policies, 1.0, 0.0).reshape(chunks, size)
        noise, start = np.linalg.cholesky(tasks.Psi), np.linalg.cholesky(tasks.Sigma0)
        parts = _program(outer, inner, count, settings.rollout_length)(
            (tasks.A, tasks.B, tasks.Q, tasks.R, noise, start),
            K,
            (settings.outer.radius, settings.inner.radius),
            settings.adaptation_rate,
            np.repeat(np.arange(tasks.count), chunks),
            np.tile(weight, (tasks.count, 1)),
            jax.random.split(jax.random.key(seed), tasks.count * chunks),
        )
        return finished(np.asarray(parts).reshape(tasks.count, chunks, -1).sum(axis=1), tasks, settings)


@functools.cache
def _program(outer: Rollouts, inner: Rollouts, count: int, length: int) -> Any:
    """The program for chunks of perturbed policies, shared out between the devices; compiled for each new shape."""
    mesh = Mesh(np.array(jax.devices()), ("cores",))
    shared, split = PartitionSpec(), PartitionSpec("cores")

    @functools.partial(
        jax.shard_map, mesh=mesh, in_specs=(shared, shared, shared, shared, split, split, split), out_specs=split
    )
    def parts(
        systems: Any, K: Traced, radii: Traced, rate: Traced, tasks: Traced, weights: Traced, keys: Traced
    ) -> Traced:
        def part(chunk: tuple[Traced, Traced, Traced]) -> Traced:
            task, weight, key = chunk
            system = [matrices[task] for matrices in systems]
            return _chunk(system, weight, key, K, radii, rate, outer, inner, count, length)

        return jax.lax.map(part, (tasks, weights, keys))

    return jax.jit(parts)


def _chunk(
    system: list[Traced], weight: Traced, key: Traced, K: Traced, radii: Traced, rate: Traced,
    outer: Rollouts, inner: Rollouts, count: int, length: int,
) -> Traced:  # fmt: skip
    """The sums of some perturbed policies of one task, as many as weights; see ``finished``."""
    keys, size = jax.random.split(key, 4), weight.size
    directions = _directions(keys[0], (*K.shape, size), radii[0])
    perturbed = K[..., None, None] + directions[:, :, None] * jnp.array(outer.signs)[:, None]
    # By entry, member of the outer pair, outer perturbation and inner one; pairs with common noise share these too.
    inner_directions = _directions(keys[1], (*K.shape, outer.noises, size, count), radii[1])
    signed = inner_directions[:, :, :, None] * jnp.array(inner.signs)[:, None, None]
    costs = _costs(
        system, perturbed[:, :, :, None, :, None] + signed, (outer.noises, inner.noises, size, count), length, keys[2]
    )
    coefficients = sum(each * costs[:, place] for place, each in enumerate(inner.weights))
    if inner.leaves_one_out:
        coefficients = (coefficients - coefficients.mean(axis=-1, keepdims=True)) * (count / (count - 1))
    gradients = K.size / radii[1] ** 2 / count * (inner_directions * coefficients).sum(axis=-1)
    values = _costs(system, perturbed - rate * gradients, (outer.noises, size), length, keys[3])
    values = weight * sum(each * values[place] for place, each in enumerate(outer.weights))
    products, alone = ((directions * factors).sum(axis=-1).ravel() for factors in (values, weight))
    return jnp.concatenate([products, alone, values.sum()[None]])


def _directions(key: Traced, shape: tuple[int, ...], radius: Traced) -> Traced:
    directions = jax.random.normal(key, shape)
    return directions * (radius / jnp.sqrt((directions**2).sum(axis=(0, 1))))


def _costs(system: list[Traced], gains: Traced, noises: tuple[int, ...], length: int, key: Traced) -> Traced:
    """The costs (...) of rollouts with the gains (k, d, ...), which share noise where ``noises`` has a 1 instead."""
    A, B, Q, R, noise, start = system
    state_dim, shape = A.shape[0], gains.shape[2:]
    gains = gains.reshape(*gains.shape[:2], -1)

    def normals(key: Traced) -> Traced:
        drawn = jax.random.normal(key, (state_dim, *noises))
        return jnp.broadcast_to(drawn, (state_dim, *shape)).reshape(state_dim, -1)

    def act(x: Traced) -> Traced:
        return (gains * x).sum(axis=1)

    def step(carried: tuple[Traced, Traced, Traced], key: Traced) -> tuple[tuple[Traced, Traced, Traced], None]:
        x, u, total = carried
        x = A @ x - B @ u + noise @ normals(key)
        u = act(x)
        return (x, u, total + ((Q @ x) * x).sum(axis=0) + ((R @ u) * u).sum(axis=0)), None

    start_key, noise_key = jax.random.split(key)
    x = start @ normals(start_key)
    first = (x, act(x), jnp.zeros_like(x[0]))
    (_, _, total), _ = jax.lax.scan(step, first, jax.random.split(noise_key, length))
    return (total / length).reshape(shape)

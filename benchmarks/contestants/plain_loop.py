"""A first implementation: the algorithms as they are printed, in loops over rollouts and steps."""

from collections.abc import Callable

import numpy as np

from benchmarks.contestants import Contestant
from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings


class PlainLoop(Contestant):
    """NumPy's small matrices in Python's loops, on one core."""

    name = "plain loop"

    def timed_part(self, settings: MetaSettings) -> MetaSettings:
        """One perturbed policy a task with 20 inner ones: all steps cost the same, and all would take half a minute."""
        return settings.replace(perturbations=1, inner_perturbations=20)

    def checked_part(self, settings: MetaSettings) -> MetaSettings:
        return settings.replace(perturbations=30)

    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        rng = np.random.default_rng(seed)
        estimate = np.zeros_like(K)
        for task in range(tasks.count):
            simulate = _simulator(tasks, task, settings.rollout_length, rng)
            scale = tasks.p[task] * K.size / settings.smoothing_radius**2 / settings.perturbations
            for _ in range(settings.perturbations):
                U = _direction(K.shape, settings.smoothing_radius, rng)
                gradient = _algorithm_1(simulate, K + U, settings, rng)
                adapted = K + U - settings.adaptation_rate * gradient
                estimate += scale * simulate(adapted) * U
        return estimate


def _algorithm_1(
    simulate: Callable[[Array], float], K: Array, settings: MetaSettings, rng: np.random.Generator
) -> Array:
    radius, count = settings.smoothing_radius, settings.inner_perturbations
    gradient = np.zeros_like(K)
    for _ in range(count):
        U = _direction(K.shape, radius, rng)
        gradient += K.size / radius**2 / count * simulate(K + U) * U
    return gradient


def _direction(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> Array:
    U = rng.standard_normal(shape)
    return radius * U / np.linalg.norm(U)


def _simulator(tasks: LQRTasks, task: int, length: int, rng: np.random.Generator) -> Callable[[Array], float]:
    """The cost of one rollout of a task as a function of the gain."""
    A, B, Q, R = tasks.A[task], tasks.B[task], tasks.Q[task], tasks.R[task]
    noise, start = np.linalg.cholesky(tasks.Psi[task]), np.linalg.cholesky(tasks.Sigma0[task])

    def simulate(K: Array) -> float:
        x = start @ rng.standard_normal(len(A))
        u = -K @ x
        cost = 0.0
        for _ in range(length):
            x = A @ x + B @ u + noise @ rng.standard_normal(len(A))
            u = -K @ x
            cost += float(x @ Q @ x + u @ R @ u)
        return cost / length

    return simulate

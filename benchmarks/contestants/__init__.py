"""Implementations of Algorithm 2, each idiomatic for its library and with its own random numbers."""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings
from metalqr.config.algorithm import Layer


class Contestant(ABC):
    """A way to compute Algorithm 2 with every task of the family once."""

    name: str

    @abstractmethod
    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        """The estimated meta-gradient, of shape (k, d)."""

    def timed_part(self, settings: MetaSettings) -> MetaSettings:
        """The settings to time; the time of ``settings`` follows from it by the number of steps."""
        return settings

    def checked_part(self, settings: MetaSettings) -> MetaSettings:
        """The settings of an estimate whose mean is compared, for which fewer perturbations are only noisier."""
        return settings


class Rollouts(NamedTuple):
    """The rollouts of each perturbation of a layer, and what becomes of their costs."""

    signs: tuple[int, ...]
    weights: tuple[float, ...]
    leaves_one_out: bool
    shares_noise: bool

    @classmethod
    def of(cls, settings: MetaSettings, layer: Layer) -> Self:
        """That of a layer of Algorithm 2, as its estimator declares it."""
        estimator = layer.estimator(settings, layer)
        if estimator.weights is None:
            raise ValueError(f"{estimator.name}: its coefficients are no weighted sum of costs")
        return cls(estimator.signs, estimator.weights, estimator.leaves_one_out, estimator.sharing > 1)

    @property
    def members(self) -> int:
        """Rollouts of a perturbation."""
        return len(self.signs)

    @property
    def noises(self) -> int:
        """Rollouts of a perturbation that have noise of their own."""
        return 1 if self.shares_noise else self.members


def finished(sums: Array, tasks: LQRTasks, settings: MetaSettings) -> Array:
    """The meta-gradient from the sums of each task (I, 2 kd + 1): of coefficient times perturbation, and of both alone.

    The chunks of a task do not know the mean of all its coefficients, which a baseline needs.
    """
    count, entries = settings.outer.perturbations, tasks.action_dim * tasks.state_dim
    products, perturbations, coefficients = sums[:, :entries], sums[:, entries:-1], sums[:, -1:]
    scale = entries / settings.outer.radius**2 / count
    if Rollouts.of(settings, settings.outer).leaves_one_out:
        products = (products - coefficients / count * perturbations) * (count / (count - 1))
    return scale * (tasks.p @ products).reshape(tasks.action_dim, tasks.state_dim)


def chunks_per_task(count: int, policies: int, rollouts: int, entries: int, workers: int) -> int:
    """In how many chunks to simulate the perturbed policies of a task: the fewest that

    - give every worker the same number of chunks, all tasks together,
    - have at most 5000 rollouts and 400 000 entries of gains (3 MB), beyond which nothing gets faster.

    ``rollouts`` is the number for each policy, and ``entries`` the size of a gain.
    """
    most = max(1, min(5000, 400_000 // entries) // rollouts)  # policies in a chunk
    chunks = math.ceil(policies / most)
    step = workers // math.gcd(count, workers)
    return math.ceil(chunks / step) * step

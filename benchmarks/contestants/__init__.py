"""Implementations of Algorithm 2, each idiomatic for its library and with its own random numbers."""

import math
from abc import ABC, abstractmethod

from benchmarks.work import Array
from metalqr import LQRTasks, MetaSettings


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

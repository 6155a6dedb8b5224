"""Tasks that training draws anew in every iteration."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.common.validation import whole_number
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import Address, Pool

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: Iterations whose tasks are drawn together, which takes less time than one after the other, fewer of large tasks.
MAX_BLOCK = 32
_BLOCK_ENTRIES = 2**17


class Block(NamedTuple):
    """The tasks of some consecutive iterations, those of an iteration one after the other; see `Draws`."""

    tasks: LQRTasks
    redraws: NDArray[np.int64]


class ResampledTasks:
    """The tasks of every iteration of the runs of a case: as many as the case has, with equal weights.

    The tasks of an iteration depend on the seed of the tasks, the seed of the run and the number of the iteration. So
    two seeds of a run see different tasks, a resumed run sees those that it would have seen, and two methods with the
    same seed see the same. They are drawn from the pool ``RESAMPLED``, and are never the tasks of the case. Those that
    no gain stabilises are drawn again; the initial gain need not stabilise them.

    Parameters
    ----------
    family : Family
    state_dim, action_dim : int
    seed : int
        Seed of the tasks of the case.
    """

    def __init__(self, family: "Family", state_dim: int, action_dim: int, seed: int) -> None:
        self._family, self._arguments, self.count = family, (state_dim, action_dim, seed), family.count
        self._size = max(1, min(MAX_BLOCK, _BLOCK_ENTRIES // (self.count * state_dim**2)))
        self._block = lru_cache(maxsize=1)(self._drawn)
        #: By seed of the run and number of the block, so that they need not be drawn once more to be counted.
        self._redraws: dict[tuple[int, int], NDArray[np.int64]] = {}

    def block(self, run_seed: int, iteration: int) -> Block:
        """The block with the tasks of an iteration of a run; the same object as long as the block is the same."""
        return self._block(run_seed, iteration // self._size)

    def tasks(self, run_seed: int, iteration: int) -> LQRTasks:
        """The tasks of the block of an iteration."""
        return self.block(run_seed, iteration).tasks

    def places(self, iteration: int) -> NDArray[np.int64]:
        """The places of the tasks of an iteration in its block, not to be written to."""
        first = iteration % self._size * self.count
        places = np.arange(first, first + self.count)
        places.setflags(write=False)  # so that a simulator checks them once
        return places

    def redrawn(self, run_seed: int, iterations: int) -> int:
        """Number of draws without a stabilising gain in the first iterations of a run.

        It draws again those that another process has drawn, as before a run was resumed.
        """
        found = 0
        for first in range(0, iterations, self._size):
            key = run_seed, first // self._size
            redraws = self._redraws[key] if key in self._redraws else self._drawn(*key).redraws
            found += int(redraws[: (iterations - first) * self.count].sum())
        return found

    def _drawn(self, run_seed: int, number: int) -> Block:
        first = number * self._size
        iterations = range(first, first + self._size)
        places = [_place(run_seed, iteration, slot) for iteration in iterations for slot in range(self.count)]
        drawn = self._family.draw_stabilisable(*self._arguments, [Address(Pool.RESAMPLED, place) for place in places])
        self._redraws[run_seed, number] = drawn.redraws
        return Block(drawn.tasks, drawn.redraws)


def _place(run_seed: int, iteration: int, slot: int) -> int:
    """A place of its own for each: 64 bits of seed, and 32 of either of the others."""
    whole_number("seed", run_seed, 0, 2**64 - 1)
    whole_number("iteration", iteration, 0, 2**32 - 1)
    return (run_seed << 64) | (iteration << 32) | slot

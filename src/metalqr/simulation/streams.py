"""Counter-based random numbers: every number of a run has an address, so the order of computing does not matter.

Philox 4x32-10 maps a key (two 32-bit words) and a counter (four) to four random 32-bit words, and Box-Muller these to
four normals (:mod:`metalqr.simulation.simd.normals`). The layout is

==========  =================================================================================
word        contents
==========  =================================================================================
key         ``seed * 256 + use + purpose``: 56 bits of seed, 4 of :class:`Use`, 4 of :class:`Purpose`
counter 0   block of four numbers within one perturbation or one roll-out
counter 1   perturbation of Algorithm 1 (the inner one), else 0
counter 2   ``slot * perturbations + perturbation`` of Algorithm 2 (the outer one), slot = place in the task batch
counter 3   iteration of Algorithm 3
==========  =================================================================================

No number is used twice in a run. Under a given key Philox is a bijection of the counter: each of its rounds can be
undone, because its multipliers are odd. The map from seed, use and purpose to the key is injective, since 56, 4 and 4
bits fill its 64. The map from (block, inner perturbation, slot * perturbations + perturbation, iteration) to the
counter is injective as long as each of the four fits its 32-bit word, and slot * perturbations + perturbation
determines slot and perturbation; larger sizes are refused (:func:`require_addressable`). So two different addresses
with the same seed, use and purpose have different blocks. Addresses that differ in one of these have different keys,
hence different bijections: their blocks are not the same by construction, but may agree by chance, as independent
random numbers may.

An address belongs to a draw within one call. Two calls with the same stream share numbers on purpose, so a run makes
one estimate at each iteration.
"""

import enum
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from metalqr.simulation.simd.jit import compiled
from metalqr.simulation.simd.lanes import lane_numbers, lanes, store, words
from metalqr.simulation.simd.normals import (
    BLOCK,
    LOW_HALF,
    ROUNDS,
    counter_rows,
    fill_directions,
    philox,
    philox_start,
    rollout_start,
    uniform,
    work_rows,
)

_KEY_BITS_BESIDE_SEED = 8
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_LANES = lanes(np.float64)


class Purpose(enum.IntEnum):
    """What a number is drawn for; part of the key, so that two purposes never share a number."""

    PERTURBATION = 1
    ROLLOUT = 2
    INNER_PERTURBATION = 3
    INNER_ROLLOUT = 4
    TASK_BATCH = 5
    MIRRORED_INNER_ROLLOUT = 6


class Use(enum.IntEnum):
    """What a stream is for; part of the key, so that what examines a run draws none of the run's numbers again."""

    TRAINING = 0
    STABILITY = 16
    """The adaptations of a run's gains in :mod:`metalqr.evaluation.guarantees`."""
    ESTIMATION_ERROR = 32
    """The repeats of :mod:`metalqr.evaluation.estimation_error`."""


@dataclass(frozen=True)
class Stream:
    """An address in the space of random numbers; the same stream gives the same numbers, whatever ran before.

    Parameters
    ----------
    seed : int
        From 0 to 2^56 - 1. Different seeds give independent numbers.
    iteration : int
        Iteration of Algorithm 3, from 0 to 2^31 - 1.
    use : Use
        Different uses of the same seed give independent numbers.

    Raises
    ------
    ValueError
        If the seed or the iteration is out of range.

    Examples
    --------
    >>> Stream(2025).at(3)
    Stream(seed=2025, iteration=3, use=<Use.TRAINING: 0>)
    """

    seed: int
    iteration: int = 0
    use: Use = Use.TRAINING

    def __post_init__(self) -> None:
        for name, value, largest in [("seed", self.seed, 2**56 - 1), ("iteration", self.iteration, 2**31 - 1)]:
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= largest:
                raise ValueError(f"{name}: {value!r} is not a whole number from 0 to {largest}")

    def at(self, iteration: int) -> "Stream":
        """The stream of the same seed and use at another iteration."""
        return replace(self, iteration=iteration)

    def address(self, purpose: Purpose) -> NDArray[np.int64]:
        """Counter 3 and the keys of the ten rounds (two words each), as the compiled code wants them."""
        key = (int(self.seed) << _KEY_BITS_BESIDE_SEED) | self.use | purpose
        return np.array([self.iteration, *round_keys(key & LOW_HALF, key >> 32)], dtype=np.int64)


def round_keys(key_0: int, key_1: int) -> list[int]:
    """The two words of key of each round of Philox, one round after the other."""
    # Python's own integers: for twenty numbers every call of NumPy takes longer than all of them.
    steps = ((key_0, _WEYL_0), (key_1, _WEYL_1))
    return [(key + round_ * weyl) & LOW_HALF for round_ in range(ROUNDS) for key, weyl in steps]


def require_addressable(perturbed_policies: int, numbers: int, inner_perturbations: int = 1) -> None:
    """Refuse sizes whose addresses would not fit the 32-bit words of the counter, where streams would collide.

    Parameters
    ----------
    perturbed_policies : int
        Tasks in the batch times perturbations: the range of counter 2.
    numbers : int
        Numbers drawn for one perturbation or one roll-out: four times the range of counter 0.
    inner_perturbations : int
        The range of counter 1.

    Raises
    ------
    ValueError
        If a range is larger than 2^32.
    """
    if perturbed_policies > 2**32:
        raise ValueError(
            f"{perturbed_policies} perturbed policies an iteration are more than 2^32; lower perturbations"
        )
    if numbers > BLOCK * 2**32:
        raise ValueError(f"{numbers} random numbers for one roll-out are more than 2^34; lower rollout_length")
    if inner_perturbations > 2**32:
        raise ValueError(f"{inner_perturbations} inner perturbations are more than 2^32; lower inner_perturbations")


@compiled(parallel=True)
def _perturbations(policies, each, entries, radius, address):
    count = policies * each
    perturbations = np.empty((count, entries))
    for block in numba.prange((count + _LANES - 1) // _LANES):
        first = block * _LANES
        rows, counters = work_rows(entries + BLOCK, perturbations), counter_rows(perturbations)
        for lane in range(_LANES):
            counters[0, lane], counters[1, lane] = (first + lane) % each, (first + lane) // each
        fill_directions(rows, entries, radius, rollout_start(counters, address), address)
        for lane in range(min(_LANES, count - first)):
            for entry in range(entries):
                perturbations[first + lane, entry] = rows[entry, lane]
    return perturbations


def perturbations(
    stream: Stream, slots: int, count: int, action_dim: int, state_dim: int, radius: float
) -> NDArray[np.float64]:
    r"""The perturbations :math:`U_m`, uniform on the sphere :math:`\|U\|_F = r`, of Algorithm 2.

    Parameters
    ----------
    stream : Stream
    slots : int
        Tasks in the batch.
    count : int
        :math:`M`, perturbations of each task.
    action_dim, state_dim : int
    radius : float
        :math:`r`.

    Returns
    -------
    ndarray, shape (slots, count, action_dim, state_dim)
    """
    entries = action_dim * state_dim
    # As Python's integers: NumPy's would wrap around silently.
    require_addressable(int(slots) * int(count), entries)
    flat = _perturbations(slots * count, 1, entries, radius, stream.address(Purpose.PERTURBATION))
    return flat.reshape(slots, count, action_dim, state_dim)


def inner_perturbations(
    stream: Stream, policies: int, count: int, action_dim: int, state_dim: int, radius: float
) -> NDArray[np.float64]:
    r"""The perturbations of Algorithm 1 inside Algorithm 2, where the compiled rollouts do not draw them themselves.

    They are made of the numbers that :func:`metalqr.simulation.lqr_rollouts.smoothed_gradients` uses, which turns them
    into the coordinates of its simulation.

    Parameters
    ----------
    stream : Stream
    policies : int
        Perturbed policies of all tasks.
    count : int
        :math:`M`, perturbations of each policy.
    action_dim, state_dim : int
    radius : float
        :math:`r`.

    Returns
    -------
    ndarray, shape (policies, count, action_dim, state_dim)
    """
    entries = action_dim * state_dim
    require_addressable(int(policies), entries, int(count))
    flat = _perturbations(policies, count, entries, radius, stream.address(Purpose.INNER_PERTURBATION))
    return flat.reshape(policies, count, action_dim, state_dim)


@compiled()
def _uniforms(count, address):
    blocks = (count + _LANES - 1) // _LANES
    uniforms = np.empty((blocks, _LANES))
    for block in range(blocks):
        start = philox_start(words(0), words(block * _LANES) + lane_numbers(), address)
        store(uniforms, block, uniform(philox(start, 0, address)[0]))
    return uniforms.ravel()[:count]


def task_batch(stream: Stream, distribution: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Draw the batch :math:`T_n` of Algorithm 2: ``size`` task indices from ``distribution``, with replacement."""
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= 2**32:
        raise ValueError(f"task_batch: {size!r} is not a whole number from 1 to {2**32}")
    uniforms = _uniforms(size, stream.address(Purpose.TASK_BATCH))
    indices = np.searchsorted(np.cumsum(distribution), uniforms, side="right")
    # The sum of the distribution can round to less than the largest uniform: that belongs to the last possible task.
    return np.minimum(indices, np.flatnonzero(distribution)[-1]).astype(np.int64)

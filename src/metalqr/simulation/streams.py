"""Counter-based random numbers: every number of a run has an address, so the order of computing does not matter.

Philox 4x32-10 maps a key (two 32-bit words) and a counter (four) to four random 32-bit words, and Box-Muller these to
four normals (:mod:`metalqr.simulation.simd.normals`). The layout is

==========  =================================================================================
word        contents
==========  =================================================================================
key         ``seed * 256 + use + purpose``: 56 bits of seed, 4 of :class:`Use`, 4 of :class:`Purpose`
counter 0   block of four numbers within one perturbation or one rollout
counter 1   rollout or perturbation of Algorithm 1 (the inner one), else 0
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

An address belongs to a draw within one call. Two calls with the same stream and purposes share numbers on purpose, so
the estimates of an iteration differ in one of the two. Those of a gradient in the outer layer, of a gradient in the
inner one and of a Hessian have pairs of purposes of their own, so that one of each is independent of the others. A
method that makes s estimates of a kind in iteration n takes s n, ..., s n + s - 1 in place of n, which no two
iterations share; the iterations n < w of a warm-up, with one estimate each, keep n, and all others are at s n >= w.

Within a call only two things share numbers, both on purpose: the rollouts of a perturbation with ``common_noise``, and,
where the outer pairs have it, the whole inner estimates at K + U and K - U. All members then have the place of the
first. Rollouts of the same perturbation without it are told apart by their place: counter 2
is ``slot * rollouts + rollout`` with all rollouts of the slot, or counter 1 is ``sign * perturbations + perturbation``.
:attr:`Use.ANNEALING` is the one use whose calls share numbers: all gains and discounts of a round, which is its
iteration, are compared at the same initial states and perturbations, also on purpose.
Directions of every kind are functions of normals at the address of their own perturbation; an orthogonal block is one
of the normals of its columns, and no two blocks share a column.
"""

import enum
import functools
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from metalqr.common.validation import whole_number
from metalqr.simulation.simd.jit import compiled
from metalqr.simulation.simd.lanes import lane_numbers, lanes, load, store, words
from metalqr.simulation.simd.normals import (
    BLOCK,
    LOW_HALF,
    ROUNDS,
    counter_rows,
    fill_normals,
    fill_perturbations,
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
    """Purpose of a number; part of the key, so that two purposes never share a number."""

    PERTURBATION = 1
    ROLLOUT = 2
    INNER_PERTURBATION = 3
    INNER_ROLLOUT = 4
    TASK_BATCH = 5
    HESSIAN_PERTURBATION = 6
    HESSIAN_ROLLOUT = 7


class Use(enum.IntEnum):
    """Use of a stream; part of the key, so that diagnostics never reuse the run's random numbers."""

    TRAINING = 0
    STABILITY = 16
    """The adaptations of a run's gains in :mod:`metalqr.evaluation.guarantees`."""
    ESTIMATION_ERROR = 32
    """The repeats of :mod:`metalqr.evaluation.estimation_error`."""
    COVARIANCE = 48
    """The repeats of :func:`metalqr.estimators.covariance`."""
    ANNEALING = 64
    """The rollouts of the initial gain :class:`metalqr.initial_gains.annealed.Annealed`."""


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
        whole_number("seed", self.seed, 0, 2**56 - 1)
        whole_number("iteration", self.iteration, 0, 2**31 - 1)

    def at(self, iteration: int) -> "Stream":
        """The stream of the same seed and use at another iteration."""
        return Stream(self.seed, iteration, self.use)

    def address(self, purpose: Purpose) -> NDArray[np.int64]:
        """Counter 3 and the keys of the ten rounds (two words each), for compiled code."""
        address = _keys((int(self.seed) << _KEY_BITS_BESIDE_SEED) | self.use | purpose).copy()
        address[0] = self.iteration
        return address


@functools.lru_cache(maxsize=64)
def _keys(key: int) -> NDArray[np.int64]:
    """An address of iteration 0, which differs from those of others in the first word alone."""
    return np.array([0, *round_keys(key & LOW_HALF, key >> 32)], dtype=np.int64)


def round_keys(key_0: int, key_1: int) -> list[int]:
    """The two key words of each round of Philox, round by round."""
    # Python integers: for twenty numbers, one NumPy call takes longer than the whole loop.
    steps = ((key_0, _WEYL_0), (key_1, _WEYL_1))
    return [(key + round_ * weyl) & LOW_HALF for round_ in range(ROUNDS) for key, weyl in steps]


@functools.lru_cache(maxsize=64)  # an iteration asks for the same sizes as the one before
def require_addressable(perturbed_policies: int, numbers: int, inner_perturbations: int = 1) -> None:
    """Refuse sizes whose addresses would not fit the 32-bit words of the counter, where streams would collide.

    Parameters
    ----------
    perturbed_policies : int
        Tasks in the batch times perturbations: the range of counter 2.
    numbers : int
        Numbers drawn for one perturbation or one rollout: four times the range of counter 0.
    inner_perturbations : int
        The range of counter 1.

    Raises
    ------
    ValueError
        If a range is larger than 2^32.
    """
    for count, exponent, what, setting in [
        (perturbed_policies, 32, "perturbed policies per iteration", "perturbations"),
        (numbers, 34, "random numbers for one rollout", "rollout_length"),
        (inner_perturbations, 32, "inner perturbations", "inner_perturbations"),
    ]:
        if count > 2**exponent:
            raise ValueError(f"{count} {what} are more than 2^{exponent}; lower {setting}")


@compiled(parallel=True)
def _draw(count, each, policies, entries, scale, on_sphere, address):
    drawn = np.empty((count, entries))
    for block in numba.prange((count + _LANES - 1) // _LANES):
        first = block * _LANES
        rows, counters = work_rows(entries + BLOCK, drawn), counter_rows(drawn)
        for lane in range(_LANES):
            number = min(first + lane, count - 1)
            policy = number // each
            counters[0, lane], counters[1, lane] = number % each, policies[policy] if len(policies) else policy
        start = rollout_start(counters, address)
        if on_sphere:
            fill_perturbations(rows, entries, scale, start, address)
        else:
            fill_normals(rows, (entries + BLOCK - 1) // BLOCK, 0, start, address)
            for entry in range(entries):
                store(rows, entry, load(rows, entry) * scale)
        for lane in range(min(_LANES, count - first)):
            for entry in range(entries):
                drawn[first + lane, entry] = rows[entry, lane]
    return drawn


class Draws(NamedTuple):
    """The place of the random numbers of perturbations: M for each of P policies."""

    address: NDArray[np.int64]
    gains: int  # P
    each: int  # M of them at a policy, told apart by counter 1
    policies: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # counter 2 of each policy, if not 0, 1, ...

    def sphere(self, shape: tuple[int, int], radius: float) -> NDArray[np.float64]:
        r"""Independent matrices, uniform on the sphere :math:`\|U\|_F = r`, (P, M, k, d)."""
        return self._drawn(shape, radius, True)

    def normals(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Matrices of independent normals, (P, M, k, d)."""
        return self._drawn(shape, 1.0, False)

    def _drawn(self, shape: tuple[int, int], scale: float, on_sphere: bool) -> NDArray[np.float64]:
        # Python's integers: NumPy's would wrap around silently.
        count, each, entries = int(self.gains), int(self.each), int(shape[0]) * int(shape[1])
        last = int(self.policies.max()) if len(self.policies) else count - 1
        require_addressable(last + 1, entries, each)
        flat = _draw(count * each, each, self.policies, entries, float(scale), on_sphere, self.address)
        return flat.reshape(count, each, *shape)


def outer_draws(stream: Stream, slots: int, count: int, purpose: Purpose = Purpose.PERTURBATION) -> Draws:
    """The place of the perturbations of Algorithm 2, or of a Hessian: one for each policy, slot by slot."""
    return Draws(stream.address(purpose), int(slots) * int(count), 1)


def inner_draws(stream: Stream, policies: NDArray[np.int64], count: int) -> Draws:
    """The place of the perturbations of Algorithm 1 inside Algorithm 2, around each perturbed policy."""
    return Draws(stream.address(Purpose.INNER_PERTURBATION), len(policies), count, policies)


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
    drawn = outer_draws(stream, slots, count).sphere((action_dim, state_dim), radius)
    return drawn.reshape(slots, count, action_dim, state_dim)


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
    uniforms = _uniforms(whole_number("task_batch", size, 1, 2**32), stream.address(Purpose.TASK_BATCH))
    indices = np.searchsorted(np.cumsum(distribution), uniforms, side="right")
    # The sum of the distribution can round to less than the largest uniform: that belongs to the last task.
    return np.minimum(indices, len(distribution) - 1).astype(np.int64)

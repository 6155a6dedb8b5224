"""Compiled access to the random numbers, for tests: words and normals at addresses that a test chooses itself.

Nothing else in the tests calls the compiled functions of :mod:`metalqr.simulation.simd.normals`.
"""

# Compiled code takes its types from Numba, not from annotations.
# mypy: allow-untyped-defs

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.simulation.simd.lanes import bits, from_bits, lanes, load, store, words
from metalqr.simulation.simd.normals import (
    BLOCK,
    LOW_HALF,
    counter_rows,
    fill_normals,
    fill_perturbations,
    philox_start,
    rollout_start,
    work_rows,
)
from metalqr.simulation.simd.normals import philox as philox_rest
from metalqr.simulation.streams import round_keys

LANES = lanes(np.float64)


@numba.njit
def _philox(counter, address):
    rows = np.empty((4, LANES))
    start = philox_start(words(counter[1]), words(counter[2]), address)
    word_0, word_1, word_2, word_3 = philox_rest(start, counter[0], address)
    store(rows, 0, from_bits(word_0 & LOW_HALF))
    store(rows, 1, from_bits(word_1 & LOW_HALF))
    store(rows, 2, from_bits(word_2 & LOW_HALF))
    store(rows, 3, from_bits(word_3 & LOW_HALF))
    return rows


def philox(counter: Sequence[int], key: Sequence[int]) -> NDArray[np.int64]:
    """The four words, shape (4, lanes), of one counter in every lane."""
    address = np.concatenate([[counter[3]], round_keys(*key)])
    return _philox(np.array(counter, dtype=np.int64), address).view(np.int64)


@numba.njit
def _normals(first_block, blocks, counter_1, counter_2, address):
    lanes_2 = counter_2.reshape(-1, LANES).view(np.float64)
    normals = np.empty((len(counter_1), len(counter_2), 4 * blocks))
    rows = np.empty((4 * blocks, LANES))
    for i in range(len(counter_1)):
        for group in range(len(lanes_2)):
            start = philox_start(words(counter_1[i]), bits(load(lanes_2, group)), address)
            fill_normals(rows, blocks, first_block, start, address)
            for lane in range(LANES):
                for row in range(4 * blocks):
                    normals[i, group * LANES + lane, row] = rows[row, lane]
    return normals


def normals(
    first_block: int, blocks: int, counter_1: Sequence[int], counter_2: ArrayLike, address: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The normals of every block, counter 1 and counter 2, shape (len(counter_1), len(counter_2), blocks, 4).

    Neighbours along ``counter_2`` are neighbouring lanes.
    """
    lanes_2 = np.asarray(counter_2, dtype=np.int64)
    count = len(lanes_2)
    whole = np.resize(lanes_2, -(-count // LANES) * LANES)
    numbers = _normals(first_block, blocks, np.asarray(counter_1, dtype=np.int64), whole, address)
    return numbers[:, :count].reshape(len(counter_1), count, blocks, 4)


@numba.njit
def _single_normals(first_block, counters, address, like):
    lane_counters, rows = counter_rows(like), work_rows(BLOCK, like)
    normals = np.empty((len(counters), BLOCK))
    lane_counters[:] = 0
    for i in range(len(counters)):
        lane = i % rows.shape[1]
        lane_counters[0, lane], lane_counters[1, lane] = counters[i, 0], counters[i, 1]
        fill_normals(rows, 1, first_block, rollout_start(lane_counters, address), address)
        for row in range(BLOCK):
            normals[i, row] = rows[row, lane]
    return normals


def single_normals(block: int, counters: Sequence[Sequence[int]], address: NDArray[np.int64]) -> NDArray[np.float64]:
    """A block of normals in single precision for each pair of counters 1 and 2, in one lane after the other."""
    return _single_normals(block, np.array(counters, dtype=np.int64), address, np.empty(0, np.float32))


@numba.njit
def _shortest_and_longest(vectors, entries, address, like):
    counters, rows = counter_rows(like), work_rows(entries + BLOCK, like)
    shortest, longest = np.inf, 0.0
    for vector in range(vectors):
        for lane in range(rows.shape[1]):
            counters[0, lane], counters[1, lane] = vector, lane
        fill_perturbations(rows, entries, 1.0, rollout_start(counters, address), address)
        for lane in range(rows.shape[1]):
            square = 0.0
            for entry in range(entries):
                square += rows[entry, lane] ** 2
            if np.isnan(square):
                return np.nan, np.nan
            shortest, longest = min(shortest, square), max(longest, square)
    return np.sqrt(shortest), np.sqrt(longest)


def shortest_and_longest(directions: int, entries: int, address: NDArray[np.int64]) -> tuple[float, float]:
    """The norms of that many directions in single precision, or somewhat more to fill the lanes."""
    vectors = -(-directions // lanes(np.float32))
    return _shortest_and_longest(vectors, entries, address, np.empty(0, np.float32))

"""Compiled access to the random numbers, for tests: words and normals at addresses that a test chooses itself.

Nothing else in the tests calls the compiled functions of :mod:`metalqr.normals`.
"""

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from metalqr.lanes import bits, from_bits, lanes, load, store, words
from metalqr.normals import LOW_HALF, fill_normals, philox_start
from metalqr.normals import philox as philox_rest
from metalqr.random import round_keys

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
    first_block: int, blocks: int, counter_1: Sequence[int], counter_2: Sequence[int], address: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The normals of every block, counter 1 and counter 2, shape (len(counter_1), len(counter_2), blocks, 4).

    Neighbours along ``counter_2`` are neighbouring lanes.
    """
    count = len(counter_2)
    filled = np.resize(np.asarray(counter_2, dtype=np.int64), -(-count // LANES) * LANES)
    numbers = _normals(first_block, blocks, np.asarray(counter_1, dtype=np.int64), filled, address)
    return numbers[:, :count].reshape(len(counter_1), count, blocks, 4)

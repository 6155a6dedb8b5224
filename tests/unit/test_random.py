"""The random numbers: published vectors, a plain twin, distributions and addresses."""

import numba
import numpy as np
import pytest
import scipy.stats
import twins
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from metalqr import random
from metalqr.lanes import lane_numbers, store, words
from metalqr.random import Purpose, Stream


@numba.njit
def _words(counter, key):
    rows = np.empty((4, 8))
    a, b, c, d = random.philox(
        words(counter[0]), words(counter[1]), words(counter[2]), words(counter[3]), key[0], key[1]
    )
    store(rows, 0, random._small_word_to_double(a))
    store(rows, 1, random._small_word_to_double(b))
    store(rows, 2, random._small_word_to_double(c))
    store(rows, 3, random._small_word_to_double(d))
    return rows


@numba.njit
def _normals(blocks, counter_2, address):
    rows = np.empty((4 * blocks, 8))
    random.fill_normals(rows, blocks, 0, lane_numbers(), words(counter_2), address)
    return rows


# The known-answer vectors that the authors of Philox publish with Random123 (kat_vectors, philox 4x32 10).
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_philox_gives_the_published_words(counter, key, expected):
    assert twins.philox(counter, key) == list(expected)
    rows = _words(np.array(counter, dtype=np.int64), np.array(key, dtype=np.int64))
    assert_array_equal(rows, np.repeat(np.array(expected, dtype=np.float64)[:, np.newaxis], 8, axis=1))


def test_normals_agree_with_the_plain_twin():
    address = Stream(2**40 + 17, iteration=9).address(Purpose.ROLLOUT)
    rows = _normals(64, 5, address)
    for lane in range(8):
        assert_allclose(rows[:, lane], twins.normals(256, lane, 5, address), rtol=0, atol=2e-14)


def test_normals_have_the_moments_and_the_distribution_of_a_normal():
    """8 million numbers; every statistic within 4.5 of its standard errors (7e-6 each to fail by accident)."""
    numbers = np.concatenate([_normals(2500, n, Stream(1).address(Purpose.ROLLOUT)).ravel() for n in range(100)])
    for power, mean, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        error = (np.mean(numbers**power) - mean) / np.sqrt(variance / numbers.size)
        assert abs(error) < 4.5, (power, error)
    assert scipy.stats.kstest(numbers[:1_000_000], "norm").pvalue > 1e-5
    for sigma in (3.0, 4.0, 5.0):
        expected = 2 * scipy.stats.norm.sf(sigma) * numbers.size
        assert abs(np.count_nonzero(np.abs(numbers) > sigma) - expected) < 4.5 * np.sqrt(expected) + 1, sigma


@pytest.mark.parametrize("varied", ["counter_2", "iteration", "seed", "purpose"])
def test_neighbouring_addresses_are_uncorrelated(varied):
    """80 000 pairs: correlation within 4.5 standard errors of 0."""

    def numbers(step):
        stream = Stream(7 + step * (varied == "seed"), iteration=3 + step * (varied == "iteration"))
        purpose = Purpose(Purpose.PERTURBATION + step * (varied == "purpose"))
        return _normals(2500, 4 + step * (varied == "counter_2"), stream.address(purpose)).ravel()

    first, second = numbers(0), numbers(1)
    assert not np.any(first == second)
    assert abs(np.mean(first * second)) < 4.5 / np.sqrt(first.size)


def test_lanes_and_neighbours_in_a_rollout_are_uncorrelated():
    rows = _normals(20_000, 0, Stream(3).address(Purpose.ROLLOUT))
    bound = 4.5 / np.sqrt(rows.size)
    assert abs(np.mean(rows[1:] * rows[:-1])) < bound
    assert abs(np.mean(rows[:, 1:] * rows[:, :-1])) < bound


def test_perturbations_lie_on_the_sphere_and_cover_it_evenly():
    """Means 0 and covariance r^2/(dk) I, each entry within 4.5 standard errors (fourth moment of the sphere)."""
    count, entries, radius = 50_000, 6, 0.3
    U = random.perturbations(Stream(11), 2, count, 2, 3, radius)
    assert U.shape == (2, count, 2, 3)
    assert_allclose(np.linalg.norm(U, axis=(2, 3)), radius, rtol=1e-14)
    flat = U.reshape(-1, entries) / radius
    assert np.all(np.abs(flat.mean(axis=0)) < 4.5 / np.sqrt(entries * len(flat)))
    covariance = flat.T @ flat / len(flat)
    assert np.all(np.abs(covariance - np.eye(entries) / entries) < 4.5 * np.sqrt(3) / entries / np.sqrt(len(flat)))
    first = random.perturbations(Stream(11), 1, 16, 2, 3, radius)
    twin = twins.direction((2, 3), radius, 0, 13, Stream(11).address(Purpose.PERTURBATION))
    assert_allclose(first[0, 13], twin, rtol=0, atol=1e-14)


def test_scalar_perturbations_are_plus_and_minus_the_radius():
    U = random.perturbations(Stream(0), 1, 1000, 1, 1, 0.05).ravel()
    assert set(np.round(U, 15)) == {-0.05, 0.05}


@given(seed=st.integers(0, 2**56 - 1), iteration=st.integers(0, 2**31 - 1), purpose=st.sampled_from(Purpose))
def test_addresses_keep_all_of_seed_purpose_and_iteration(seed, iteration, purpose):
    low, high, counter = Stream(seed, iteration).address(purpose).tolist()
    assert 0 <= low < 2**32
    assert 0 <= high < 2**32
    assert divmod((high << 32) | low, 256) == (seed, purpose)
    assert counter == iteration


@pytest.mark.parametrize("seed", [-1, 2**56, 1.5, "1", True])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=r"seed: .* is not a whole number from 0 to"):
        Stream(seed)


def test_sizes_whose_streams_would_collide_are_refused():
    random.require_addressable(2**32, 2**34)
    with pytest.raises(ValueError, match="lower perturbations"):
        random.require_addressable(2**32 + 1, 1)
    with pytest.raises(ValueError, match="lower rollout_length"):
        random.require_addressable(1, 2**34 + 1)


def test_task_batches_follow_the_distribution():
    """100 000 draws: each share within 4.5 standard errors; a task of probability 0 never appears."""
    p = np.array([0.1, 0.0, 0.6, 0.3])
    shares = np.bincount(random.task_batch(Stream(5), p, 100_000), minlength=4) / 100_000
    assert shares[1] == 0
    assert np.all(np.abs(shares - p) <= 4.5 * np.sqrt(p * (1 - p) / 100_000))
    assert_array_equal(random.task_batch(Stream(5), p, 7), random.task_batch(Stream(5), p, 100)[:7])
    assert not np.array_equal(random.task_batch(Stream(5, 1), p, 100), random.task_batch(Stream(5), p, 100))

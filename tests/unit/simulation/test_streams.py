"""The random numbers, exactly: published vectors, a plain twin, and addresses that never meet.

The distribution of the numbers is the subject of ``test_streams_statistics.py``.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

import draws
import numpy as np
import pytest
import scipy.stats
import twins
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from systems import random_tasks

from metalqr import rollout
from metalqr.lqr import LQRTasks
from metalqr.simulation import streams
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.simd import kernel
from metalqr.simulation.simulator import Array, WeightedDirections
from metalqr.simulation.streams import Purpose, Stream, Use

WORD = 0xFFFFFFFF
#: Any 32-bit word, the ends of its range more often than chance would have it.
WORDS = st.sampled_from([0, 1, 2**31 - 1, 2**31, WORD - 1, WORD]) | st.integers(0, WORD)
COUNTERS, KEYS = st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS)
SEEDS = st.sampled_from([0, 2**24 - 1, 2**24, 2**56 - 1]) | st.integers(0, 2**56 - 1)

# The known-answer vectors that the authors of Philox publish with Random123 (kat_vectors, philox 4x32 10).
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORD,) * 4, (WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def _counter(words: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """The counter that Philox maps to these words: its rounds undone, last one first."""
    multiplier_0, multiplier_1 = 0xD2511F53, 0xCD9E8D57
    a, b, c, d = words
    for i in reversed(range(10)):
        counter_0 = d * pow(multiplier_0, -1, 2**32) & WORD
        counter_2 = b * pow(multiplier_1, -1, 2**32) & WORD
        counter_1 = a ^ (multiplier_1 * counter_2 >> 32) ^ (key[0] + i * 0x9E3779B9 & WORD)
        counter_3 = c ^ (multiplier_0 * counter_0 >> 32) ^ (key[1] + i * 0xBB67AE85 & WORD)
        a, b, c, d = counter_0, counter_1, counter_2, counter_3
    return a, b, c, d


def _block(counter: Sequence[int], key: Sequence[int]) -> Array:
    """The four normals of one address."""
    address = np.concatenate([[counter[3]], streams.round_keys(*key)])
    return draws.normals(counter[0], 1, [counter[1]], [counter[2]], address)[0, 0, 0]


def _words_of(normals: Array) -> list[int]:
    """The words from which Box and Muller's transform makes these normals."""
    x, y = normals.reshape(2, 2).T
    uniform = np.exp(-0.5 * (x * x + y * y))
    quarter = np.arctan2(np.abs(y), np.abs(x)) / (np.pi / 2)
    radius_words = np.rint(uniform * 2**32 - 0.5).astype(int)
    angle_words = np.rint(quarter * 2**30 - 0.5).astype(int) + 2**31 * (x < 0) + 2**30 * (y < 0)
    return np.stack([radius_words, angle_words], axis=1).ravel().tolist()


# The generator.


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_philox_gives_the_published_words(counter: list[int], key: list[int], expected: list[int]) -> None:
    assert twins.philox(counter, key) == list(expected)
    words = draws.philox(counter, key)
    assert_array_equal(words, np.repeat(np.array(expected)[:, np.newaxis], words.shape[1], axis=1))


@given(counter=COUNTERS, key=KEYS)
def test_philox_agrees_with_the_plain_twin(counter: tuple[int, ...], key: tuple[int, ...]) -> None:
    assert_array_equal(draws.philox(counter, key)[:, 0], twins.philox(counter, key))


@pytest.mark.slow
@pytest.mark.parametrize("counter_1", [0, 3, WORD])
@pytest.mark.parametrize("first_2", [0, 5, 2**32 - 11])
def test_normals_agree_with_the_plain_twin(counter_1: int, first_2: int) -> None:
    """64 blocks in each of 11 lanes, the last of which do not fill a vector."""
    address = Stream(2**40 + 17, iteration=2**31 - 1).address(Purpose.ROLLOUT)
    numbers = draws.normals(0, 64, [counter_1], range(first_2, first_2 + 11), address)
    for lane in range(11):
        twin = twins.normals(256, counter_1, first_2 + lane, address)
        assert_allclose(numbers[0, lane].ravel(), twin, rtol=0, atol=2e-14)


@pytest.mark.slow
def test_a_run_of_blocks_is_made_of_single_blocks() -> None:
    """In any number and up to the last block of all."""
    address = Stream(3).address(Purpose.ROLLOUT)
    for blocks in range(1, 10):
        first = 2**32 - blocks
        run = draws.normals(first, blocks, [7], range(9), address)
        for block in range(blocks):
            assert_array_equal(run[:, :, [block]], draws.normals(first + block, 1, [7], range(9), address))


def test_extreme_words_give_exact_normals() -> None:
    """Both ends of both uniforms and all borders of quadrants, reached by undoing Philox: the tails are not cut."""
    key = (12, 34)
    radius_words = [0, 1, 2, 2**20, 2**31, WORD - 1, WORD]
    angle_words = [(quadrant * 2**30 + step) & WORD for quadrant in range(4) for step in (-1, 0, 1, 2**29)]
    pairs = list(itertools.product(radius_words, angle_words))
    largest = 0.0
    for first, second in zip(pairs, reversed(pairs), strict=True):
        normals = _block(_counter((*first, *second), key), key)
        assert_allclose(normals, twins.box_muller(*np.array([first, second]).T).ravel(), rtol=0, atol=2e-14)
        largest = max(largest, np.abs(normals).max())
    assert largest == pytest.approx(np.sqrt(66 * np.log(2)))


@pytest.mark.slow
def test_extreme_words_give_finite_normals_in_single_precision() -> None:
    """As in double precision, but for u nearest to 1, where the radius is never smaller than sqrt(2) 2^-12."""
    key, exact, single = (12, 34), [], []
    for radius_word, angle_word in itertools.product([0, 1, 2**31, WORD - 200, WORD], [0, 1, 2**29, 2**30 - 1, WORD]):
        *counter, iteration = _counter((radius_word, angle_word, 5, 6), key)
        address = np.concatenate([[iteration], streams.round_keys(*key)])
        exact.append(_block((*counter, iteration), key))
        single.append(draws.single_normals(counter[0], [counter[1:]], address)[0])
    radius = np.hypot(*np.array(single).T[:2])
    assert radius.min() == pytest.approx(np.sqrt(2) * 2**-12, rel=1e-5)
    assert_allclose(single, exact, rtol=0, atol=4e-4)
    assert_allclose(np.array(single)[:, 2:], np.array(exact)[:, 2:], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_single_precision_has_the_same_counters() -> None:
    """Up to 2^32 - 1, although its lanes are signed words of 32 bits."""
    address, ends = Stream(7).address(Purpose.ROLLOUT), [0, 1, 2**31 - 1, 2**31, WORD]
    counters = list(itertools.product(ends, ends)) * 2
    expected = [draws.normals(3, 1, [first], [second], address)[0, 0, 0] for first, second in counters]
    assert_allclose(draws.single_normals(3, counters, address), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("entries", [1, 2])
def test_no_direction_in_single_precision_is_not_a_number(entries: int) -> None:
    """2^28 of them, of which eight would have pairs of zeros if the largest words counted as 2^32.

    Of one entry, one in 7 10^7 is 0: there cosine and sine are rounded to the same number.
    """
    shortest, longest = draws.shortest_and_longest(2**28, entries, Stream(1).address(Purpose.INNER_PERTURBATION))
    assert longest == pytest.approx(1.0, rel=1e-6)
    assert shortest == pytest.approx(1.0, rel=1e-6) or (entries == 1 and shortest == 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("sigma", "tolerance"), [(5.0, 1e-6), (5.5, 1e-4), (6.0, 1e-2)])
def test_tails_have_the_probabilities_of_a_normal(sigma: float, tolerance: float) -> None:
    """Exact: the sum over *all* first words whose radius passes sigma, of the share of angles that take x past it.

    The tolerance is what 2^32 steps of the uniform leave: 16 007 words pass 5 sigma, 1161 pass 5.5, 65 pass 6.
    """
    key, count = (56, 78), 2 * int(2**31 * np.exp(-0.5 * sigma**2) + 1)
    words = [(w, 0, w + 1, 0) for w in range(0, count, 2)]
    normals = np.array([_block(_counter(four, key), key) for four in words]).reshape(-1, 2)
    radius = np.hypot(normals[:, 0], normals[:, 1])
    tail = np.arccos(np.minimum(sigma / radius, 1.0)).sum() / np.pi / 2**32
    assert tail == pytest.approx(scipy.stats.norm.sf(sigma), rel=tolerance)


# Addresses: no two of them give the same block.


@given(counter=COUNTERS, key=KEYS)
def test_normals_give_their_counter_back(counter: tuple[int, ...], key: tuple[int, ...]) -> None:
    """The map from counters to blocks of four normals has an inverse, so it takes no block twice under one key."""
    assert _counter(twins.philox(counter, key), key) == counter
    assert _counter(_words_of(_block(counter, key)), key) == counter


@given(
    seed=SEEDS, iteration=st.integers(0, 2**31 - 1), purpose=st.sampled_from(Purpose), use=st.sampled_from(list(Use))
)
def test_addresses_keep_all_of_seed_use_purpose_and_iteration(
    seed: int, iteration: int, purpose: Purpose, use: Use
) -> None:
    counter, low, high = Stream(seed, iteration, use).address(purpose)[:3].tolist()
    assert 0 <= low < 2**32
    assert 0 <= high < 2**32
    kept, rest = divmod((high << 32) | low, 256)
    assert (kept, rest // 16 * 16, rest % 16) == (seed, use, purpose)
    assert counter == iteration
    assert Stream(seed, use=use).at(iteration) == Stream(seed, iteration, use)


@pytest.mark.parametrize("drawn", ["sphere", "gaussian"])
def test_algorithms_use_no_number_twice(drawn: str) -> None:
    """Every rollout and every direction of both algorithms, for small sizes: as many different values as addresses.

    The tasks are equal, have no dynamics (A = B = 0) and no gain, so a step's cost is a function of its noise alone and
    two equal costs would mean the same noise. Sums over steps and inner perturbations are undone by differences.
    """
    slots, count, inner, steps, radius = 3, 11, 19, 9, 1e-6
    equal = np.ones((slots, 1, 1))
    tasks = LQRTasks(0 * equal * np.eye(2), np.zeros((slots, 2, 1)), *(equal * m for m in (np.eye(2), 1, np.eye(2))))
    gains = np.zeros((slots, count, 1, 2))
    costs, directions = [], []
    for seed, iteration in itertools.product([0, 1, 2**24], [0, 1]):
        stream = Stream(seed, iteration)
        totals = [n * rollout.costs(tasks, gains, n, stream) for n in range(1, steps + 1)]
        costs.append(np.diff(totals, axis=0, prepend=0))
        outer = streams.outer_draws(stream, slots, count)
        nested = streams.inner_draws(stream, np.arange(slots * count), inner)
        directions.append(outer.normals((1, 2)) if drawn == "gaussian" else outer.sphere((1, 2), radius))
        estimates = functools.partial(LQRSimulator(tasks).weighted_directions, gains, length=1, stream=stream)
        sums = [n * estimates(directions=WeightedDirections(n, radius, drawn)) for n in range(1, inner + 1)]
        terms = np.diff(sums, axis=0, prepend=0) * radius / 2
        directions.append(terms)
        # Rotations, which the directions of the compiled loop differ by, change no length.
        lengths = np.linalg.norm(nested.normals((1, 2)), axis=(-1, -2)).T.reshape(inner, slots, count) / np.sqrt(2)
        costs.append(np.linalg.norm(terms, axis=(-1, -2)) / (lengths if drawn == "gaussian" else 1.0))
    all_costs = np.concatenate([part.ravel() for part in costs])
    all_angles = np.concatenate([np.arctan2(*np.moveaxis(part.reshape(-1, 2), 1, 0)) for part in directions])
    assert len(all_costs) == 6 * slots * count * (steps + inner)
    assert len(all_angles) == 6 * slots * count * (1 + inner)
    for values in (all_costs, all_angles):
        assert np.diff(np.sort(values)).min() > 1e-10  # differences leave 1e-12, chance leaves gaps of 1e-8


@pytest.mark.parametrize("common_noise", [False, True])
def test_pairs_share_noise_only_where_it_is_common(common_noise: bool) -> None:
    """Both rollouts of every pair in both layers, as above: as many costs as addresses, or half as many.

    The inner directions are given: those of an estimate are the unit vectors, so its entries are the costs.
    """
    slots, count, inner, radius = 3, 7, 5, 1e-6
    equal = np.ones((slots, 1, 1))
    tasks = LQRTasks(
        0 * equal * np.eye(inner), np.zeros((slots, inner, 1)), *(equal * m for m in (np.eye(inner), 1, np.eye(inner)))
    )
    simulator, every, rollouts = LQRSimulator(tasks), np.arange(slots), 2 * count
    # Without common noise the two policies of an outer pair have places of their own; with it, one.
    places = count if common_noise else rollouts
    pairs = np.zeros((slots, rollouts, 1, inner))
    units = np.tile(radius * np.eye(inner)[:, np.newaxis], (slots, places, 1, 1, 1))
    outer, first, second = list[Array](), list[Array](), list[Array]()
    for seed, iteration in itertools.product([0, 1, 2**24], [0, 1]):
        stream = Stream(seed, iteration)
        outer.append(simulator.costs(pairs, 1, stream, tasks=every, sharing=2 if common_noise else 1))
        for weights, found in (((1, 0), first), ((0, 1), second)):
            sums = WeightedDirections(inner, radius, units, (1, -1), weights, common_noise=common_noise)
            found.append(simulator.weighted_directions(pairs[:, :places], sums, 1, stream, tasks=every) * radius)
    expected = 6 * slots * (rollouts + 2 * places * inner)
    values = np.concatenate([part.ravel() for part in (*outer, *first, *second)])
    assert len(values) == expected
    distinct = np.count_nonzero(np.diff(np.sort(values)) > 1e-10) + 1
    assert distinct == (expected / 2 if common_noise else expected)
    if common_noise:
        assert_allclose(first, second, rtol=1e-10)
        assert_array_equal(np.array(outer)[:, :, :count], np.array(outer)[:, :, count:])


# Sizes.


@pytest.mark.parametrize("seed", [-1, 2**56, 1.5, "1", True])
def test_impossible_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match=r"seed: .* is not a whole number from 0 to 72057594037927935"):
        Stream(seed)


@pytest.mark.parametrize("iteration", [-1, 2**31, 0.0, False])
def test_impossible_iterations_are_refused(iteration: Any) -> None:
    with pytest.raises(ValueError, match=r"iteration: .* is not a whole number from 0 to 2147483647"):
        Stream(0).at(iteration)


def test_sizes_whose_streams_would_collide_are_refused() -> None:
    streams.require_addressable(2**32, 2**34, inner_perturbations=2**32)
    with pytest.raises(ValueError, match=r"4294967297 perturbed policies .* lower perturbations"):
        streams.require_addressable(2**32 + 1, 1)
    with pytest.raises(ValueError, match=r"17179869185 random numbers .* lower rollout_length"):
        streams.require_addressable(1, 2**34 + 1)
    with pytest.raises(ValueError, match=r"4294967297 .* lower inner_perturbations"):
        streams.require_addressable(1, 1, inner_perturbations=2**32 + 1)


class _ComputingError(Exception):
    pass


@pytest.fixture
def nothing_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At sizes that are allowed the compiled functions would go on for hours."""

    def compute(*arguments: object) -> None:
        raise _ComputingError

    for module, name in [
        (streams, "_draw"),
        (streams, "_uniforms"),
        (kernel, "costs"),
        (kernel, "smoothed_gradients"),
    ]:
        monkeypatch.setattr(module, name, compute)


TASKS, GAIN = random_tasks(seed=0, count=1, state_dim=1, action_dim=1), np.zeros((1, 1, 1, 1))


def estimate(perturbations: int, length: int) -> Array:
    return LQRSimulator(TASKS).weighted_directions(GAIN, WeightedDirections(perturbations, 1.0), length, Stream(0))


@pytest.mark.usefixtures("nothing_computes")
@pytest.mark.parametrize(
    ("draw", "largest", "message"),
    [
        (lambda size: streams.perturbations(Stream(0), 1, size, 1, 1, 0.1), 2**32, "lower perturbations"),
        (lambda size: streams.perturbations(Stream(0), size, 2**16, 1, 1, 0.1), 2**16, "lower perturbations"),
        (lambda size: rollout.costs(TASKS, GAIN, size, Stream(0)), 2**34 - 1, "lower rollout"),
        (lambda size: estimate(1, size), 2**34 - 1, "lower rollout"),
        (lambda size: estimate(size, 1), 2**32, "lower inner_perturb"),
        (lambda size: streams.task_batch(Stream(0), np.ones(1), size), 2**32, "task_batch: 4294967297 is not a whole"),
    ],
    ids=["perturbations", "slots", "length", "inner length", "inner perturbations", "task batch"],
)
def test_the_largest_sizes_are_accepted_and_one_more_is_refused(
    draw: Callable[[int], object], largest: int, message: str
) -> None:
    with pytest.raises(_ComputingError):
        draw(largest)
    with pytest.raises(ValueError, match=message):
        draw(largest + 1)


def test_too_many_gains_are_refused_before_they_are_copied() -> None:
    with pytest.raises(ValueError, match="lower perturbations"):
        rollout.costs(TASKS, np.broadcast_to(GAIN, (1, 2**58, 1, 1)), 1, Stream(0))


@pytest.mark.usefixtures("nothing_computes")
def test_small_integer_types_do_not_wrap_around_the_checks() -> None:
    tasks, small = random_tasks(seed=0, count=1, state_dim=9, action_dim=1), cast(Callable[[int], int], np.int32)
    with pytest.raises(ValueError, match="lower rollout_length"):
        rollout.costs(tasks, np.zeros((1, 1, 1, 9)), small(2**31 - 1), Stream(0))
    with pytest.raises(ValueError, match="lower perturbations"):
        streams.perturbations(Stream(0), small(2**16), small(2**17), 1, 1, 0.1)


# What the package draws.


@pytest.mark.parametrize(("action_dim", "state_dim"), [(1, 1), (2, 2), (2, 3), (10, 20)])
def test_perturbations_agree_with_the_plain_twin(action_dim: int, state_dim: int) -> None:
    stream, radius = Stream(11, iteration=4), 0.3
    U = streams.perturbations(stream, 2, 13, action_dim, state_dim, radius)
    for slot, m in itertools.product(range(2), range(13)):
        twin = twins.direction((action_dim, state_dim), radius, 0, 13 * slot + m, stream.address(Purpose.PERTURBATION))
        assert_allclose(U[slot, m], twin, rtol=0, atol=1e-14)


def test_task_batches_agree_with_the_plain_twin() -> None:
    stream, p = Stream(5, iteration=6), np.array([0.1, 0.0, 0.6, 0.3])
    iteration, *key = stream.address(Purpose.TASK_BATCH)[:3].tolist()
    words = [twins.philox((0, 0, place, iteration), key)[0] for place in range(100)]
    expected = np.searchsorted(np.cumsum(p), (np.array(words) + 0.5) / 2**32, side="right")
    assert_array_equal(streams.task_batch(stream, p, 100), expected)
    assert_array_equal(streams.task_batch(stream, p, 7), expected[:7])

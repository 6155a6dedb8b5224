"""The distribution of the random numbers: normals one by one, normals in pairs, directions and task batches.

The seeds are fixed. Every comparison would fail with a probability of 7e-6, that of a normal beyond 4.5 of its standard
errors, if the numbers were ideal and the seed new; all of this file together with 0.2 %. Where the largest of several
errors is compared, the bound is the larger one that it passes with this probability.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import draws
import numpy as np
import pytest
import scipy.special
import scipy.stats
from chance import SIGNIFICANCE, Counts, require_counts, require_standard

from metalqr.simulation.simd.orthogonal import orthogonal_blocks
from metalqr.simulation.simulator import Array
from metalqr.simulation.streams import Purpose, Stream, inner_draws, perturbations, task_batch

# Normals one by one: 10^8 of them.


class Sample(NamedTuple):
    size: int
    power_sums: Array  # of the powers 1 to 4
    edges: Array  # of the cells, 1/128 apart, from -7 to 7
    counts: Counts  # of the numbers in each cell


@pytest.fixture(scope="module")
def sample() -> Sample:
    """The numbers of 10 iterations of 1000 perturbed policies with 100 inner rollouts of 100 numbers each."""
    power_sums, counts = np.zeros(4), np.zeros(14 * 128, dtype=np.int64)
    for iteration in range(10):
        address = Stream(2025, iteration).address(Purpose.INNER_ROLLOUT)
        for inner in range(100):
            x = draws.normals(0, 25, [inner], range(1000), address).ravel()
            square = x * x
            power_sums += x.sum(), square.sum(), square @ x, square @ square
            counts += np.bincount(((x + 7.0) * 128.0).astype(np.int64), minlength=counts.size)
    return Sample(counts.sum(), power_sums, np.linspace(-7, 7, counts.size + 1), counts)


@pytest.mark.slow
@pytest.mark.parametrize(("power", "moment", "variance"), [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)])
def test_moments_are_those_of_a_normal(sample: Sample, power: int, moment: float, variance: float) -> None:
    assert sample.size == 10**8
    require_standard((sample.power_sums[power - 1] / sample.size - moment) / np.sqrt(variance / sample.size))


@pytest.mark.slow
def test_the_distribution_function_is_that_of_a_normal(sample: Sample) -> None:
    """Kolmogorov-Smirnov with the supremum over 1791 points instead of all numbers, which can only hide an error."""
    empirical = np.cumsum(sample.counts) / sample.size
    distance = np.abs(empirical - scipy.special.ndtr(sample.edges[1:])).max()
    assert scipy.stats.kstwobign.sf(distance * np.sqrt(sample.size)) > SIGNIFICANCE


@pytest.mark.slow
def test_counts_in_narrow_cells_are_those_of_a_normal(sample: Sample) -> None:
    """Cells of 1/128 between -4.25 and 4.25, and one for each tail."""
    inside = np.flatnonzero(np.abs(sample.edges) <= 4.25)
    counts = np.add.reduceat(sample.counts, np.append(0, inside))
    probabilities = np.diff(scipy.special.ndtr(sample.edges[inside]), prepend=0, append=1)
    require_counts(counts, sample.size * probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 4.0, 5.0, 5.5])
def test_tails_hold_as_many_numbers_as_those_of_a_normal(sample: Sample, sigma: float, side: int) -> None:
    """Exact binomial test; beyond 5.5 sigma 1.9 numbers are expected, which refuses 11 and more but not 0.

    That these tails are not empty is what ``test_tails_have_the_probabilities_of_a_normal`` shows exactly.
    """
    beyond = sample.counts[sample.edges[:-1] >= sigma] if side > 0 else sample.counts[sample.edges[1:] <= -sigma]
    count = int(beyond.sum())
    assert scipy.stats.binomtest(count, sample.size, scipy.stats.norm.sf(sigma)).pvalue > SIGNIFICANCE


# Normals in pairs: neighbours in every part of the address.


class Address(NamedTuple):
    step: int  # counter 0, the block
    rollout: int  # counter 1
    policy: int  # counter 2, slot * perturbations + perturbation
    iteration: int
    seed: int
    purpose: int


FIRST = Address(0, 0, 0, 0, 0, Purpose.PERTURBATION)
#: From here the neighbours below end with the largest address of all.
LAST = Address(2**32 - 128, 2**32 - 128, 2**32 - 1012, 2**31 - 2, 2**56 - 2**24 - 1, Purpose.INNER_ROLLOUT)
#: Differences of addresses; a task is as far away as there are perturbations, here 501.
NEIGHBOURS = {
    "step": Address(1, 0, 0, 0, 0, 0),
    "rollout": Address(0, 1, 0, 0, 0, 0),
    "perturbation": Address(0, 0, 1, 0, 0, 0),
    "task": Address(0, 0, 501, 0, 0, 0),
    "iteration": Address(0, 0, 0, 1, 0, 0),
    "seed": Address(0, 0, 0, 0, 1, 0),
    "second word of the seed": Address(0, 0, 0, 0, 2**24, 0),
    "purpose": Address(0, 0, 0, 0, 0, 1),
}


def _blocks(address: Address) -> Iterator[Array]:
    """A million blocks of four normals in 64 parts, at every second step, rollout and policy from this address on."""
    at = Stream(address.seed, address.iteration).address(Purpose(address.purpose))
    policies = address.policy + 2 * np.arange(256)
    for rollout in range(address.rollout, address.rollout + 128, 2):
        yield draws.normals(address.step, 127, [rollout], policies, at)[:, :, ::2].reshape(-1, 4)


def _hermite(blocks: Array) -> Array:
    """For each of the four normals x, (x^2 - 1) / sqrt(2) and (x^3 - 3 x) / sqrt(6): uncorrelated, of variance 1."""
    square = blocks * blocks
    return np.concatenate([blocks, (square - 1) / np.sqrt(2), (square - 3) * blocks / np.sqrt(6)], axis=1)


def _joint_counts(first: Array, second: Array) -> Counts:
    """How many pairs fall into each of 64 x 64 cells of equal probability."""
    cells = [(scipy.special.ndtr(numbers) * 64).astype(np.int64) for numbers in (first, second)]
    return np.bincount(64 * cells[0] + cells[1], minlength=64**2)


@pytest.mark.slow
@pytest.mark.parametrize("start", [FIRST, LAST], ids=["first", "last"])
@pytest.mark.parametrize("difference", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbours_are_independent(start: Address, difference: Address) -> None:
    """A million pairs of blocks: values, squares and cubes uncorrelated, and joint counts of four million pairs.

    The costs of rollouts are quadratic, so squares matter as much as values. Each of the 12 x 12 correlations is
    compared, their sum of squares (chi-square with 144 degrees of freedom), and those of equal places in the block.
    """
    size, errors, counts = 0, np.zeros((12, 12)), np.zeros(64**2)
    neighbour = Address(*np.add(start, difference).tolist())
    for first, second in zip(_blocks(start), _blocks(neighbour), strict=True):
        size += len(first)
        errors += _hermite(first).T @ _hermite(second)
        counts += _joint_counts(first.ravel(), second.ravel())
    assert size == 2**20
    errors /= np.sqrt(size)
    require_standard(errors)
    assert scipy.stats.chi2.sf((errors**2).sum(), errors.size) > SIGNIFICANCE / 2
    assert scipy.stats.chi2.cdf((errors**2).sum(), errors.size) > SIGNIFICANCE / 2
    for power in range(3):
        require_standard(np.diag(errors)[4 * power : 4 * power + 4].sum() / 2)
    require_counts(counts, np.full(counts.size, 4 * size / counts.size))


@pytest.mark.slow
@pytest.mark.parametrize("start", [FIRST, LAST], ids=["first", "last"])
def test_the_four_numbers_of_a_block_are_independent(start: Address) -> None:
    """Among them the two of one Box-Muller pair, which share their radius; as above, a million blocks."""
    pairs = [(i, j) for i in range(4) for j in range(i)]
    size, errors, counts = 0, np.zeros((12, 12)), np.zeros((len(pairs), 64**2))
    for blocks in _blocks(start):
        size += len(blocks)
        hermite = _hermite(blocks)
        errors += hermite.T @ hermite
        counts += [_joint_counts(blocks[:, i], blocks[:, j]) for i, j in pairs]
    errors = (errors / np.sqrt(size)).reshape(3, 4, 3, 4)
    for pair, (i, j) in enumerate(pairs):
        require_standard(errors[:, i, :, j])
        require_counts(counts[pair], np.full(64**2, size / 64**2))


# Directions: uniform on the sphere.


@functools.cache
def _directions(count: int, action_dim: int, state_dim: int, column: int | None) -> Array:
    """Independent points of the unit sphere, shape (count, k d), made for the radius of the paper.

    They are from two slots; or one column of each of many orthogonal blocks of up to twenty columns.
    """
    entries, radius = action_dim * state_dim, 0.05
    if column is None:
        U = perturbations(Stream(11), 2, count // 2, action_dim, state_dim, radius)
        assert U.shape == (2, count // 2, action_dim, state_dim)
    else:
        parts = []
        for policies in np.split(np.arange(count), 20):
            draws = inner_draws(Stream(11), policies, min(entries, 20))
            blocks = orthogonal_blocks(
                draws.normals((action_dim, state_dim)).reshape(len(policies), -1, entries), radius
            )
            parts.append(blocks[:, column])
        U = np.concatenate(parts)
    points = U.reshape(count, entries)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), radius, rtol=2e-14)
    return points / radius


SPHERES = [(200_000, 1, 2), (200_000, 2, 2), (200_000, 2, 3), (20_000, 10, 20)]
#: Independent directions, or the first or last columns of orthogonal blocks.
COLUMNS = pytest.mark.parametrize("column", [None, 0, -1], ids=["independent", "first column", "last column"])


@pytest.mark.slow
@COLUMNS
@pytest.mark.parametrize(("count", "action_dim", "state_dim"), SPHERES)
def test_directions_have_the_moments_of_the_sphere(
    count: int, action_dim: int, state_dim: int, column: int | None
) -> None:
    """On the unit sphere of n dimensions: mean 0, E xx' = I / n, and E x_i^2 x_j^2 = 1 / (n (n + 2)), or 3 times it.

    The variances of the last are made of E x_i^4 x_j^4 = 9 / (n (n + 2) (n + 4) (n + 6)) and 105 instead of 9.
    """
    x, n = _directions(count, action_dim, state_dim, column), action_dim * state_dim
    fourth, eighth = n * (n + 2), n * (n + 2) * (n + 4) * (n + 6)
    diagonal, upper = np.eye(n, dtype=bool), np.triu_indices(n)
    require_standard(x.sum(axis=0) * np.sqrt(n / count))

    covariance = x.T @ x / count - np.eye(n) / n
    variance = np.where(diagonal, 3 / fourth - 1 / n**2, 1 / fourth)
    require_standard((covariance / np.sqrt(variance / count))[upper])

    moments = (x**2).T @ x**2 / count - np.where(diagonal, 3, 1) / fourth
    variance = np.where(diagonal, 105 / eighth - 9 / fourth**2, 9 / eighth - 1 / fourth**2)
    require_standard((moments / np.sqrt(variance / count))[upper])


@pytest.mark.slow
@COLUMNS
@pytest.mark.parametrize(("count", "action_dim", "state_dim"), SPHERES)
def test_projections_of_directions_have_the_exact_distribution(
    count: int, action_dim: int, state_dim: int, column: int | None
) -> None:
    """For every unit vector v: (1 + v'x) / 2 ~ Beta((n-1)/2, (n-1)/2), so (v'x)^2 ~ Beta(1/2, (n-1)/2), by K.-S.

    The vectors are the first and the last axis, the diagonal of the cube, and three others.
    """
    x, n = _directions(count, action_dim, state_dim, column), action_dim * state_dim
    others = np.random.default_rng(0).standard_normal((3, n))
    half = (n - 1) / 2
    for v in np.vstack([np.eye(n)[[0, -1]], np.ones((1, n)), others]):
        projection = np.clip(x @ v / np.linalg.norm(v), -1, 1)
        assert scipy.stats.kstest((1 + projection) / 2, scipy.stats.beta(half, half).cdf).pvalue > SIGNIFICANCE


@pytest.mark.slow
@COLUMNS
def test_directions_in_the_plane_have_uniform_angles(column: int | None) -> None:
    x, y = _directions(1_000_000, 2, 1, column).T
    angles = np.arctan2(y, x) / (2 * np.pi) % 1.0
    assert scipy.stats.kstest(angles, "uniform").pvalue > SIGNIFICANCE
    counts = np.bincount((angles * 1000).astype(np.int64), minlength=1000)
    require_counts(counts, np.full(1000, 1000.0))


@pytest.mark.parametrize("column", [None, 0], ids=["independent", "block"])
def test_directions_on_the_line_are_fair_signs(column: int | None) -> None:
    """As many plus as minus, and as many changes from one perturbation to the next as not."""
    signs = np.sign(_directions(1_000_000, 1, 1, column).ravel())
    assert set(signs) == {-1.0, 1.0}
    changes = int(np.count_nonzero(np.diff(signs)))
    assert scipy.stats.binomtest(int(np.count_nonzero(signs > 0)), signs.size).pvalue > SIGNIFICANCE
    assert scipy.stats.binomtest(changes, signs.size - 1).pvalue > SIGNIFICANCE


# Task batches.


def test_task_batches_follow_the_distribution() -> None:
    """A million draws: chi-square of the tasks, and of the pairs of two iterations."""
    p = np.array([0.1, 0.6, 0.3])
    now, next_one = (task_batch(Stream(5, iteration), p, 1_000_000) for iteration in (0, 1))
    require_counts(np.bincount(now, minlength=3), 1e6 * p)
    require_counts(np.bincount(3 * now + next_one, minlength=9), 1e6 * np.outer(p, p).ravel())

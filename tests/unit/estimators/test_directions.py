"""The distributions of directions: their law, and one of the user's own in both layers.

That single directions, and single columns of orthogonal blocks, are uniform on the sphere is shown by
``test_streams_statistics.py``.
"""

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import twins
from chance import SIGNIFICANCE, require_standard
from numpy.testing import assert_allclose
from systems import Array, similar_tasks

from metalqr import MetaSettings, Stream, estimators, lqr
from metalqr.config import registries
from metalqr.config.registry import load_plugins
from metalqr.estimators.directions.directions import Directions
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.simulation.streams import Draws, Purpose, inner_draws

SETTINGS = MetaSettings(learning_rate=1.0, adaptation_rate=0.0, smoothing_radius=0.3, rollout_length=4)


def _directions(name: str) -> Directions:
    return registries.directions.get(name)(SETTINGS.replace(directions=name))


def _draws(policies: int, count: int) -> Draws:
    return inner_draws(Stream(3), np.arange(policies), count)


def _blocks(policies: int, count: int, shape: tuple[int, int], radius: float = 1.0) -> Array:
    """Orthogonal directions as vectors, (policies, count, n)."""
    U = _directions("orthogonal").draw(_draws(policies, count), shape, radius, count)
    assert U.shape == (policies, count, *shape)
    return U.reshape(policies, count, -1)


# --- the law ---


@pytest.mark.parametrize("name", ["sphere", "gaussian", "orthogonal"])
@pytest.mark.parametrize(("shape", "count"), [((1, 1), 3), ((1, 2), 5), ((2, 3), 9)])
def test_second_moments_are_those_of_the_factor_of_every_estimator(
    name: str, shape: tuple[int, int], count: int
) -> None:
    """E[U] = 0 and E[U U'] = r^2 / n I for every direction of a gain, also that after the last block. 4.5 sigma."""
    n, radius = shape[0] * shape[1], 0.3
    U = _directions(name).draw(_draws(20_000, count), shape, radius, count).reshape(20_000, count, n)
    twins.within(U, 0.0)
    products = U[..., np.newaxis] * U[..., np.newaxis, :]
    if n == 1 and name != "gaussian":
        assert_allclose(products, radius**2, rtol=1e-14)
    else:
        twins.within(products, radius**2 / n * np.eye(n))


def test_gaussian_entries_are_normal() -> None:
    U = _directions("gaussian").draw(_draws(5000, 8), (2, 3), 0.3, 8)
    assert scipy.stats.kstest(U.ravel() * np.sqrt(6) / 0.3, "norm").pvalue > SIGNIFICANCE
    assert_allclose(U, 0.3 / np.sqrt(6) * _draws(5000, 8).normals((2, 3)), rtol=1e-14)


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 1), 4), ((2, 3), 4), ((2, 3), 6), ((2, 3), 15), ((10, 20), 20), ((10, 20), 200)]
)
def test_blocks_are_orthogonal_to_rounding(shape: tuple[int, int], count: int) -> None:
    """A part of a block, a whole one, and two with a part of a third; of a single entry, every block is a sign."""
    n, radius = shape[0] * shape[1], 0.3
    U = _blocks(20, count, shape, radius)
    for first in range(0, count, n):
        block = U[:, first : first + n] / radius
        assert_allclose(
            block @ block.mT, np.broadcast_to(np.eye(block.shape[1]), (20, *[block.shape[1]] * 2)), atol=4e-15
        )


def test_a_block_of_almost_equal_normals_is_orthogonal() -> None:
    """However close to singular the matrix of normals is."""
    normals = np.ones((1, 6, 2, 3)) + 1e-15 * np.random.default_rng(0).standard_normal((1, 6, 2, 3))
    block = _directions("orthogonal").from_normals(normals).reshape(6, 6)
    assert_allclose(block @ block.T, np.eye(6), atol=4e-15)


@pytest.mark.parametrize("shape", [(1, 2), (1, 3), (2, 2)])
def test_blocks_are_haar_random(shape: tuple[int, int]) -> None:
    """Mixed moments of two columns, and both signs of the determinant. 4.5 sigma.

    For Haar-random Q: E q11^2 q22^2 = (n + 1) / ((n - 1) n (n + 2)), E q11 q22 q12 q21 = -1 / ((n - 1) n (n + 2)).
    """
    n = shape[0] * shape[1]
    Q = _blocks(200_000, n, shape)
    denominator = (n - 1) * n * (n + 2)
    for i, j in itertools.permutations(range(n), 2):
        diagonal, cross = Q[:, i, 0] * Q[:, j, 1], Q[:, i, 1] * Q[:, j, 0]
        twins.within(np.stack([diagonal**2, diagonal * cross], axis=1), np.array([n + 1, -1]) / denominator)
    signs = np.linalg.det(Q)
    assert_allclose(np.abs(signs), 1.0, rtol=1e-13)
    require_standard(signs.sum(keepdims=True) / np.sqrt(len(Q)))


def test_blocks_are_independent() -> None:
    """Of one gain and of two: inner products of their columns are those of independent points of the sphere, by K.-S.

    Each block of four is followed by a part of one.
    """
    U = _blocks(100_000, 6, (2, 2))
    law = scipy.stats.beta(1.5, 1.5)
    within = ((first, second) for first in (0, 1, 3) for second in (4, 5))
    pairs = [(U[:, first], U[:, second]) for first, second in within]
    pairs += [(U[::2, first], U[1::2, second]) for first, second in ((0, 0), (0, 3), (5, 1))]
    for x, y in pairs:
        products = (x * y).sum(axis=1)
        assert scipy.stats.kstest((1 + products) / 2, law.cdf).pvalue > SIGNIFICANCE
        moments = np.einsum("pi,pj->ij", x**2 - 1 / 4, y**2 - 1 / 4) / np.sqrt(len(x))
        # E x_i^4 = 3 / (n (n + 2)) = 1/8, so the variance of x_i^2 is 1/16.
        require_standard(moments * 16)


# --- of one's own ---

SIGNS = """
import numpy as np

from metalqr.config.registries import directions
from metalqr.estimators.directions.directions import Directions

@directions.register("signs")
class Signs(Directions):
    '''Entries of equal size and random sign.'''

    def from_normals(self, normals):
        return np.sign(normals) / np.sqrt(normals.shape[-1] * normals.shape[-2])
"""


@pytest.fixture
def signs(forgotten: None, tmp_path: Path) -> Path:
    """The file of a distribution that a rotation changes, loaded as a plug-in."""
    (tmp_path / "signs.py").write_text(SIGNS)
    load_plugins(["signs.py"], tmp_path)
    return tmp_path / "signs.py"


def test_the_file_of_own_directions_is_among_the_plugins_of_a_run(signs: Path) -> None:
    settings = SETTINGS.replace(directions="signs")
    assert signs in [plugin.source for plugin in settings.plugins()]
    assert signs not in [plugin.source for plugin in SETTINGS.plugins()]


@pytest.mark.slow
@pytest.mark.usefixtures("signs")
@pytest.mark.parametrize("estimator", ["one_point_baseline", "two_point"])
def test_own_directions_serve_both_layers(estimator: str) -> None:
    """The mean over the four perturbations of two entries, which is not that over the circle. 4.5 sigma."""
    tasks, K = similar_tasks(seed=4, count=2, state_dim=2, action_dim=1), np.array([[0.1, -0.05]])
    settings = SETTINGS.replace(directions="signs", smoothing_radius=1.5, estimator=estimator)
    settings = settings.replace(perturbations=20_000, inner_perturbations=20_000, rollout_length=3)
    cost, r = functools.partial(lqr.finite_horizon_cost, tasks, length=3), settings.smoothing_radius
    corners = r / np.sqrt(2) * np.array(list(itertools.product([1.0, -1.0], repeat=2))).reshape(4, 1, 2)
    exact = 2 / r**2 * sum(cost(K + U)[:, np.newaxis, np.newaxis] * U for U in corners) / 4
    on_circle = twins.circle_average(cost, K, r)
    inner = np.array([estimators.estimate_gradient(tasks, K, settings, Stream(s)) for s in range(30)])
    outer = np.array([estimate_mean_gradient(tasks, K, settings, Stream(s)).gradient for s in range(30)])
    twins.within(inner, exact)
    twins.within(outer, np.tensordot(tasks.p, exact, 1))
    errors = [found.std(axis=0) / np.sqrt(30) for found in (inner, outer)]
    assert np.abs((exact - on_circle) / errors[0]).max() > 20
    assert np.abs(np.tensordot(tasks.p, exact - on_circle, 1) / errors[1]).max() > 20


@pytest.mark.usefixtures("signs")
def test_own_directions_adapt_by_algorithm_2_as_printed() -> None:
    """One perturbation in each layer, from twins of the rollouts."""
    tasks, K, stream = similar_tasks(seed=4, count=1, state_dim=2, action_dim=1), np.array([[0.1, -0.05]]), Stream(5, 2)
    settings = SETTINGS.replace(directions="signs", adaptation_rate=0.02, perturbations=1, inner_perturbations=1)
    r = settings.smoothing_radius
    found = estimators.estimate_meta_gradient(tasks, K, settings, stream)
    U, V = (
        r / np.sqrt(2) * np.sign(twins.normals(2, 0, 0, stream.address(purpose))).reshape(1, 2)
        for purpose in (Purpose.PERTURBATION, Purpose.INNER_PERTURBATION)
    )
    value = functools.partial(twins.rollout_cost, tasks, 0, length=4, counter_1=0, counter_2=0)
    inner = 2 / r**2 * value(K=K + U + V, address=stream.address(Purpose.INNER_ROLLOUT)) * V
    adapted = value(K=K + U - 0.02 * inner, address=stream.address(Purpose.ROLLOUT))
    assert_allclose(found, 2 / r**2 * adapted * U, rtol=1e-11)


def test_directions_that_say_nothing_are_refused() -> None:
    class Silent(Directions):
        pass

    with pytest.raises(NotImplementedError, match="Silent overrides neither from_normals nor draw"):
        Silent(SETTINGS).draw(_draws(1, 2), (1, 2), 0.3, 2)

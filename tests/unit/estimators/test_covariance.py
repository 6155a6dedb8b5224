"""The covariance of an estimate, in closed form and integrated, against simulated estimates and formulas by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import Array, similar_tasks, stable_gain

from metalqr import MetaSettings, estimators, lqr
from metalqr.config import registries
from metalqr.estimators.directions.directions import Directions
from metalqr.estimators.estimator import Estimator, Memory
from metalqr.estimators.expansion import Expansion
from metalqr.estimators.neighbourhood import Around, Neighbourhood
from metalqr.estimators.one_point import OnePoint
from metalqr.estimators.two_point import TwoPoint
from metalqr.lqr import LQRTasks

SETTINGS = MetaSettings(learning_rate=1.0, adaptation_rate=0.0, perturbations=5, rollout_length=4, smoothing_radius=0.2)
CLOSED: list[estimators.How] = ["leading", "second_order"]
WAYS: list[estimators.How] = ["integrated", "second_order", "leading"]
SIZES = [(1, 1), (2, 1), (2, 2), (3, 2)]
BOTH = pytest.mark.parametrize("estimator", ["one_point", "two_point"])


def _problem(dims: tuple[int, int], count: int = 2) -> tuple[LQRTasks, Array]:
    tasks = similar_tasks(31, count, *dims)
    return tasks, 0.3 * stable_gain(tasks, 31, per_task=True)


def _agree(measured: estimators.Covariance, exact: Array, share: float = 0.0) -> None:
    """Every entry within 4.5 standard errors, and a share of the largest."""
    error = np.abs(measured.matrix - exact)
    assert (error < 4.5 * measured.standard_error + share * np.abs(exact).max()).all()
    # The errors are small enough to tell: a covariance without the noise of rollouts, or of two rollouts, differs more.
    diagonal = np.einsum("iaa->ia", exact)
    assert (np.einsum("iaa->ia", measured.standard_error) < 0.06 * diagonal).all()


# --- by the names of the plug-ins, against repeated estimates ---


@BOTH
@pytest.mark.parametrize("dims", SIZES[:2])
def test_exact_covariance_is_that_of_estimates_at_a_large_radius(estimator: str, dims: tuple[int, int]) -> None:
    tasks, K = _problem(dims)
    settings = SETTINGS.replace(estimator=estimator, smoothing_radius=0.5)
    exact = estimators.covariance(tasks, K, settings)
    assert exact.kind == "exact"
    assert not exact.standard_error.any()
    _agree(estimators.covariance(tasks, K, settings, how="measured"), exact.matrix)
    leading = estimators.covariance(tasks, K, settings, how="leading")
    assert (np.abs(leading.matrix - exact.matrix).max(axis=(1, 2)) > 0.1 * exact.matrix[:, 0, 0]).all()


@BOTH
@pytest.mark.parametrize("dims", SIZES)
def test_leading_covariance_is_that_of_estimates_at_a_small_radius(estimator: str, dims: tuple[int, int]) -> None:
    """What it neglects is what the second derivatives add, less than 1 % here; allowed for beside 4.5 sigma."""
    tasks, K = _problem(dims)
    settings = SETTINGS.replace(estimator=estimator, smoothing_radius=0.01)
    leading, second = (estimators.covariance(tasks, K, settings, how=how) for how in CLOSED)
    assert (leading.kind, second.kind) == ("leading order in r", "second order in r")
    neglected = np.abs(leading.matrix - second.matrix).max() / leading.matrix.max()
    assert neglected < 0.01
    _agree(estimators.covariance(tasks, K, settings, how="measured"), leading.matrix, neglected)


@pytest.mark.slow
@BOTH
def test_integrated_covariance_is_that_of_estimates_beyond_two_entries(estimator: str) -> None:
    tasks, K = _problem((3, 2))
    settings = SETTINGS.replace(estimator=estimator, smoothing_radius=0.3)
    integrated = estimators.covariance(tasks, K, settings, how="integrated", repeats=1500)
    simulated = estimators.covariance(tasks, K, settings, how="measured")
    assert integrated.kind == simulated.kind == "measured"
    assert (integrated.standard_error < 0.5 * simulated.standard_error).all()
    together = np.hypot(integrated.standard_error, simulated.standard_error)
    assert (np.abs(integrated.matrix - simulated.matrix) < 4.5 * together).all()


@BOTH
@pytest.mark.parametrize("dims", SIZES[:2])
def test_error_of_the_closed_forms_falls_with_the_radius(estimator: str, dims: tuple[int, int]) -> None:
    """Relative to the whole, by r² and r⁴: from r to r/2 by 4 and 16."""
    tasks, K = _problem(dims)
    ways: list[tuple[estimators.How, float]] = [("leading", 4.0), ("second_order", 16.0)]
    for how, factor in ways:
        errors = []
        for radius in (0.02, 0.01):
            settings = SETTINGS.replace(estimator=estimator, smoothing_radius=radius)
            exact, form = (estimators.covariance(tasks, K, settings, how=each) for each in ("integrated", how))
            errors.append(np.abs(form.matrix - exact.matrix).max() / exact.matrix.max())
        assert errors[0] / errors[1] == pytest.approx(factor, rel=0.1)


# --- formulas by hand ---


@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_scalar_covariance_is_a_sum_over_two_policies(radius: float) -> None:
    tasks, K = _problem((1, 1))
    settings = SETTINGS.replace(smoothing_radius=radius)
    J, V = (
        np.array([function(tasks, K + sign * radius, 4) for sign in (1, -1)])
        for function in (lqr.finite_horizon_cost, lqr.rollout_variance)
    )
    slope = (J[0] - J[1]) / (2 * radius)
    one = ((J**2 + V).mean(axis=0) / radius**2 - slope**2) / 5
    two = V.sum(axis=0) / (4 * radius**2) / 5
    for estimator, expected in (("one_point", one), ("two_point", two)):
        found = estimators.covariance(tasks, K, settings.replace(estimator=estimator))
        assert_allclose(found.matrix.ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("radius", [0.1, 2.0])
def test_planar_covariance_is_an_integral_over_the_circle(radius: float) -> None:
    """The rectangle rule with many more nodes than polynomials of this degree need."""
    tasks, K = _problem((2, 1))
    angles = 2 * np.pi * np.arange(500) / 500
    U = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    J, V = (
        np.array([function(tasks, K + u.reshape(1, 1, 2), 4) for u in U])
        for function in (lqr.finite_horizon_cost, lqr.rollout_variance)
    )
    slope = 2 / radius**2 * np.einsum("qi,qa->ia", J, U) / 500
    second = 4 / radius**4 * np.einsum("qi,qa,qb->iab", J**2 + V, U, U) / 500
    expected = (second - np.einsum("ia,ib->iab", slope, slope)) / 5
    found = estimators.covariance(tasks, K, SETTINGS.replace(smoothing_radius=radius))
    assert_allclose(found.matrix, expected, rtol=1e-10, atol=1e-10 * expected.max())


@pytest.mark.parametrize("dims", SIZES)
def test_terms_that_grow_as_the_radius_shrinks_are_those_of_the_literature(dims: tuple[int, int]) -> None:
    """n (J² + V)/(r² M), n V/(r² (M - 1)), n V/(2 r² M), n (V + V' + (J - J')²)/(r² M), in every direction."""
    tasks, K = _problem(dims)
    r, M, n, unit = 1.0e-5, 5, dims[0] * dims[1], np.eye(dims[0] * dims[1])
    (J, V), (J_old, V_old) = (
        (lqr.finite_horizon_cost(tasks, at, 4), lqr.rollout_variance(tasks, at, 4)) for at in (K, 0.5 * K)
    )
    forms = {
        "one_point": (J**2 + V) / M,
        "two_point": V / (2 * M),
        "one_point_baseline": V / (M - 1),
        "residual": (V + V_old + (J - J_old) ** 2) / M,
    }
    diagonals = {}
    for estimator, expected in forms.items():
        settings = SETTINGS.replace(estimator=estimator, smoothing_radius=r)
        found = estimators.covariance(tasks, K, settings, how="leading", before=0.5 * K).matrix
        scaled = n / r**2 * expected[:, np.newaxis, np.newaxis] * unit
        assert_allclose(found, scaled, rtol=1e-7, atol=1e-7 * scaled.max())
        diagonals[estimator] = found[:, 0, 0]
    factor = (M - 1) / M * (J**2 + V) / V
    assert_allclose(diagonals["one_point"] / diagonals["one_point_baseline"], factor, rtol=1e-7)


# --- every estimator with every distribution of perturbations ---


CASES = [
    SETTINGS.replace(estimator=estimator, directions=directions, common_noise=common_noise)
    for directions in registries.directions.names()
    for estimator, common_noise in (
        ("one_point", False),
        ("one_point_baseline", False),
        ("two_point", False),
        ("two_point", True),
        ("residual", False),
    )
]


EVERY = pytest.mark.parametrize(
    "settings", CASES, ids=[f"{each.estimator}-{each.directions}-{each.common_noise}" for each in CASES]
)


def _estimator(settings: MetaSettings) -> Estimator:
    return registries.estimators.get(settings.estimator)(settings)


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("dims", [(2, 1), (3, 2)])
def test_covariance_is_that_of_repeated_estimates(settings: MetaSettings, dims: tuple[int, int]) -> None:
    """M = 5, so that a block of two is followed by a single one, or a block of six is incomplete."""
    tasks, K = _problem(dims, count=1)
    # The squares of estimates along normal perturbations have such heavy tails that a larger radius would show nothing.
    settings = settings.replace(smoothing_radius=0.05 if settings.directions == "gaussian" else 0.2)
    integrated = estimators.covariance(tasks, K, settings, how="integrated", repeats=600, before=0.5 * K)
    simulated = estimators.covariance(tasks, K, settings, how="measured", repeats=20_000, before=0.5 * K)
    _agree(simulated, integrated.matrix, 0.005 if integrated.kind == "measured" else 0.0)


@EVERY
@pytest.mark.parametrize("dims", [(1, 1), (2, 2)])
def test_integrated_covariance_tends_to_the_expansion(settings: MetaSettings, dims: tuple[int, int]) -> None:
    """At r = 1e-3, up to O(r²) of the terms of O(1), and the error of their mean over frames."""
    tasks, K = _problem(dims, count=1)
    settings = settings.replace(smoothing_radius=1e-3)
    exact, expanded, constant = (
        estimators.covariance(tasks, K, settings, how=how, repeats=100, before=0.5 * K) for how in WAYS
    )
    order_1 = expanded.matrix if settings.common_noise else expanded.matrix - constant.matrix
    # Rounding is of the costs, whose squares and differences are multiplied by n²/r².
    allowed = 1e-4 * np.abs(order_1).max() + 1e-12 * np.abs(exact.matrix).max()
    assert (np.abs(exact.matrix - expanded.matrix) < 4.5 * exact.standard_error + allowed).all()


@pytest.mark.parametrize("estimator", ["one_point", "one_point_baseline", "two_point"])
@pytest.mark.parametrize("count", [2, 3])
def test_orthogonal_blocks_in_the_plane_are_integrated_exactly(estimator: str, count: int) -> None:
    """A frame, or a frame and a single direction, over all angles and signs; the mean and the noise apart."""
    tasks, K = _problem((2, 1), count=1)
    r = 0.5
    settings = SETTINGS.replace(estimator=estimator, directions="orthogonal", smoothing_radius=r, perturbations=count)
    made = _estimator(settings)
    angles = 2 * np.pi * np.arange(24) / 24
    circle = r * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    turned = circle @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    sets = np.stack([np.stack([circle, sign * turned], axis=1) for sign in (1, -1)]).reshape(-1, 2, 2)
    if count == 3:
        single = np.broadcast_to(circle, (len(sets), 24, 2))[:, :, np.newaxis]
        sets = np.concatenate([sets[:, np.newaxis].repeat(24, axis=1), single], axis=2).reshape(-1, 3, 2)
    points = K[0] + np.stack([sign * sets for sign in made.signs], axis=1).reshape(-1, 1, 2)
    many = lqr.tiled(tasks, len(points))
    shape = (len(sets), len(made.signs), count)
    J, V = (each(many, points, 4).reshape(shape) for each in (lqr.finite_horizon_cost, lqr.rollout_variance))
    scale = 2 / (r**2 * count)
    # The coefficients are linear in the values: those of unit values are the columns of their matrix.
    units = np.eye(shape[1] * count).reshape(-1, *shape[1:])
    linear = scale * np.einsum(
        "vm,sma->sva", made.coefficients(units, {}, np.zeros(len(units), dtype=np.int64))[0], sets
    )
    means = np.einsum("sva,sv->sa", linear, J.reshape(len(sets), -1))
    noise = np.einsum("sva,svb,sv->ab", linear, linear, V.reshape(len(sets), -1)) / len(sets)
    found = estimators.covariance(tasks, K, settings)
    assert found.kind == "exact"
    assert_allclose(found.matrix[0], np.cov(means.T, bias=True) + noise, rtol=1e-10, atol=1e-10 * noise.max())


class StatedTwoPoint(TwoPoint):
    """As docs/extending.md states its covariance, of rollouts with noise of their own."""

    def covariance(self, near: Neighbourhood) -> Array:
        return near.terms(
            mean=0.5 * (near.cost(1) - near.cost(-1)), variance=0.25 * (near.variance(1) + near.variance(-1))
        )


@pytest.mark.parametrize("directions", registries.directions.names())
def test_the_stated_covariance_of_two_points_is_the_one_of_their_weights(directions: str) -> None:
    tasks, K = _problem((3, 2))
    made = _estimator(SETTINGS.replace(estimator="two_point", directions=directions))
    law = made.directions.law(0.2, 6, 4)
    assert law is not None
    near = Expansion(Around(tasks, K, 4, 4, 0.2, law))
    expected = made.covariance(near)
    assert_allclose(StatedTwoPoint.covariance(made, near), expected, rtol=1e-12)  # type: ignore[arg-type]
    assert expected is not None
    assert (np.linalg.eigvalsh(expected) > 0).all()


@pytest.mark.parametrize(("count", "is_zero"), [(6, True), (12, True), (3, False)])
def test_orthogonal_directions_leave_a_linear_function_exact(count: int, is_zero: bool) -> None:
    """A whole frame and no noise: the two-point estimate of a linear function is its gradient. Half a frame is not."""
    tasks, K = _problem((3, 2))
    law = _estimator(SETTINGS.replace(directions="orthogonal")).directions.law(0.2, 6, 1)
    assert law is not None
    near = Expansion(Around(tasks, K, 4, count, 0.2, law))
    found = near.terms(0.5 * (near.cost(1) - near.cost(-1)), 0.0 * near.variance())
    scale = np.square(lqr.finite_horizon_gradient(tasks, K, 4)).sum()
    assert (np.abs(found).max() < 1e-13 * scale) == is_zero


@pytest.mark.parametrize("directions", registries.directions.names())
@pytest.mark.parametrize("how", CLOSED)
def test_common_noise_lowers_the_covariance_at_every_gain(directions: str, how: estimators.How) -> None:
    tasks, K = _problem((3, 2))
    settings = SETTINGS.replace(estimator="two_point", directions=directions)
    for share in (-1.0, 0.0, 0.5, 1.0, 3.0):
        apart, common = (
            estimators.covariance(tasks, share * K, settings.replace(common_noise=common_noise), how=how).matrix
            for common_noise in (False, True)
        )
        assert (np.linalg.eigvalsh(apart - common) > 0).all()


# --- what it refuses, and what it makes of the rest ---


class Root(OnePoint):
    """An estimator of which no covariance is known."""

    def coefficients(self, values: Array, memory: Memory, tasks: Any) -> tuple[Array, Memory]:
        return np.sqrt(values[:, 0]), memory


class Axes(Directions):
    """Directions along single entries, which are not uniform."""

    def from_normals(self, normals: Array) -> Array:
        flat = normals.reshape(*normals.shape[:2], -1)
        largest = np.eye(flat.shape[-1])[np.abs(flat).argmax(axis=-1)]
        return (largest * np.sign(flat)).reshape(normals.shape)


@pytest.mark.parametrize("changes", [{"estimator": "root"}, {"directions": "axes"}])
def test_what_no_formula_is_known_for_is_measured(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registries.estimators._registered, "root", Root)
    monkeypatch.setitem(registries.directions._registered, "axes", Axes)
    tasks, K = _problem((1, 1))
    settings = SETTINGS.replace(**changes)
    found = estimators.covariance(tasks, K, settings, repeats=50)
    assert found.kind == "measured"
    assert (found.standard_error > 0).all()
    assert_array_equal(found.matrix, estimators.covariance(tasks, K, settings, repeats=50, how="measured").matrix)
    assert (found.matrix != estimators.covariance(tasks, K, settings, repeats=50, seed=1).matrix).all()
    for how in WAYS:
        with pytest.raises(
            ValueError, match=f"how: '{how}' is impossible, as no formula is known .*; choose 'measured'"
        ):
            estimators.covariance(tasks, K, settings, how=how)


def test_estimator_with_a_memory_is_measured_after_an_iteration_before() -> None:
    tasks, K = _problem((2, 1))
    settings = SETTINGS.replace(estimator="residual")
    for before in (None, 0.2 * K):
        exact = estimators.covariance(tasks, K, settings, before=before)
        assert exact.kind == "exact"
        _agree(estimators.covariance(tasks, K, settings, how="measured", before=before), exact.matrix)


def test_covariance_is_infinite_where_costs_overflow() -> None:
    tasks, _ = _problem((2, 2))
    for how in WAYS:
        found = estimators.covariance(tasks, np.full((2, 2), 1e160), SETTINGS, how=how)
        assert not np.isfinite(np.einsum("iaa->ia", found.matrix)).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"how": "exact"}, "how: 'exact' is not one of auto, leading, second_order, integrated, measured"),
        ({"repeats": 1}, "repeats: 1 is not a whole number >= 2"),
        ({"K": np.zeros((3, 2))}, r"K has shape \(3, 2\)"),
        ({"before": np.full((2, 2), np.nan)}, "before holds a value that is not finite"),
    ],
)
def test_impossible_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    tasks, K = _problem((2, 2))
    arguments: dict[str, Any] = {"K": K, "settings": SETTINGS} | changes
    with pytest.raises(ValueError, match=message):
        estimators.covariance(tasks, **arguments)

"""The covariance of an estimate, in closed form and integrated, against simulated estimates and formulas by hand."""

import functools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import Array, similar_tasks, stable_gain

from metalqr import MetaSettings, estimators, lqr
from metalqr.common.frames import orthonormal_frames
from metalqr.config import registries
from metalqr.estimators.cubature import Cubature, regular_frames
from metalqr.estimators.estimator import Estimator, Memory
from metalqr.estimators.expansion import Expansion
from metalqr.estimators.neighbourhood import Neighbourhood, direction_law
from metalqr.estimators.one_point import OnePoint
from metalqr.estimators.two_point import TwoPoint
from metalqr.lqr import LQRTasks

SETTINGS = MetaSettings(learning_rate=1.0, adaptation_rate=0.0, perturbations=5, rollout_length=4, smoothing_radius=0.2)
CLOSED: list[estimators.How] = ["leading", "second_order"]
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


class Baseline(Estimator):
    """The one-point estimator with the mean of the other values as baseline."""

    weights = None

    def coefficients(self, values: Array, memory: Memory, tasks: Any) -> tuple[Array, Memory]:
        count = values.shape[-1]
        return (values[:, 0] - values[:, 0].mean(axis=1, keepdims=True)) * count / (count - 1), memory

    def covariance(self, near: Neighbourhood) -> Array:
        return near.leave_one_out(near.cost(), near.variance())


class Residual(Estimator):
    """The one-point estimator less the value of an iteration before."""

    weights = None

    def coefficients(self, values: Array, memory: Memory, tasks: Any) -> tuple[Array, Memory]:
        return values[:, 0] - memory.get("values", np.zeros_like(values[:, 0])), {"values": values[:, 0]}

    def covariance(self, near: Neighbourhood) -> Array:
        old = near.before
        level = old.mean(old.cost())
        spread = old.mean((old.cost() - level) ** 2 + old.variance())
        return near.terms(near.cost() - level, near.variance() + spread)


@pytest.mark.parametrize("dims", SIZES)
def test_terms_that_grow_as_the_radius_shrinks_are_those_of_the_literature(dims: tuple[int, int]) -> None:
    """n (J² + V)/(r² M), n V/(r² (M - 1)), n V/(2 r² M), n (V + V' + (J - J')²)/(r² M), in every direction."""
    tasks, K = _problem(dims)
    r, M, n, unit = 1.0e-5, 5, dims[0] * dims[1], np.eye(dims[0] * dims[1])
    (J, V), (J_old, V_old) = (
        (lqr.finite_horizon_cost(tasks, at, 4), lqr.rollout_variance(tasks, at, 4)) for at in (K, 0.5 * K)
    )
    forms: dict[type[Estimator], Array] = {
        OnePoint: (J**2 + V) / M,
        TwoPoint: V / (2 * M),
        Baseline: V / (M - 1),
        Residual: (V + V_old + (J - J_old) ** 2) / M,
    }
    settings = SETTINGS.replace(smoothing_radius=r)
    diagonals = {}
    for estimator, expected in forms.items():
        near = _expansion(tasks, K, settings, "sphere", before=0.5 * K)
        found = estimator(settings).covariance(near)
        assert found is not None
        assert_allclose(
            found, n / r**2 * expected[:, np.newaxis, np.newaxis] * unit, rtol=1e-7, atol=1e-4 * found.max()
        )
        diagonals[estimator] = found[:, 0, 0]
    assert_allclose(diagonals[OnePoint] / diagonals[Baseline], (M - 1) / M * (J**2 + V) / V, rtol=1e-7)


# --- other coefficients, noise and directions, against plain simulation ---


def _expansion(
    tasks: LQRTasks,
    K: Array,
    settings: MetaSettings,
    directions: str,
    curvature: bool = False,
    before: Array | None = None,
) -> Expansion:
    r, size = settings.smoothing_radius, K[0].size
    law = direction_law(directions, r, size, nodes=8)
    assert law is not None
    around = settings.rollout_length, settings.perturbations, r, law, curvature
    near = Expansion(tasks, K, *around)
    near.before = near if before is None else Expansion(tasks, before, *around)
    return near


def _cubature(
    tasks: LQRTasks, K: Array, settings: MetaSettings, directions: str, frames: int, before: Array | None = None
) -> Cubature:
    r, size = settings.smoothing_radius, K[0].size
    law = direction_law(directions, r, size, nodes=8)
    assert law is not None
    around = settings.rollout_length, settings.perturbations, r, law, orthonormal_frames(frames, size, size, 5)
    near = Cubature(tasks, K, *around)
    near.before = near if before is None else Cubature(tasks, before, *around)
    return near


def _draw(directions: str, rng: np.random.Generator, repeats: int, count: int, size: int) -> Array:
    """Perturbations of unit radius, shape (repeats, M, n)."""
    if directions == "orthogonal":
        blocks = rng.standard_normal((repeats, -(-count // size), size, size))
        found, R = np.linalg.qr(blocks)
        signed = found * np.sign(np.einsum("...aa->...a", R))[..., np.newaxis, :]
        return signed.mT.reshape(repeats, -1, size)[:, :count]
    normals = rng.standard_normal((repeats, count, size))
    if directions == "gaussian":
        return normals / np.sqrt(size)
    return normals / np.linalg.norm(normals, axis=2, keepdims=True)


def _rollouts(tasks: LQRTasks, gains: Array, length: int, rng: np.random.Generator) -> Array:
    """Cost of one rollout of the first task for gains (s, ..., k, d), under the same noise along the first axis."""
    A, B, Q, R = tasks.A[0], tasks.B[0], tasks.Q[0], tasks.R[0]
    shape = gains.shape[1:-2]
    x = rng.standard_normal((*shape, len(A))) @ np.linalg.cholesky(tasks.Sigma0[0]).T
    x, cost = np.broadcast_to(x, (len(gains), *x.shape)), np.zeros(gains.shape[:-2])
    for _ in range(length):
        noise = rng.standard_normal((*shape, len(A))) @ np.linalg.cholesky(tasks.Psi[0]).T
        x = np.einsum("...ab,...b->...a", A - B @ gains, x) + noise
        u = np.einsum("...ab,...b->...a", gains, x)
        cost = cost + np.einsum("...a,ab,...b->...", x, Q, x) + np.einsum("...a,ab,...b->...", u, R, u)
    return cost / length


def _simulated(
    estimator: Estimator,
    tasks: LQRTasks,
    gains: list[Array],
    directions: str,
    common_noise: bool,
    repeats: int = 20_000,
) -> estimators.Covariance:
    """Sample covariance of plain estimates at the last of some gains, an iteration at each."""
    rng, settings = np.random.default_rng(7), estimator.settings
    memory: Memory = {}
    r, M, shape = settings.smoothing_radius, settings.perturbations, gains[0].shape[1:]
    size = shape[0] * shape[1]
    estimates: Array = np.empty(0)
    for K in gains:
        U = r * _draw(directions, rng, repeats, M, size).reshape(repeats, M, *shape)
        points = np.stack([K[0] + sign * U for sign in estimator.signs])
        roll = functools.partial(_rollouts, tasks, length=settings.rollout_length, rng=rng)
        values = roll(points) if common_noise else np.concatenate([roll(each[np.newaxis]) for each in points])
        coefficients, memory = estimator.coefficients(values.swapaxes(0, 1), memory, np.zeros(repeats, dtype=np.int64))
        estimates = size / (r**2 * M) * np.einsum("nm,nma->na", coefficients, U.reshape(repeats, M, size))
    centred = estimates - estimates.mean(axis=0)
    products = np.einsum("na,nb->nab", centred, centred)
    error = products.std(axis=0) / np.sqrt(repeats)
    return estimators.Covariance(products.mean(axis=0)[np.newaxis], error[np.newaxis], "measured")


def _noisy(estimator: type[Estimator], settings: MetaSettings, common_noise: bool) -> Estimator:
    """An estimator whose pairs share their noise, or not."""
    made = estimator(settings)
    vars(made)["sharing"] = 2 if common_noise else 1
    return made


CASES = [
    (estimator, directions, common_noise)
    for directions in ("sphere", "gaussian", "orthogonal")
    for estimator, common_noise in (
        (OnePoint, False),
        (Baseline, False),
        (TwoPoint, False),
        (TwoPoint, True),
        (Residual, False),
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "directions", "common_noise"), CASES)
@pytest.mark.parametrize("dims", SIZES[1:])
def test_covariance_is_that_of_plain_estimates(
    estimator: type[Estimator], directions: str, common_noise: bool, dims: tuple[int, int]
) -> None:
    """M = 5, so that blocks of two and four end in an incomplete one; integrated over frames, whose error is small."""
    tasks, K = _problem(dims, count=1)
    # The squares of estimates along normal perturbations have such heavy tails that a larger radius would show nothing.
    settings = SETTINGS.replace(smoothing_radius=0.05 if directions == "gaussian" else 0.2)
    before, made = 0.5 * K, _noisy(estimator, settings, common_noise)
    found = _simulated(made, tasks, [before, K], directions, common_noise)
    exact = made.covariance(_cubature(tasks, K, settings, directions, 400, before))
    assert exact is not None
    _agree(found, exact, 0.005)


@pytest.mark.parametrize(("estimator", "directions", "common_noise"), CASES)
@pytest.mark.parametrize("dims", [(1, 1), (2, 2)])
def test_integrated_covariance_tends_to_the_expansion(
    estimator: type[Estimator], directions: str, common_noise: bool, dims: tuple[int, int]
) -> None:
    """At r = 1e-3, up to O(r²) of the terms of O(1), and the error of their mean over frames."""
    tasks, K = _problem(dims)
    before, settings = 0.5 * K, SETTINGS.replace(smoothing_radius=1e-3)
    made = _noisy(estimator, settings, common_noise)
    near = _cubature(tasks, K, settings, directions, 100, before)
    exact = made.covariance(near)
    expanded = made.covariance(_expansion(tasks, K, settings, directions, curvature=True, before=before))
    assert exact is not None
    assert expanded is not None
    rests = np.array([made.covariance(near.without(part, 50)) for part in range(50)])
    error = np.sqrt(49 * rests.var(axis=0))
    constant = estimator(settings).covariance(_expansion(tasks, K, settings, directions, before=before))
    assert constant is not None
    # Rounding is of the costs, whose squares and differences are multiplied by n²/r².
    allowed = 1e-4 * np.abs(expanded - constant).max() + 1e-12 * np.abs(exact).max()
    assert (np.abs(exact - expanded) < 4.5 * error + allowed).all()


@pytest.mark.parametrize("estimator", [OnePoint, Baseline, TwoPoint])
@pytest.mark.parametrize("count", [2, 3])
def test_orthogonal_blocks_in_the_plane_are_integrated_exactly(estimator: type[Estimator], count: int) -> None:
    """A frame, or a frame and a single direction, over all angles and signs; the mean and the noise apart."""
    tasks, K = _problem((2, 1), count=1)
    r, made = 0.5, estimator(SETTINGS.replace(smoothing_radius=0.5, perturbations=count))
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
    law = direction_law("orthogonal", r, 2, nodes=1)
    assert law is not None
    found = made.covariance(Cubature(tasks, K, 4, count, r, law, regular_frames(2, 6)))
    assert found is not None
    assert_allclose(found[0], np.cov(means.T, bias=True) + noise, rtol=1e-10, atol=1e-10 * noise.max())


def test_orthogonal_directions_leave_a_linear_function_exact() -> None:
    """A whole frame and no noise: the two-point estimate of a linear function is its gradient. Half a frame is not."""
    tasks, K = _problem((3, 2))
    for count, is_zero in ((6, True), (12, True), (3, False)):
        near = _expansion(tasks, K, SETTINGS.replace(perturbations=count), "orthogonal")
        found = near.terms(0.5 * (near.cost(1) - near.cost(-1)), 0.0 * near.variance())
        scale = np.square(lqr.finite_horizon_gradient(tasks, K, 4)).sum()
        assert (np.abs(found).max() < 1e-13 * scale) == is_zero


def test_common_noise_lowers_the_covariance_at_every_gain() -> None:
    tasks, K = _problem((3, 2))
    for share in (-1.0, 0.0, 0.5, 1.0, 3.0):
        near = _expansion(tasks, share * K, SETTINGS, "sphere")
        apart, common = (_noisy(TwoPoint, SETTINGS, common_noise).covariance(near) for common_noise in (False, True))
        assert apart is not None
        assert common is not None
        assert (np.linalg.eigvalsh(apart - common) > 0).all()


# --- what it refuses, and what it makes of the rest ---


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimators of which only the values are known, and the one with a memory."""

    class Unknown(OnePoint):
        def coefficients(self, values: Array, memory: Memory, tasks: Any) -> tuple[Array, Memory]:
            return np.sqrt(values[:, 0]), memory

    monkeypatch.setitem(registries.estimators._registered, "unknown", Unknown)
    monkeypatch.setitem(registries.estimators._registered, "lagged", Residual)


@pytest.mark.usefixtures("plugins")
def test_estimator_without_a_formula_is_measured() -> None:
    tasks, K = _problem((1, 1))
    settings = SETTINGS.replace(estimator="unknown")
    found = estimators.covariance(tasks, K, settings, repeats=50)
    assert found.kind == "measured"
    assert (found.standard_error > 0).all()
    assert_array_equal(found.matrix, estimators.covariance(tasks, K, settings, repeats=50, how="measured").matrix)
    assert (found.matrix != estimators.covariance(tasks, K, settings, repeats=50, seed=1).matrix).all()
    with pytest.raises(
        ValueError, match=r"how: 'leading' is impossible, as no formula .* unknown .*; choose 'measured'"
    ):
        estimators.covariance(tasks, K, settings, how="leading")


@pytest.mark.usefixtures("plugins")
def test_estimator_with_a_memory_is_measured_after_an_iteration_before() -> None:
    tasks, K = _problem((2, 1))
    settings = SETTINGS.replace(estimator="lagged")
    for before in (None, 0.2 * K):
        exact = estimators.covariance(tasks, K, settings, before=before)
        assert exact.kind == "exact"
        _agree(estimators.covariance(tasks, K, settings, how="measured", before=before), exact.matrix)


def test_covariance_is_infinite_where_costs_overflow() -> None:
    tasks, _ = _problem((2, 2))
    ways: list[estimators.How] = ["leading", "second_order", "integrated"]
    for how in ways:
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

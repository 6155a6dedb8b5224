"""Methods that adapt in the mean, against the exact direction that they should follow.

The exact direction has the noise of the inner estimates in it where that passes through a gradient: plain NumPy samples
of the adapted gains, with the exact gradient of the smoothed cost at each, give it with a standard error of its own.
"""

from typing import Any

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose
from planar import LENGTH, K, P, copies, cost, plane, rollout_cost
from systems import scalar_tasks

from metalqr import MetaSettings, Stream, lqr, optimal
from metalqr.config.registries import methods
from metalqr.estimators.hessian import HessianEstimation
from metalqr.objectives import adaptation, meta
from metalqr.training import Problem, State

Array = np.ndarray[Any, np.dtype[np.float64]]
SETTINGS = MetaSettings(
    learning_rate=1.0,
    adaptation_rate=0.09,
    perturbations=5,
    inner_perturbations=5,
    smoothing_radius=0.4,
    rollout_length=LENGTH,
)
RATE, RADIUS, COPIES, REPEATS = 0.09, 0.4, 500, 40
BATCHES = pytest.mark.parametrize("batch", ["all", COPIES], ids=["all", "half"])


# --- the exact directions, of gains (n, 2 tasks, 2) ---


def smoothed_gradient(gains: Array, directions: str = "sphere") -> Array:
    """The gradient of the smoothed cost at each gain."""
    nodes, weights = plane(directions)
    values = cost(gains[:, np.newaxis] + RADIUS * nodes[:, np.newaxis])
    return np.asarray(2 / RADIUS * np.einsum("q,nqi,qa->nia", weights, values, nodes))


def estimates(rng: np.random.Generator, gains: Array, directions: str = "sphere") -> Array:
    """One-point estimates from five perturbations each, by plain rollouts."""
    count = len(gains)
    z = rng.standard_normal((count, 5, 2, 2))
    U = RADIUS * (z / np.sqrt(2) if directions == "gaussian" else z / np.linalg.norm(z, axis=-1, keepdims=True))
    values = rollout_cost(gains[:, np.newaxis] + U, rng.standard_normal((LENGTH + 1, count, 5, 2)))
    return np.asarray(2 / (5 * RADIUS**2) * np.einsum("nmi,nmia->nia", values, U))


def smoothed_hessian(directions: str) -> Array:
    """The mean of the estimated Hessians at K, a matrix of each task, by the rule for the plane."""
    nodes, weights = plane(directions)
    U, at_gain = RADIUS * nodes, np.broadcast_to(K[:, 0], (2, 2))
    up, down = (cost(at_gain + sign * U[:, np.newaxis]) for sign in (1, -1))
    change = 0.5 * (up + down) - cost(at_gain)
    if directions == "gaussian":  # with n = 2, sigma^2 = r^2 / 2
        return (
            np.asarray(np.einsum("q,qi,qab->iab", weights, change, _square(U) - RADIUS**2 / 2 * np.eye(2)))
            * 4
            / RADIUS**4
        )
    return (
        np.asarray(np.einsum("q,qi,qab->iab", weights, change, _square(U) - RADIUS**2 / 4 * np.eye(2))) * 8 / RADIUS**4
    )


def _square(U: Array) -> Array:
    return np.asarray(U[:, :, np.newaxis] * U[:, np.newaxis])


def samples(settings: MetaSettings, seed: int, count: int = 2500) -> Array:
    """Samples of what the method's direction is in the mean, given the noise of all estimates but the last."""
    rng, start = np.random.default_rng(seed), np.broadcast_to(K[:, 0], (count, 2, 2))
    directions, values = settings.directions, settings.as_dict()
    if settings.method in ("first_order_maml", "hessian_maml"):
        found = smoothed_gradient(start - RATE * estimates(rng, start, directions), directions)
        if settings.method == "hessian_maml":
            found = found - RATE * np.einsum("iab,nib->nia", smoothed_hessian(directions), found)
        return found @ np.eye(2)
    gains, total, pull = start, np.zeros_like(start), values.get("proximal_weight", 0.0)
    for step in range(values["inner_steps"]):
        is_last = step == values["inner_steps"] - 1
        gradient = smoothed_gradient(gains) if is_last else estimates(rng, gains)
        gains, total = gains - RATE * (gradient + pull * (gains - start)), total + gradient
    return np.asarray(pull * (start - gains) if pull else total)


METHODS: dict[str, dict[str, Any]] = {
    "first_order_maml": {"method": "first_order_maml"},
    "hessian_maml": {"method": "hessian_maml"},
    "hessian_maml_gaussian": {"method": "hessian_maml", "directions": "gaussian"},
    "reptile": {"method": "reptile", "inner_steps": 3},
    "moreau": {"method": "moreau", "inner_steps": 3, "proximal_weight": 2.0},
}


@pytest.mark.slow
@BATCHES
@pytest.mark.parametrize("name", METHODS)
def test_the_mean_is_the_exact_direction(name: str, batch: Any) -> None:
    """4.5 standard errors; half of the tasks are drawn by a distribution that is not uniform."""
    settings = SETTINGS.replace(task_batch=batch, **METHODS[name])
    tasks = copies(COPIES)
    method = methods.get(settings.method)(Problem(tasks, K, settings))
    found = np.array([method.direction(State(K), Stream(seed)).gradient for seed in range(REPEATS)])
    each = np.concatenate([np.tensordot(samples(settings, seed), P, axes=(1, 0)) for seed in range(4)])
    exact, error = each.mean(axis=0)[:, np.newaxis], each.std(axis=0)[:, np.newaxis] / np.sqrt(len(each))
    twins.within(found, exact, error=error)
    # Small enough to tell it from the gradient of the mean cost, of the same length.
    factor = {"reptile": 3.0, "moreau": 1 - (1 - 2 * RATE) ** 3}.get(settings.method, 1.0)
    mean = factor * np.tensordot(P, smoothed_gradient(K[np.newaxis, :, 0].repeat(2, axis=0)[np.newaxis])[0], 1)
    deviation = (exact - mean[:, np.newaxis]) / np.hypot(error, found.std(axis=0) / np.sqrt(REPEATS))
    assert np.abs(deviation).max() > 5


# --- Hessians ---


def test_the_smoothed_hessian_tends_to_the_exact_one() -> None:
    """On the sphere up to the square of the radius; with normal directions the Hessian of the smoothed cost itself."""
    units = np.eye(2).reshape(2, 2, 1)
    exact = np.stack(
        [lqr.finite_horizon_hessian_vector_product(copies(1), K, unit, LENGTH)[..., 0] for unit in units], 2
    )
    assert_allclose(smoothed_hessian("sphere"), exact, atol=0.05 * np.abs(exact).max())
    step, start = 1e-4, K[np.newaxis, :, 0].repeat(2, axis=0)[np.newaxis]
    slopes = [
        (smoothed_gradient(start + step * unit, "gaussian") - smoothed_gradient(start - step * unit, "gaussian"))[0]
        for unit in np.eye(2)
    ]
    assert_allclose(smoothed_hessian("gaussian"), np.stack(slopes, axis=2) / (2 * step), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("directions", ["sphere", "gaussian", "orthogonal"])
@pytest.mark.parametrize("common_noise", [False, True])
def test_the_mean_of_an_estimated_hessian(directions: str, common_noise: bool) -> None:
    """4.5 standard errors, applied to a gain of no special direction."""
    settings = SETTINGS.replace(directions=directions, common_noise=common_noise, estimator="two_point")
    tasks, X = copies(10 * COPIES), np.array([[0.6], [-0.3]])
    estimation = HessianEstimation(tasks, settings, 5, RADIUS)
    every = np.arange(tasks.count)
    found = estimation.product(K, np.broadcast_to(X, (tasks.count, 2, 1)), Stream(4), every)
    assert found.rollout_steps == tasks.count * 15 * LENGTH
    exact = smoothed_hessian("sphere" if directions == "orthogonal" else directions) @ X
    twins.within(found.gradient.reshape(-1, 2, 2, 1), exact)


def test_what_toso_and_others_print_is_no_hessian() -> None:
    r"""Its mean is about -(k / 2d) Tr(H) I, here -Tr(H) I: a multiple of I, and of the wrong sign."""
    settings = SETTINGS.replace(estimator="two_point", common_noise=True)
    tasks = copies(10 * COPIES)
    estimation = HessianEstimation(tasks, settings, 5, 0.05, is_printed=True)
    units = np.eye(2).reshape(2, 2, 1)
    every = np.arange(tasks.count)
    columns = [
        estimation.product(K, np.broadcast_to(unit, (tasks.count, 2, 1)), Stream(4), every).gradient.reshape(-1, 2, 2)
        for unit in units
    ]
    hessian = np.stack(
        [lqr.finite_horizon_hessian_vector_product(copies(1), K, unit, LENGTH)[..., 0] for unit in units], axis=2
    )
    trace = np.trace(hessian, axis1=1, axis2=2)
    found = np.stack(columns, axis=3)
    error = found.std(axis=0) / np.sqrt(len(found))
    expected = -trace[:, np.newaxis, np.newaxis] * np.eye(2)
    # U U' itself adds what is of the order of the square of the radius beside I.
    assert_allclose(found.mean(axis=0), expected, atol=float(4.5 * error.max() + 0.005 * np.abs(trace).max()))
    assert np.all(np.linalg.norm(found.mean(axis=0) - hessian, axis=(1, 2)) > np.linalg.norm(hessian, axis=(1, 2)))


# --- the bias of directions that are no meta-gradients ---


def test_the_bias_of_first_order_maml_is_the_term_with_the_hessian() -> None:
    tasks = copies(1)
    after = lqr.gradient(tasks, meta.adapted_gains(tasks, K, RATE))
    expected = RATE * np.einsum("i,ikd->kd", P, lqr.hessian_vector_product(tasks, K, after))
    found = adaptation.bias(tasks, K, RATE, adaptation.first_order_maml(tasks, K, RATE))
    assert_allclose(found.difference, expected, rtol=1e-10)
    exact = meta.gradient(tasks, K, RATE)
    assert found.norm == pytest.approx(np.linalg.norm(expected) / np.linalg.norm(exact))
    assert found.cosine == pytest.approx(
        np.sum(exact * (exact + expected)) / np.linalg.norm(exact) / np.linalg.norm(exact + expected)
    )


@pytest.mark.parametrize(("steps", "missing"), [(1, 2.0), (2, 1.5), (5, 0.0)])
def test_the_bias_of_reptile_to_first_order(steps: int, missing: float) -> None:
    """Gradients g and Hessians H: s steps make s g - eta s (s - 1) / 2 H g, and the meta-gradient is g - 2 eta H g."""
    tasks, rate = copies(1), 1e-5
    H_g = np.einsum("i,ikd->kd", P, lqr.hessian_vector_product(tasks, K, lqr.gradient(tasks, K)))
    found = adaptation.bias(tasks, K, rate, adaptation.reptile(tasks, K, rate, steps) / steps)
    assert_allclose(found.difference / rate, missing * H_g, rtol=1e-3, atol=1e-3 * np.abs(H_g).max())
    if steps > 1:
        place = adaptation.BIASED.index(f"reptile_{steps}")
        listed = adaptation.biases(tasks, K, rate)[place]
        assert listed is not None
        assert (listed.norm, listed.cosine) == (found.norm, found.cosine)
    else:
        assert_allclose(
            adaptation.reptile(tasks, K, rate, 1), np.einsum("i,ikd->kd", P, lqr.gradient(tasks, K)), rtol=1e-9
        )


def test_methods_whose_way_leads_out_have_no_bias() -> None:
    """At K = 0 a step is too long for both tasks; without an adaptation there is no bias at all."""
    tasks = scalar_tasks([0.9, 0.8])
    assert adaptation.biases(tasks, [[0.0]], 0.4) == [None] * len(adaptation.BIASED)
    shared = adaptation.biases(tasks, optimal.shared_gain(tasks).K, 0.01)[0]
    assert shared is not None
    assert shared.norm == pytest.approx(1.0)
    assert np.isnan(shared.cosine)
    still = adaptation.biases(tasks, [[0.0]], 0.0)
    assert [each.norm for each in still if each] == [0.0] * len(adaptation.BIASED)

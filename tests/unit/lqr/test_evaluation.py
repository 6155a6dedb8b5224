import pickle
import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import (
    Array,
    central_difference,
    check_derivative,
    random_tasks,
    scalar_tasks,
    stable_gain,
    tasks_and_gains,
)

from metalqr import lqr
from metalqr.lqr import LQRTasks, LyapunovSolver, UnstablePolicyError

SIZES = [(1, 1), (2, 2), (4, 2), (3, 5)]


# --- Lyapunov equations


@pytest.mark.parametrize("radius", [0.0, 0.5, 0.9, 0.999, 1 - 1e-6, 1 - 1e-9])
@pytest.mark.parametrize("dim", [1, 2, 20])
def test_lyapunov_residual_is_at_machine_precision(radius: float, dim: int) -> None:
    tasks = random_tasks(3, count=4, state_dim=dim, action_dim=1, radius=radius)
    solver = LyapunovSolver(tasks.A)
    assert solver.converged.all()
    F = tasks.A
    for X, left in ((solver.solve(tasks.Psi), F), (solver.solve_adjoint(tasks.Psi), F.mT)):
        residual = np.abs(left @ X @ left.mT + tasks.Psi - X).max(axis=(1, 2))
        # The size of F X Fᵀ without cancellation is the fair scale of its rounding.
        scale = (np.abs(left) @ np.abs(X) @ np.abs(left.mT)).max(axis=(1, 2)) + np.abs(X).max(axis=(1, 2))
        assert (residual <= 1e-14 * scale).all()


def test_lyapunov_agrees_with_the_closed_form_of_a_scalar_near_instability() -> None:
    for gap in (1e-2, 1e-6, 1e-8):
        a = 1.0 - gap
        expected = 1.0 / ((1.0 - a) * (1.0 + a))
        assert LyapunovSolver(np.array([[[a]]])).solve(np.ones((1, 1, 1)))[0, 0, 0] == pytest.approx(expected, rel=1e-7)


def test_lyapunov_sums_a_strongly_nonnormal_matrix() -> None:
    """A nilpotent matrix with a huge entry: the series has two terms, although the norm of F is 1e8."""
    found = LyapunovSolver(np.array([[[0.0, 1e8], [0.0, 0.0]]])).solve(np.eye(2)[np.newaxis])
    np.testing.assert_array_equal(found[0], [[1.0 + 1e16, 0.0], [0.0, 1.0]])


def test_lyapunov_says_when_it_does_not_converge() -> None:
    solver = LyapunovSolver(np.array([[[0.5]], [[1.0]], [[1.1]]]))
    np.testing.assert_array_equal(solver.converged, [True, False, False])


# --- exact quantities


def test_a_scalar_task_has_its_closed_forms() -> None:
    a, b, q, r, psi, gain = 0.9, 0.5, 2.0, 0.7, 0.3, 0.4
    tasks = scalar_tasks(a, b, q, r, psi)
    K = np.array([[gain]])
    closed = a - b * gain
    covariance = psi / (1 - closed**2)
    value = (q + r * gain**2) / (1 - closed**2)
    assert lqr.closed_loop(tasks, K)[0, 0, 0] == pytest.approx(closed, rel=1e-15)
    assert lqr.spectral_radius(tasks, K)[0] == pytest.approx(abs(closed), rel=1e-15)
    assert lqr.state_covariance(tasks, K)[0, 0, 0] == pytest.approx(covariance, rel=1e-14)
    assert lqr.value_matrix(tasks, K)[0, 0, 0] == pytest.approx(value, rel=1e-14)
    assert lqr.cost(tasks, K)[0] == pytest.approx((q + r * gain**2) * covariance, rel=1e-14)
    slope = 2 * r * gain * covariance - 2 * b * closed * value * covariance
    assert lqr.gradient(tasks, K)[0, 0, 0] == pytest.approx(slope, rel=1e-13)


@pytest.mark.slow
@given(tasks_and_gains())
def test_cost_is_a_trace_both_ways_of_solutions_of_lyapunov_equations(case: tuple[LQRTasks, Array]) -> None:
    tasks, K = case
    closed, covariance, value = lqr.closed_loop(tasks, K), lqr.state_covariance(tasks, K), lqr.value_matrix(tasks, K)
    weight = tasks.Q + K.T @ tasks.R @ K
    np.testing.assert_allclose(lqr.evaluate(tasks, K).cost(), lqr.cost(tasks, K), rtol=1e-9)
    np.testing.assert_allclose(lqr.cost(tasks, K), np.trace(weight @ covariance, axis1=1, axis2=2), rtol=1e-12)
    image = closed @ covariance @ closed.mT + tasks.Psi
    np.testing.assert_allclose(covariance, image, atol=1e-11 * np.abs(covariance).max())
    np.testing.assert_allclose(value, closed.mT @ value @ closed + weight, atol=1e-11 * np.abs(value).max())


@pytest.mark.parametrize("dims", SIZES)
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int]) -> None:
    tasks = random_tasks(11, 3, *dims, radius=0.8)
    K = stable_gain(tasks, 11, per_task=True)
    X, Y = np.random.default_rng(12).standard_normal((2, *K.shape))
    gradient = lqr.gradient(tasks, K)
    check_derivative(partial(lqr.cost, tasks), K, lambda unit: np.tensordot(gradient, unit, 2), 1e-6)
    check_derivative(partial(lqr.gradient, tasks), K, partial(lqr.hessian_vector_product, tasks, K), 1e-6)
    exact = lqr.third_derivative(tasks, K, X, Y)
    slope = central_difference(lambda gain: lqr.hessian_vector_product(tasks, gain, Y), K, X, step=1e-5)
    np.testing.assert_allclose(exact, slope, atol=1e-7 * np.abs(exact).max())
    np.testing.assert_allclose(lqr.third_derivative(tasks, K, Y, X), exact, atol=1e-11 * np.abs(exact).max())


@pytest.mark.slow
@given(tasks_and_gains(per_task=True), st.integers(0, 1000))
def test_hessian_is_self_adjoint_and_linear(case: tuple[LQRTasks, Array], seed: int) -> None:
    tasks, K = case
    X, Y = np.random.default_rng(seed).standard_normal((2, *K.shape))
    evaluation = lqr.evaluate(tasks, K)
    HX, HY = evaluation.hessian_vector_product(X), evaluation.hessian_vector_product(Y)
    scale = np.linalg.norm(HX, axis=(1, 2)) * np.linalg.norm(Y, axis=(1, 2))
    difference = np.einsum("iab,iab->i", HX, Y) - np.einsum("iab,iab->i", X, HY)
    assert (np.abs(difference) <= 1e-8 * scale + 1e-8 * np.linalg.norm(HY) * np.linalg.norm(X)).all()
    combined = evaluation.hessian_vector_product(2.0 * X - Y)
    np.testing.assert_allclose(combined, 2.0 * HX - HY, atol=1e-8 * max(np.abs(HX).max(), np.abs(HY).max()))


def test_third_derivative_of_a_scalar_task() -> None:
    """a = 0, b = q = r = ψ = 1: J = (1 + K²)/(1 - K²) = 2/(1 - K²) - 1, so that J''' = 48 K (1 + K²)/(1 - K²)⁴."""
    tasks = scalar_tasks(0.0)
    for K in (0.0, 0.3, -0.7):
        expected = 48 * K * (1 + K**2) / (1 - K**2) ** 4
        assert lqr.third_derivative(tasks, [[K]], [[2.0]], [[0.5]])[0, 0, 0] == pytest.approx(expected, rel=1e-12)


def test_one_gain_for_all_equals_the_same_gain_per_task() -> None:
    tasks = random_tasks(5)
    K = stable_gain(tasks, 5)
    repeated = np.stack([K] * tasks.count)
    for function in (lqr.cost, lqr.gradient, lqr.state_covariance, lqr.value_matrix, lqr.spectral_radius):
        np.testing.assert_array_equal(function(tasks, K), function(tasks, repeated))


# --- instability


def test_an_unstable_task_costs_infinitely_much_and_the_others_their_cost() -> None:
    stable = random_tasks(7, count=3)
    A = stable.A.copy()
    A[1] *= 1.2 / 0.9
    tasks = stable.replace(A=A)
    zero = np.zeros((2, 3))
    costs = lqr.cost(tasks, zero)
    assert costs[1] == np.inf
    np.testing.assert_allclose(costs[[0, 2]], lqr.cost(stable, zero)[[0, 2]], rtol=1e-13)
    np.testing.assert_array_equal(lqr.is_stabilising(tasks, zero), [True, False, True])


@pytest.mark.parametrize("radius", [1.0, 1.0 + 1e-12, 1e6, 1e200])
def test_cost_is_infinite_from_the_boundary_on(radius: float) -> None:
    assert lqr.cost(scalar_tasks(radius), [[0.0]])[0] == np.inf


@pytest.mark.parametrize("size", [1e200, 1.7e308])
def test_a_huge_gain_costs_infinitely_much_without_a_warning(size: float) -> None:
    assert (lqr.cost(random_tasks(1), np.full((2, 3), size)) == np.inf).all()
    with pytest.raises(UnstablePolicyError, match="the gain does not stabilise task 0"):
        lqr.gradient(random_tasks(1), np.full((2, 3), size))


@pytest.mark.parametrize(
    "function",
    [
        lqr.gradient,
        lqr.state_covariance,
        lqr.value_matrix,
        lqr.evaluate,
        lambda tasks, K: lqr.hessian_vector_product(tasks, K, K),
    ],
)
def test_an_unstable_gain_is_reported_with_its_tasks_and_radii(function: Callable[[LQRTasks, Array], object]) -> None:
    with pytest.raises(UnstablePolicyError) as caught:
        function(scalar_tasks([0.5, 1.25, 2.0]), np.zeros((1, 1)))
    assert caught.value.task_indices == (1, 2)
    assert caught.value.radii == (1.25, 2.0)
    assert "task 1 (spectral radius 1.25), task 2 (spectral radius 2)" in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.task_indices, copy.radii, str(copy)) == ((1, 2), (1.25, 2.0), str(caught.value))


@pytest.mark.parametrize(
    ("gain", "message"),
    [
        (np.zeros((3, 2)), "K has shape (3, 2), expected (2, 3) for all tasks or (3, 2, 3), one per task"),
        (np.zeros((2, 2, 3)), "K has shape (2, 2, 3), expected (2, 3)"),
        (np.full((2, 3), np.nan), "K holds a value that is not finite"),
    ],
)
def test_an_impossible_gain_is_refused(gain: Array, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        lqr.cost(random_tasks(0), gain)

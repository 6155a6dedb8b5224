"""Costs of rollouts of finite length and their derivatives, against powers, differences and formulas by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import Array, check_derivative, definite, random_tasks, scalar_tasks, stable_gain, tasks_and_gains

from metalqr import lqr
from metalqr.lqr import LQRTasks

SIZES = [(1, 1), (2, 2), (4, 2), (3, 5)]


def test_finite_horizon_cost_agrees_with_powers_of_the_closed_loop() -> None:
    """Σ_l = F^l Σ0 (F^l)ᵀ + Σ_{s<l} F^s Ψ (F^s)ᵀ, summed task by task; the gain may be unstable."""
    tasks = random_tasks(8, radius=1.05)
    K = 0.1 * np.ones((2, 3))
    length = 7
    expected = []
    for task in range(tasks.count):
        F = tasks.A[task] - tasks.B[task] @ K
        weight = tasks.Q[task] + K.T @ tasks.R[task] @ K
        total = 0.0
        for step in range(1, length + 1):
            power = np.linalg.matrix_power(F, step)
            total += np.trace(weight @ power @ tasks.Sigma0[task] @ power.T)
            for age in range(step):
                power = np.linalg.matrix_power(F, age)
                total += np.trace(weight @ power @ tasks.Psi[task] @ power.T)
        expected.append(total / length)
    np.testing.assert_allclose(lqr.finite_horizon_cost(tasks, K, length), expected, rtol=1e-12)


def test_finite_horizon_cost_started_stationary_is_the_cost() -> None:
    tasks = random_tasks(10)
    K = stable_gain(tasks, 10)
    stationary = tasks.replace(Sigma0=lqr.state_covariance(tasks, K))
    np.testing.assert_allclose(lqr.finite_horizon_cost(stationary, K, 13), lqr.cost(tasks, K), rtol=1e-11)


def test_finite_horizon_cost_overflows_to_infinity() -> None:
    A = np.array([[[30.0, 5.0], [-7.0, 40.0]]])
    one = np.eye(2)[np.newaxis]
    tasks = LQRTasks(A, one, one, one, definite(np.random.default_rng(0), 1, 2))
    assert np.isfinite(lqr.finite_horizon_cost(tasks, np.zeros((2, 2)), 50))[0]
    assert lqr.finite_horizon_cost(tasks, np.zeros((2, 2)), 2000)[0] == np.inf


@pytest.mark.parametrize("length", [0, -1, 2.5, True, "50"])
def test_an_impossible_length_is_refused(length: Any) -> None:
    tasks, K = random_tasks(0), np.zeros((2, 3))
    product = partial(lqr.finite_horizon_hessian_vector_product, X=K)
    for function in (lqr.finite_horizon_cost, lqr.finite_horizon_gradient, product):
        with pytest.raises(ValueError, match=r"length: .* is not a whole number >= 1"):
            function(tasks, K, length=length)


def test_a_single_step_by_hand() -> None:
    """Scalars, one step: with f = a - b k and s = f^2 s0 + w, its derivatives s' = -2 b f s0 and s'' = 2 b^2 s0,

    J = (q + r k^2) s, J' = 2 r k s + (q + r k^2) s', J'' = 2 r s + 4 r k s' + (q + r k^2) s''.
    """
    a, b, q, r, w, s0, k = 1.3, 0.7, 2.0, 0.5, 0.4, 0.9, 0.2
    tasks = scalar_tasks(a, b, q, r, w, Sigma0=[[[s0]]])
    f = a - b * k
    s, first, second = f**2 * s0 + w, -2 * b * f * s0, 2 * b**2 * s0
    weight = q + r * k**2
    assert lqr.finite_horizon_cost(tasks, [[k]], 1)[0] == pytest.approx(weight * s, rel=1e-14)
    gradient = lqr.finite_horizon_gradient(tasks, [[k]], 1)[0, 0, 0]
    assert gradient == pytest.approx(2 * r * k * s + weight * first, rel=1e-14)
    curvature = lqr.finite_horizon_hessian_vector_product(tasks, [[k]], [[3.0]], 1)[0, 0, 0]
    assert curvature == pytest.approx(3 * (2 * r * s + 4 * r * k * first + weight * second), rel=1e-14)


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("radius", [0.7, 1.1])
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(11, 2, *dims, radius=radius)
    K = 0.3 * stable_gain(random_tasks(11, 2, *dims, radius=0.7), 11, per_task=True)
    gradient = lqr.finite_horizon_gradient(tasks, K, 9)
    cost, slope = (
        partial(lqr.finite_horizon_cost, tasks, length=9),
        partial(lqr.finite_horizon_gradient, tasks, length=9),
    )
    check_derivative(cost, K, lambda unit: np.tensordot(gradient, unit, 2), 1e-8, step=1e-3)
    product = partial(lqr.finite_horizon_hessian_vector_product, tasks, K, length=9)
    check_derivative(slope, K, product, 1e-8, step=1e-3)


@settings(max_examples=20)
@given(tasks_and_gains(), st.integers(1, 12), st.integers(0, 99))
def test_hessian_is_self_adjoint(case: tuple[LQRTasks, Array], length: int, seed: int) -> None:
    tasks, K = case
    X, Y = np.random.default_rng(seed).standard_normal((2, *K.shape))
    there = np.einsum("ikd,kd->i", lqr.finite_horizon_hessian_vector_product(tasks, K, X, length), Y)
    back = np.einsum("ikd,kd->i", lqr.finite_horizon_hessian_vector_product(tasks, K, Y, length), X)
    scale = np.abs(lqr.finite_horizon_hessian_vector_product(tasks, K, X, length)).max()
    np.testing.assert_allclose(there, back, atol=1e-11 * scale * np.abs(Y).sum())


def test_cost_and_derivatives_tend_to_those_of_infinite_rollouts_like_one_over_the_length() -> None:
    tasks = random_tasks(13, radius=0.8)
    K = stable_gain(tasks, 13)
    quantities: list[tuple[Callable[..., Array], Callable[..., Array], list[Array]]] = [
        (lqr.finite_horizon_cost, lqr.cost, [K]),
        (lqr.finite_horizon_gradient, lqr.gradient, [K]),
        (lqr.finite_horizon_hessian_vector_product, lqr.hessian_vector_product, [K, np.ones_like(K)]),
    ]
    for finite, infinite, arguments in quantities:
        limit = infinite(tasks, *arguments).reshape(tasks.count, -1)
        found = [finite(tasks, *arguments, length).reshape(limit.shape) for length in (200, 400)]
        gaps = np.linalg.norm(np.stack(found) - limit, axis=2)
        np.testing.assert_allclose(gaps[0] / gaps[1], 2.0, rtol=1e-6)
        assert (gaps[1] < 0.1 * np.linalg.norm(limit, axis=1)).all()


def test_gradient_beyond_every_double_is_not_finite_and_warns_of_nothing() -> None:
    one = np.eye(2)[np.newaxis]
    tasks = LQRTasks(30.0 * one, one, one, one, one)
    assert not np.isfinite(lqr.finite_horizon_gradient(tasks, np.zeros((2, 2)), 2000)).any()
    assert not np.isfinite(lqr.finite_horizon_hessian_vector_product(tasks, np.zeros((2, 2)), np.eye(2), 2000)).all()

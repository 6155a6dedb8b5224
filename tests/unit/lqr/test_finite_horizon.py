"""Costs of rollouts of finite length and their derivatives, against powers, differences and formulas by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from systems import Array, check_derivative, random_tasks, stable_gain

from metalqr import lqr

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


def test_rollouts_beyond_every_double_cost_infinitely_much_and_warn_of_nothing() -> None:
    zero = np.zeros((2, 2))
    tasks = random_tasks(0, 1, 2, 2, radius=40.0)
    assert np.isfinite(lqr.finite_horizon_cost(tasks, zero, 50))[0]
    assert lqr.finite_horizon_cost(tasks, zero, 2000)[0] == np.inf
    assert not np.isfinite(lqr.finite_horizon_gradient(tasks, zero, 2000)).any()
    assert not np.isfinite(lqr.finite_horizon_hessian_vector_product(tasks, zero, np.eye(2), 2000)).all()


@pytest.mark.parametrize("length", [0, -1, 2.5, True, "50"])
def test_an_impossible_length_is_refused(length: Any) -> None:
    tasks, K = random_tasks(0), np.zeros((2, 3))
    product = partial(lqr.finite_horizon_hessian_vector_product, X=K)
    for function in (lqr.finite_horizon_cost, lqr.finite_horizon_gradient, product):
        with pytest.raises(ValueError, match=r"length: .* is not a whole number >= 1"):
            function(tasks, K, length=length)


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("radius", [0.7, 1.1])
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(11, 2, *dims, radius=radius)
    K = 0.3 * stable_gain(random_tasks(11, 2, *dims, radius=0.7), 11, per_task=True)
    gradient = lqr.finite_horizon_gradient(tasks, K, 9)
    cost, slope = (partial(each, tasks, length=9) for each in (lqr.finite_horizon_cost, lqr.finite_horizon_gradient))
    product = partial(lqr.finite_horizon_hessian_vector_product, tasks, K, length=9)
    check_derivative(cost, K, lambda unit: np.tensordot(gradient, unit, 2), 1e-8, step=1e-3)
    check_derivative(slope, K, product, 1e-8, step=1e-3)


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

"""Exact quantities with a cross term in the cost, and with singular weights and covariances."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from systems import Array, central_difference, check_derivative, semidefinite_tasks, stable_gain, without_cross_terms

from metalqr import lqr
from metalqr.lqr import LQRTasks
from metalqr.lqr.performance_difference import cost_change
from metalqr.objectives.meta import task_gradients

SIZES = [(1, 1), (2, 1), (4, 2), (3, 5)]
X, Y = np.random.default_rng(1).standard_normal((2, 5, 4))


def cut(matrix: Array, tasks: LQRTasks) -> Array:
    return matrix[: tasks.action_dim, : tasks.state_dim]


FUNCTIONS: dict[str, Callable[[LQRTasks, Array], Any]] = {
    "cost": lqr.cost,
    "value_matrix": lqr.value_matrix,
    "advantage": lambda tasks, K: lqr.evaluate(tasks, K).advantage,
    "gradient": lqr.gradient,
    "hessian": lambda tasks, K: lqr.hessian_vector_product(tasks, K, cut(X, tasks)),
    "third": lambda tasks, K: lqr.third_derivative(tasks, K, cut(X, tasks), cut(Y, tasks)),
    "finite cost": lambda tasks, K: lqr.finite_horizon_cost(tasks, K, 7),
    "finite gradient": lambda tasks, K: lqr.finite_horizon_gradient(tasks, K, 7),
    "finite hessian": lambda tasks, K: lqr.finite_horizon_hessian_vector_product(tasks, K, cut(X, tasks), 7),
    "variance": lambda tasks, K: lqr.rollout_variance(tasks, K, 7),
    "variance gradient": lambda tasks, K: lqr.rollout_variance_gradient(tasks, K, 7),
    "gradient covariance": lambda tasks, K: lqr.rollout_gradient_covariance(tasks, K, 7),
    "difference variance": lambda tasks, K: lqr.rollout_difference_variance(tasks, K, K + 0.01 * cut(X, tasks), 7),
    "meta gradient": lambda tasks, K: task_gradients(tasks, K, 1e-6),
    "finite meta gradient": lambda tasks, K: task_gradients(tasks, K, 1e-3, 7),
}


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_cross_term_is_a_feedback_of_every_task(name: str, dims: tuple[int, int]) -> None:
    """With A - BR⁻¹Sᵀ, Q - SR⁻¹Sᵀ and K - R⁻¹Sᵀ the closed loop and the cost are the same, and so all derivatives."""
    tasks = semidefinite_tasks(5, 3, *dims)
    K = stable_gain(tasks, 5, per_task=True)
    found = FUNCTIONS[name](tasks, K)
    shifted, shift = without_cross_terms(tasks)
    expected = FUNCTIONS[name](shifted, K - shift)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


def test_the_mean_cost_of_a_rollout_is_that_of_its_states_and_inputs() -> None:
    tasks = semidefinite_tasks(3, 2, 3, 2)
    K, length = stable_gain(tasks, 3), 5
    for i in range(tasks.count):
        joint = np.block([[tasks.Q[i], tasks.S[i]], [tasks.S[i].T, tasks.R[i]]])
        policy = np.vstack([np.eye(3), -K])
        covariance, total = tasks.Sigma0[i], 0.0
        for _ in range(length):
            closed = tasks.A[i] - tasks.B[i] @ K
            covariance = closed @ covariance @ closed.T + tasks.Psi[i]
            total += np.trace(joint @ policy @ covariance @ policy.T)
        assert lqr.finite_horizon_cost(tasks, K, length)[i] == pytest.approx(total / length, rel=1e-12)


@pytest.mark.parametrize("dims", SIZES)
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int]) -> None:
    tasks = semidefinite_tasks(11, 3, *dims)
    K = stable_gain(tasks, 11, per_task=True)
    gradient = lqr.gradient(tasks, K)
    check_derivative(partial(lqr.cost, tasks), K, lambda unit: np.tensordot(gradient, unit, 2), 1e-6)
    check_derivative(partial(lqr.gradient, tasks), K, partial(lqr.hessian_vector_product, tasks, K), 1e-6)
    exact = lqr.third_derivative(tasks, K, cut(X, tasks), cut(Y, tasks))
    slope = central_difference(
        lambda gain: lqr.hessian_vector_product(tasks, gain, cut(Y, tasks)),
        K,
        np.broadcast_to(cut(X, tasks), K.shape),
        step=1e-5,
    )
    np.testing.assert_allclose(exact, slope, atol=1e-7 * np.abs(exact).max())


def test_the_performance_difference_is_that_of_the_costs() -> None:
    tasks = semidefinite_tasks(2, 3, 4, 2)
    K = stable_gain(tasks, 2)
    change = np.broadcast_to(0.05 * cut(X, tasks), (3, 2, 4))
    before, after = lqr.evaluate(tasks, K), lqr.evaluate(tasks, K + change)
    np.testing.assert_allclose(cost_change(before, after, change), after.cost() - before.cost(), rtol=1e-9)


def test_without_noise_there_is_no_cost() -> None:
    tasks = semidefinite_tasks(2, 2, 2, 1).replace(Psi=np.zeros((2, 2, 2)))
    K = stable_gain(tasks, 2)
    for found in (lqr.cost(tasks, K), lqr.gradient(tasks, K), lqr.hessian_vector_product(tasks, K, cut(X, tasks))):
        np.testing.assert_array_equal(found, 0.0)
    assert lqr.at_optimum(tasks, K).all()

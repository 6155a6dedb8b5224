"""Hessians as matrices, against the operators, column by column, and against differences of gradients."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import Array, central_difference, initial_state_tasks, random_tasks, semidefinite_tasks, stable_gain

from metalqr import lqr
from metalqr.lqr import LQRTasks

SIZES = [(1, 1), (2, 2), (4, 2), (3, 5)]
MAKERS = [random_tasks, semidefinite_tasks, initial_state_tasks]


def _columns(operator: Callable[[LQRTasks, Array, Array], Array], tasks: LQRTasks, K: Array) -> Array:
    units = np.eye(K[0].size).reshape(-1, *K.shape[1:])
    return np.stack([operator(tasks, K, X).reshape(len(K), -1) for X in units], axis=-1)


@pytest.mark.parametrize("dims", SIZES)
@pytest.mark.parametrize("make", MAKERS)
def test_columns_are_those_of_the_operator(make: Callable[..., LQRTasks], dims: tuple[int, int]) -> None:
    tasks = make(3, 3, *dims)
    K = stable_gain(tasks, 3, per_task=True)
    assert_allclose(lqr.hessian_matrix(tasks, K), _columns(lqr.hessian_vector_product, tasks, K), rtol=1e-9, atol=1e-9)
    for length in (1, 2, 9):
        operator = partial(lqr.finite_horizon_hessian_vector_product, length=length)
        found = lqr.finite_horizon_hessian_matrix(tasks, K, length)
        assert_allclose(found, _columns(operator, tasks, K), rtol=1e-9, atol=1e-9)


def test_of_rollouts_at_an_unstable_gain_against_differences_of_the_gradient() -> None:
    tasks = random_tasks(11, 2, 3, 2, radius=1.1)
    K = np.zeros((2, 3))
    found = lqr.finite_horizon_hessian_matrix(tasks, K, 6)
    slope = partial(lqr.finite_horizon_gradient, tasks, length=6)
    for column, unit in enumerate(np.eye(6).reshape(-1, 2, 3)):
        expected = central_difference(slope, K, unit, step=1e-3)
        assert_allclose(found[:, :, column], expected.reshape(2, 6), rtol=1e-6, atol=1e-8)


def test_of_the_average_cost_needs_a_stable_gain() -> None:
    with pytest.raises(lqr.UnstablePolicyError):
        lqr.hessian_matrix(random_tasks(1, radius=1.1), np.zeros((2, 3)))

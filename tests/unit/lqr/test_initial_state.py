"""Tasks without process noise: the cost is the sum over a rollout from a random initial state."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from systems import Array, central_difference, check_derivative, initial_state_tasks, random_tasks, stable_gain

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks, TasksError

SIZES = [(1, 1), (2, 1), (4, 2)]


def total_cost(tasks: LQRTasks, task: int, K: Array, x: Array, length: int) -> float:
    """The sum of the stage costs of one rollout."""
    total = 0.0
    for _ in range(length):
        u = -K @ x
        total += x @ tasks.Q[task] @ x + 2.0 * x @ tasks.S[task] @ u + u @ tasks.R[task] @ u
        x = tasks.A[task] @ x + tasks.B[task] @ u
    return total


def _cost_from(tasks: LQRTasks, task: int, x: Array, length: int, K: Array) -> float:
    return total_cost(tasks, task, K, x, length)


def nodes(dim: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes (n, d) and weights (n,) for N(0, I), exact for polynomials up to degree nine."""
    x, w = np.polynomial.hermite_e.hermegauss(5)
    grid = np.stack(np.meshgrid(*[x] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    weights = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * dim, indexing="ij"), axis=-1).reshape(-1, dim), axis=1)
    return grid, weights


@pytest.mark.parametrize("dims", [(1, 1), (2, 1)])
def test_moments_of_a_rollout_are_those_of_quadrature(dims: tuple[int, int]) -> None:
    tasks, length = initial_state_tasks(3, 2, *dims), 6
    central = partial(central_difference, step=1e-4)
    K = stable_gain(tasks, 3)
    other = K + 0.05
    z, weights = nodes(dims[0])
    units = np.eye(K.size).reshape(-1, *K.shape)
    for i in range(2):
        values, vectors = np.linalg.eigh(tasks.Sigma0[i])
        starts = tasks.initial_mean[i] + z @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        costs, others = (np.array([total_cost(tasks, i, gain, x, length) for x in starts]) for gain in (K, other))
        mean = weights @ costs
        assert lqr.finite_horizon_cost(tasks, K, length)[i] == pytest.approx(mean, rel=1e-10)
        assert lqr.rollout_variance(tasks, K, length)[i] == pytest.approx(weights @ (costs - mean) ** 2, rel=1e-8)
        difference = costs - others
        spread = weights @ (difference - weights @ difference) ** 2
        assert lqr.rollout_difference_variance(tasks, K, other, length)[i] == pytest.approx(spread, rel=1e-8)
        slopes = np.array(
            [[central(partial(_cost_from, tasks, i, x, length), K, unit) for unit in units] for x in starts]
        )
        centred = slopes - weights @ slopes
        expected = np.einsum("n,na,nb->ab", weights, centred, centred)
        found = lqr.rollout_gradient_covariance(tasks, K, length)[i]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


def _along(gradient: Array, direction: Array) -> Array:
    return np.asarray(np.tensordot(gradient, direction, 2))


@pytest.mark.parametrize("dims", SIZES)
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int]) -> None:
    tasks, length = initial_state_tasks(5, 2, *dims), 7
    K = stable_gain(tasks, 5, per_task=True)
    pairs: list[tuple[Callable[[Array], Array], Array]] = [
        (partial(lqr.cost, tasks), lqr.gradient(tasks, K)),
        (lambda gain: lqr.finite_horizon_cost(tasks, gain, length), lqr.finite_horizon_gradient(tasks, K, length)),
        (lambda gain: lqr.rollout_variance(tasks, gain, length), lqr.rollout_variance_gradient(tasks, K, length)),
    ]
    for cost, gradient in pairs:
        check_derivative(cost, K, partial(_along, gradient), 1e-6)
    check_derivative(partial(lqr.gradient, tasks), K, partial(lqr.hessian_vector_product, tasks, K), 1e-6)
    check_derivative(
        lambda gain: lqr.finite_horizon_gradient(tasks, gain, length),
        K,
        lambda unit: lqr.finite_horizon_hessian_vector_product(tasks, K, unit, length),
        1e-6,
    )


def test_a_long_rollout_costs_what_the_infinite_horizon_costs() -> None:
    tasks = initial_state_tasks(5, 2, 3, 2)
    K = stable_gain(tasks, 5)
    np.testing.assert_allclose(lqr.finite_horizon_cost(tasks, K, 2000), lqr.cost(tasks, K), rtol=1e-9)
    optima = optimal.optimal_gains(tasks)
    np.testing.assert_allclose(optima.cost, lqr.cost(tasks, optima.K), rtol=1e-9)
    assert (lqr.cost(tasks, K) > optima.cost).all()


def arguments() -> dict[str, Any]:
    tasks = random_tasks(0, 2, 2, 1)
    return {name: getattr(tasks, name) for name in ("A", "B", "Q", "R", "Psi", "Sigma0")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": "state"}, "noise: 'state' is not process or initial_state"),
        (
            {"noise": "initial_state"},
            "task 0: Psi is not zero, but noise is initial_state; leave it out, or ",
        ),
        (
            {"noise": "initial_state", "Psi": None, "Sigma0": None},
            "Sigma0 is missing: with noise initial_state ",
        ),
        (
            {"initial_mean": [[0.0, 0.0], [0.0, 1.0]]},
            "task 1: initial_mean is not zero, but noise is process",
        ),
        (
            {"initial_mean": [0.0, 1.0]},
            "initial_mean has shape (2,), expected (2, 2) from the shapes of A and B: ",
        ),
        ({"Psi": None}, "Psi"),
    ],
)
def test_what_belongs_to_the_other_model_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TasksError, match=re.escape(message)):
        LQRTasks(**arguments() | changes)


def test_parts_and_copies_keep_the_model() -> None:
    tasks = initial_state_tasks(1, 3, 2, 1)
    for copy in (tasks.subset([2, 0]), lqr.tiled(tasks, 2), tasks.replace(A=2.0 * tasks.A)):
        assert copy.noise == "initial_state"
        assert len(copy.initial_mean) == copy.count
    with pytest.raises(TasksError, match="task 0: Psi is not zero"):
        tasks.replace(Psi=np.stack([np.eye(2)] * 3))

"""Riccati equations in awkward units, and at the edge of double precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import PUBLISHED, Array, random_tasks, scalar_tasks

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks

#: Published systems whose optimal gain is not zero, and random ones that are unstable without control.
SYSTEMS = [PUBLISHED[index].tasks() for index in (0, 1, 3)] + [
    random_tasks(seed, 1, state_dim, action_dim, radius=1.3)
    for seed, state_dim, action_dim in [(0, 1, 1), (1, 2, 1), (2, 3, 2), (3, 4, 2), (4, 5, 1), (5, 10, 4), (6, 20, 10)]
]


def in_units(tasks: LQRTasks, states: Array, inputs: Array, cost: float) -> LQRTasks:
    """The same tasks with x = states * x_new, u = inputs * u_new and the cost in another unit."""
    rows = states[:, np.newaxis]
    return LQRTasks(
        tasks.A * states / rows,
        tasks.B * inputs / rows,
        cost * tasks.Q * states * rows,
        cost * tasks.R * inputs * inputs[:, np.newaxis],
        tasks.Psi / states / rows,
    )


def check_units(tasks: LQRTasks, states: Array, inputs: Array, cost: float) -> None:
    """The optimum is the same one, to 1e-8."""
    expected = optimal.optimal_gains(tasks)
    found = optimal.optimal_gains(in_units(tasks, states, inputs, cost))
    gain = found.K * inputs[:, np.newaxis] / states
    assert np.linalg.norm(gain - expected.K) <= 1e-8 * np.linalg.norm(expected.K)
    np.testing.assert_allclose(found.cost, cost * expected.cost, rtol=1e-8)


@pytest.mark.parametrize("tasks", SYSTEMS, ids=lambda tasks: f"{tasks.state_dim}x{tasks.action_dim}")
@pytest.mark.parametrize("exponent", [-10, 10, *(pytest.param(each, marks=pytest.mark.slow) for each in (-3, 5))])
def test_each_unit_alone_changes_nothing(tasks: LQRTasks, exponent: int) -> None:
    size, unit = tasks.state_dim + tasks.action_dim, 10.0**exponent
    for changed in range(size + 1):
        units = np.where(np.arange(size + 1) == changed, unit, 1.0)
        check_units(tasks, units[: tasks.state_dim], units[tasks.state_dim : size], units[size])


@pytest.mark.slow
@given(st.sampled_from(SYSTEMS), st.integers(0, 2**32 - 1))
def test_all_units_together_change_nothing(tasks: LQRTasks, seed: int) -> None:
    def units(size: int) -> Array:
        return 10.0 ** rng.uniform(-10, 10, size)

    rng = np.random.default_rng(seed)
    check_units(tasks, units(tasks.state_dim), units(tasks.action_dim), units(1).item())


def one_task(A: list[list[float]], B: list[list[float]], Q: Array, R: Array) -> LQRTasks:
    return LQRTasks([A], [B], [Q], [R], [np.eye(len(A))])


def check_optimum(tasks: LQRTasks, gain_tolerance: float) -> None:
    """The equation holds relative to the terms that cancel, and the next iterate of P has the same gain."""
    optima = optimal.optimal_gains(tasks)
    A, B, Q, R, P, K = (array[0] for array in (tasks.A, tasks.B, tasks.Q, tasks.R, optima.P, optima.K))
    closed = A - B @ K
    assert np.abs(np.linalg.eigvals(closed)).max() < 1.0
    image = Q + K.T @ R @ K + closed.T @ P @ closed
    assert np.linalg.norm(image - P) < 1e-10 * np.linalg.norm(A, 2) ** 2 * np.linalg.norm(P)
    better = np.linalg.solve(R + B.T @ image @ B, B.T @ image @ A)
    assert np.linalg.norm(better - K) <= gain_tolerance * np.linalg.norm(K)


@pytest.mark.parametrize("tonnes", [1e-3, 1.0, 4e2, 4.2e2, 4.5e2, 1e4, 1e6])
def test_a_mass_on_rails_in_newtons_and_in_meganewtons(tonnes: float) -> None:
    mass = 1e3 * tonnes
    A = [[1.0, 1.0], [0.0, 1.0]]
    newtons = one_task(A, [[0.5 / mass], [1.0 / mass]], np.eye(2), np.eye(1))
    meganewtons = one_task(A, [[0.5e6 / mass], [1e6 / mass]], np.eye(2), 1e12 * np.eye(1))
    check_optimum(newtons, 1e-8)
    np.testing.assert_allclose(optimal.optimal_gains(newtons).cost, optimal.optimal_gains(meganewtons).cost, rtol=1e-9)


@pytest.mark.parametrize("size", [1e-4, 1e-7, 1e-10, 1e-13])
def test_a_weak_input_has_the_cheapest_stabilising_gain(size: float) -> None:
    """As B tends to zero, P tends to (λ² - 1) w w' / (w'B)², with w' the left eigenvector of the unstable mode."""
    tasks = one_task([[1.5, 1.0], [0.0, 0.5]], [[size], [size]], np.eye(2), np.eye(1))
    expected = (1.5**2 - 1.0) * np.ones((2, 2)) / (2.0 * size) ** 2
    np.testing.assert_allclose(optimal.optimal_gains(tasks).P[0], expected, rtol=100 * size**2 + 1e-12)


@pytest.mark.parametrize("spread", [1.0, 1e3, 1e9])
def test_inputs_of_very_different_weights(spread: float) -> None:
    R = np.diag([1.0 / spread, spread])
    check_optimum(one_task([[1.1, 0.1], [0.0, 0.9]], np.eye(2).tolist(), np.eye(2), R), 1e-8)


def far_outside(dims: tuple[int, int]) -> LQRTasks:
    """A state matrix with a spectral radius of 3 to 16."""
    rng = np.random.default_rng(0)
    A, B = rng.random((dims[0], dims[0])), rng.random(dims)
    eigenvalues = np.linalg.eigvals(A)
    A -= (eigenvalues.real[eigenvalues.imag == 0].max() - 0.5) * np.eye(dims[0])
    return one_task(A.tolist(), B.tolist(), np.eye(dims[0]), np.eye(dims[1]))


@pytest.mark.parametrize("dims", [(6, 2), (10, 3), (12, 5), (20, 10)])
def test_a_state_matrix_far_outside_the_unit_circle(dims: tuple[int, int]) -> None:
    """The gain is as uncertain as the condition of the equation makes it."""
    check_optimum(far_outside(dims), 1e-5)


@pytest.mark.parametrize("tasks", [scalar_tasks(1.5, 1e-100), scalar_tasks(1e150, 1.0), far_outside((30, 5))])
def test_what_doubles_cannot_solve_is_said_without_untrue_advice(tasks: LQRTasks) -> None:
    with pytest.raises(optimal.RiccatiError, match="task 0: its Riccati equation could not be solved") as failure:
        optimal.optimal_gains(tasks)
    assert "rescale" not in str(failure.value)
    assert all(method in str(failure.value) for method in ("Schur", "doubling"))


def test_a_definite_matrix_is_definite_in_all_units() -> None:
    correlated = np.array([[1.0, 0.999], [0.999, 1.0]])
    singular = np.array([[1.0, 1.0], [1.0, 1.0]])
    for exponent in range(-10, 11, 5):
        units = np.diag([1.0, 10.0**exponent])
        tasks = random_tasks(0, 1, 2, 2).replace(R=[units @ correlated @ units])
        assert lqr.is_stabilising(tasks, optimal.optimal_gains(tasks).K).all()
        with pytest.raises(lqr.TasksError, match="R is not positive definite"):
            tasks.replace(R=[units @ singular @ units])

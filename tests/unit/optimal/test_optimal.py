import re

import numpy as np
import pytest
from hypothesis import given
from systems import (
    PUBLISHED,
    PUBLISHED_SEMIDEFINITE,
    Array,
    PublishedSystem,
    opposed_tasks,
    random_tasks,
    scalar_tasks,
    stable_gain,
    tasks_and_gains,
    uncontrollable_tasks,
)

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.optimal import NoCommonStabilisingGainError, NotStabilisableError
from metalqr.optimal.stabilising import candidate_gains


def riccati_residual(tasks: LQRTasks, P: Array) -> Array:
    """Relative residual of the Riccati equation in its textbook form, per task."""
    A, B = tasks.A, tasks.B
    image = tasks.Q + A.mT @ P @ A - A.mT @ P @ B @ np.linalg.solve(tasks.R + B.mT @ P @ B, B.mT @ P @ A)
    return np.asarray(np.linalg.norm(image - P, axis=(1, 2)) / np.linalg.norm(P, axis=(1, 2)))


# --- every task's own optimum


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (4, 1), (20, 10)])
def test_riccati_residual_is_small_and_the_optimum_is_stationary(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(1, 5, *dims, radius=radius)
    optima = optimal.optimal_gains(tasks)
    assert (riccati_residual(tasks, optima.P) < 1e-10).all()
    assert lqr.is_stabilising(tasks, optima.K).all()
    np.testing.assert_allclose(optima.cost, lqr.cost(tasks, optima.K), rtol=1e-9)
    evaluation = lqr.evaluate(tasks, optima.K)
    scale = np.abs(evaluation.input_curvature @ optima.K @ evaluation.state_covariance).max()
    np.testing.assert_allclose(evaluation.gradient(), 0.0, atol=1e-9 * scale)


@pytest.mark.parametrize("system", [*PUBLISHED, *PUBLISHED_SEMIDEFINITE], ids=lambda system: system.source[-40:])
def test_published_solutions(system: PublishedSystem) -> None:
    """Values that others printed or derived; each one's source stands in ``systems.PUBLISHED``."""
    tasks = system.tasks()
    optima = optimal.optimal_gains(tasks)
    P = np.asarray(system.P)
    np.testing.assert_allclose(optima.P[0], P, system.relative, system.absolute or 1e-12 * np.abs(P).max())
    assert optima.cost[0] == pytest.approx(np.trace(P), rel=max(system.relative, 1e-4))
    if system.K is not None:
        np.testing.assert_allclose(optima.K[0], np.asarray(system.K), system.relative, system.absolute or 1e-12)
    if system.poles is not None:
        poles = np.sort(np.linalg.eigvals(lqr.closed_loop(tasks, optima.K)[0]).real)
        np.testing.assert_allclose(poles, np.sort(system.poles), atol=0.5e-4)


@pytest.mark.slow
@given(tasks_and_gains())
def test_no_gain_is_better_than_the_optimum(case: tuple[LQRTasks, Array]) -> None:
    tasks, K = case
    assert (lqr.cost(tasks, K) >= optimal.optimal_gains(tasks).cost * (1 - 1e-10)).all()


def test_a_task_that_no_input_can_stabilise_is_named() -> None:
    message = "task 1 cannot be stabilised by any gain: no input reaches its mode with eigenvalue 1.5"
    for function in (optimal.optimal_gains, optimal.stabilising_gain, optimal.shared_gain):
        with pytest.raises(NotStabilisableError, match=re.escape(message)):
            function(uncontrollable_tasks())
    with pytest.raises(NotStabilisableError, match="task 0 cannot be stabilised by any gain: B is 0 and A is 2"):
        optimal.stabilising_gain(scalar_tasks([2.0, 0.5], [0.0, 1.0]))


# --- the best single gain


def test_one_task_shares_its_own_optimum() -> None:
    tasks = random_tasks(2, 1, 4, 2, radius=1.5)
    shared, optima = optimal.shared_gain(tasks), optimal.optimal_gains(tasks)
    np.testing.assert_allclose(shared.K, optima.K[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(shared.cost, optima.cost, rtol=1e-12)


@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (5, 2), (20, 10)])
@pytest.mark.parametrize("radius", [0.8, 1.2])
def test_shared_gain_is_a_minimum_of_the_mean_cost(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(3, 5, *dims, radius=radius, spread=0.15)
    shared = optimal.shared_gain(tasks)
    assert shared.gradient_norm <= 1e-9
    gradients = lqr.gradient(tasks, shared.K)
    cancelling = tasks.p @ np.linalg.norm(gradients, axis=(1, 2))
    assert np.linalg.norm(np.tensordot(tasks.p, gradients, 1)) < 1e-7 * cancelling
    assert shared.objective == pytest.approx(tasks.p @ lqr.cost(tasks, shared.K), rel=1e-12)
    assert (shared.cost >= optimal.optimal_gains(tasks).cost * (1 - 1e-10)).all()
    for direction in np.random.default_rng(0).standard_normal((20, *shared.K.shape)):
        nearby = shared.K + 1e-3 * direction / np.linalg.norm(direction)
        assert tasks.p @ lqr.cost(tasks, nearby) > shared.objective


@pytest.mark.slow
def test_shared_gain_agrees_with_a_fine_grid_in_the_scalar_case() -> None:
    tasks = scalar_tasks([0.9, 1.3, -0.2], [0.5, 0.8, 0.4])
    low, high = optimal.scalar_intervals(tasks)[:, 0].max(), optimal.scalar_intervals(tasks)[:, 1].min()
    grid = np.linspace(low, high, 2001)[1:-1]
    values = [float(np.mean(lqr.cost(tasks, [[gain]]))) for gain in grid]
    shared = optimal.shared_gain(tasks)
    assert shared.objective <= min(values)
    assert abs(shared.K[0, 0] - grid[np.argmin(values)]) <= grid[1] - grid[0]


def test_every_scalar_cost_is_convex_so_that_the_best_single_gain_is_the_best() -> None:
    """The second derivative at gains up to the ends of the stabilising interval, for weights over decades."""
    rng = np.random.default_rng(0)
    tasks = scalar_tasks(
        rng.uniform(-2, 2, 30), 10 ** rng.uniform(-1, 1, 30), 10 ** rng.uniform(-3, 3, 30), 10 ** rng.uniform(-3, 3, 30)
    )
    for place in np.linspace(-0.999, 0.999, 41):
        gains = (tasks.A - place) / tasks.B
        assert (lqr.hessian_matrix(tasks, gains) > 0).all()


def test_shared_gain_reaches_the_same_minimum_from_elsewhere() -> None:
    tasks = random_tasks(4, 3, 4, 2, spread=0.2)
    reference = optimal.shared_gain(tasks)
    for seed in range(3):
        other = optimal.shared_gain(tasks, start=stable_gain(tasks, seed))
        assert other.objective == pytest.approx(reference.objective, rel=1e-10)
        np.testing.assert_allclose(other.K, reference.K, atol=1e-6 * np.abs(reference.K).max())


def test_shared_gain_refuses_an_unstable_start_and_a_wrong_shape() -> None:
    tasks = scalar_tasks([0.5, 1.5])
    with pytest.raises(UnstablePolicyError, match=re.escape("start does not stabilise task 1 (spectral radius 1.5)")):
        optimal.shared_gain(tasks, start=[[0.0]])
    with pytest.raises(ValueError, match=re.escape("start has shape (2,), expected (1, 1)")):
        optimal.shared_gain(tasks, start=[0.0, 1.0])
    with pytest.raises(ValueError, match="start holds a value that is not finite"):
        optimal.shared_gain(tasks, start=[[np.inf]])


# --- a common stabilising gain


def test_a_stabilising_start_is_kept_and_zero_comes_next() -> None:
    tasks = scalar_tasks([0.5, 0.9])
    np.testing.assert_array_equal(optimal.stabilising_gain(tasks, start=[[0.25]]), [[0.25]])
    np.testing.assert_array_equal(optimal.stabilising_gain(tasks, start=[[9.0]]), [[0.0]])


@pytest.mark.parametrize("radius", [1.1, 2.0])
@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (6, 3)])
def test_an_unstable_family_gets_a_common_gain(dims: tuple[int, int], radius: float) -> None:
    tasks = random_tasks(6, 4, *dims, radius=radius, spread=0.1)
    assert not lqr.is_stabilising(tasks, np.zeros(dims[::-1])).all()
    assert lqr.is_stabilising(tasks, optimal.stabilising_gain(tasks)).all()


def test_annealing_finds_a_gain_where_every_candidate_fails() -> None:
    tasks = random_tasks(0, 3, 2, 2, radius=1.6, spread=0.55)
    assert not any(lqr.is_stabilising(tasks, gain).all() for gain in candidate_gains(tasks).values())
    assert lqr.is_stabilising(tasks, optimal.stabilising_gain(tasks)).all()


def test_scalar_intervals_decide_exactly() -> None:
    found = optimal.scalar_intervals(scalar_tasks([3.0, 1.0, 0.5], [4.0, -1.0, 0.0]))
    np.testing.assert_allclose(found, [[0.5, 1.0], [-2.0, 0.0], [-np.inf, np.inf]])
    # (1/2, 1) and (0.99, 4.99): the common part is short, and every candidate but the middle misses it.
    narrow = scalar_tasks([3.0, 1.495], [4.0, 0.5])
    assert lqr.is_stabilising(narrow, optimal.stabilising_gain(narrow)).all()
    with pytest.raises(ValueError, match="the tasks have d = 3, k = 2; intervals need d = k = 1"):
        optimal.scalar_intervals(random_tasks(0))


def test_a_hopeless_family_says_what_was_tried() -> None:
    parts = r"all 2 tasks.*zero: largest spectral radius 1\.5.*the optimum of task 1.*discount annealing: stopped"
    with pytest.raises(NoCommonStabilisingGainError, match=f"(?s){parts}"):
        optimal.stabilising_gain(opposed_tasks())

"""Certainty equivalence against the asymptotic theory of least squares, at fixed seeds."""

import re

import numpy as np
import pytest
from chance import require_standard
from systems import Array, initial_state_tasks, random_tasks, scalar_tasks

from metalqr import lqr, optimal
from metalqr.evaluation.certainty_equivalence import CertaintyEquivalence, certainty_equivalence
from metalqr.lqr import LQRTasks
from metalqr.simulation.streams import Stream

EXPLORATION, LENGTH = 0.7, 50


def estimated(tasks: LQRTasks, steps: list[int], repetitions: int, seed: int = 0) -> CertaintyEquivalence:
    gain = np.zeros((tasks.action_dim, tasks.state_dim))
    return certainty_equivalence(
        tasks, gain, steps, EXPLORATION, Stream(seed), rollout_length=LENGTH, repetitions=repetitions
    )


def squared_errors(tasks: LQRTasks, found: CertaintyEquivalence) -> Array:
    """Of each task, repetition and budget."""
    error_A, error_B = found.A - tasks.A[:, None, None], found.B - tasks.B[:, None, None]
    return np.asarray((error_A**2).sum(axis=(-2, -1)) + (error_B**2).sum(axis=(-2, -1)))


def mean_moments(tasks: LQRTasks) -> Array:
    """Second moments of states and inputs, in the mean over the steps of a rollout of the gain zero."""
    d, k = tasks.state_dim, tasks.action_dim
    covariance, total = tasks.Sigma0, np.zeros_like(tasks.A)
    for _ in range(LENGTH):
        total = total + covariance / LENGTH
        covariance = tasks.A @ covariance @ tasks.A.mT + tasks.Psi + EXPLORATION**2 * tasks.B @ tasks.B.mT
    moments = np.zeros((tasks.count, d + k, d + k))
    moments[:, :d, :d], moments[:, d:, d:] = total, EXPLORATION**2 * np.eye(k)
    return moments


@pytest.mark.slow
def test_errors_fall_with_the_square_root_of_the_steps_as_least_squares_predicts() -> None:
    """T times the mean squared error tends to Tr(Psi) Tr(M^-1); 200 repetitions, 4.5 standard errors."""
    tasks, steps = random_tasks(1, 2, 2, 1, radius=0.7), [2_000, 32_000]
    errors = squared_errors(tasks, estimated(tasks, steps, 200))
    expected = np.trace(tasks.Psi, axis1=1, axis2=2) * np.trace(np.linalg.inv(mean_moments(tasks)), axis1=1, axis2=2)
    for place, count in enumerate(steps):
        scaled = count * errors[:, :, place]
        require_standard((scaled.mean(axis=1) - expected) / (scaled.std(axis=1, ddof=1) / np.sqrt(200)))
    # The root of their ratio is 4, the root of 16, within some percent.
    np.testing.assert_allclose(np.sqrt(errors[:, :, 0].mean(axis=1) / errors[:, :, 1].mean(axis=1)), 4.0, rtol=0.2)


@pytest.mark.slow
def test_the_cost_tends_to_the_optimum_with_the_number_of_steps() -> None:
    tasks, steps = random_tasks(2, 2, 2, 1, radius=0.7), [2_000, 32_000]
    found, optima = estimated(tasks, steps, 100), optimal.optimal_gains(tasks)
    excess = found.cost / optima.cost[:, None, None] - 1.0
    assert (excess >= -1e-12).all()
    assert excess[:, :, 1].mean() < 1e-3
    # Means of quadratic forms of normals; each has a relative standard error of about 10 %.
    np.testing.assert_allclose(excess[:, :, 0].mean(axis=1) / excess[:, :, 1].mean(axis=1), 16.0, rtol=0.6)
    for task in range(2):
        np.testing.assert_allclose(found.K[task, :, 1].mean(axis=0), optima.K[task], atol=0.01)


def test_without_process_noise_the_dynamics_are_exact() -> None:
    tasks = initial_state_tasks(3, 2, 3, 2)
    found = certainty_equivalence(tasks, np.zeros((2, 3)), [40], 1.0, Stream(0), rollout_length=10, repetitions=3)
    assert squared_errors(tasks, found).max() < 1e-16
    optima = optimal.optimal_gains(tasks).cost
    np.testing.assert_allclose(found.cost[..., 0], np.repeat(optima[:, None], 3, axis=1), rtol=1e-9)


def test_estimates_of_fewer_steps_and_repetitions_are_those_of_more() -> None:
    tasks = random_tasks(4, 3, 2, 2, radius=0.7)
    many, few = estimated(tasks, [300, 100], 4), estimated(tasks.subset([0, 1]), [100], 2)
    np.testing.assert_allclose(few.A[..., 0, :, :], many.A[:2, :2, 1], rtol=1e-12)
    np.testing.assert_allclose(few.cost[..., 0], many.cost[:2, :2, 1], rtol=1e-12)
    assert not np.allclose(many.A[0, 0, 0], many.A[0, 1, 0])
    assert not np.allclose(estimated(tasks, [100], 1, seed=1).A[0, 0, 0], many.A[0, 0, 1])


def test_a_twin_of_ten_lines_has_the_same_estimate() -> None:
    tasks = random_tasks(5, 1, 2, 1, radius=0.7)
    K = np.array([[0.1, -0.2]])
    found = certainty_equivalence(tasks, K, [30], 0.5, Stream(7, 3), rollout_length=15)
    rng = np.random.default_rng(np.array([7, 0, 3, 0, 0, 0, 0, 0xCE], dtype=np.uint32))
    roots = []
    for covariance in (tasks.Sigma0[0], tasks.Psi[0]):
        eigenvalues, basis = np.linalg.eigh(covariance)
        roots.append(basis * np.sqrt(eigenvalues))
    regressors, after = [], []
    for _ in range(2):
        x = roots[0] @ rng.standard_normal(2)
        for normals in rng.standard_normal((15, 3)):
            u = 0.5 * normals[2:] - K @ x
            regressors.append(np.concatenate([x, u]))
            x = tasks.A[0] @ x + tasks.B[0] @ u + roots[1] @ normals[:2]
            after.append(x)
    estimate = np.linalg.lstsq(np.array(regressors), np.array(after), rcond=None)[0].T
    np.testing.assert_allclose(np.concatenate([found.A[0, 0, 0], found.B[0, 0, 0]], axis=1), estimate, rtol=1e-9)
    expected = optimal.optimal_gains(tasks.replace(A=estimate[None, :, :2], B=estimate[None, :, 2:])).K[0]
    np.testing.assert_allclose(found.K[0, 0, 0], expected, rtol=1e-9)
    assert found.cost[0, 0, 0] == pytest.approx(lqr.cost(tasks, expected)[0], rel=1e-9)


def test_gains_that_do_not_stabilise_the_task_count_as_infinite() -> None:
    """Three steps with little exploration leave an error of the size of the dynamics."""
    tasks = scalar_tasks(1.5, r=1e-3, psi=4.0)
    found = certainty_equivalence(tasks, [[1.0]], [3], 0.1, Stream(0), rollout_length=3, repetitions=200)
    radii = np.abs(1.5 - found.K[0, :, 0, 0, 0])
    np.testing.assert_array_equal(np.isinf(found.cost[0, :, 0]), ~(radii < 1.0))
    assert 0 < np.isinf(found.cost).sum() < 200


def test_rollouts_that_overflow_leave_nothing_determined() -> None:
    tasks = scalar_tasks(1e200)
    found = certainty_equivalence(tasks, [[0.0]], [10], 1.0, Stream(0), rollout_length=10)
    assert np.isnan(found.A).all()
    assert np.isinf(found.cost).all()


@pytest.mark.parametrize(
    ("steps", "exploration", "message"),
    [
        ([10], 0.0, "exploration: 0 leaves B undetermined, because the inputs are then a function of the states alone"),
        ([10], -1.0, "exploration: -1.0 is not a finite number > 0"),
        ([7], 1.0, "steps: 7 are no whole rollouts of 5 steps; give a multiple"),
        ([5, 10], 1.0, "steps: 5 cannot determine d + k = 6 unknowns of each state; give more"),
    ],
)
def test_data_that_cannot_determine_the_dynamics_are_refused(
    steps: list[int], exploration: float, message: str
) -> None:
    tasks = random_tasks(6, 1, 4, 2)
    with pytest.raises(ValueError, match=re.escape(message)):
        certainty_equivalence(tasks, np.zeros((2, 4)), steps, exploration, Stream(0), rollout_length=5)

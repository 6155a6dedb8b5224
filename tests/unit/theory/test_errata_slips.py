"""Entries 27 to 37 of docs/errata.md: slips of the paper outside its formulas, each by one example."""

import math

import numpy as np
import pytest
from scipy import integrate
from systems import scalar_tasks, similar_tasks

from metalqr import MetaSettings, Stream, estimators, lqr, theory
from metalqr.objectives.meta import adapted_gains
from metalqr.optimal import optimal_gains, shared_gain
from metalqr.theory import Form

ZERO = np.zeros((1, 1))


def test_adaptation_to_one_task_raises_the_cost_of_another() -> None:
    tasks, K0 = scalar_tasks([0.9, 0.1], r=[0.1, 1.0]), np.array([[0.4]])
    gradients = lqr.gradient(tasks, K0)
    np.testing.assert_allclose(gradients.ravel(), [-1.70, 1.72], atol=5e-3)
    for rate in np.geomspace(1e-6, 1e-2, 9):
        adapted = K0 - rate * gradients[0]
        change = lqr.cost(tasks, adapted) - lqr.cost(tasks, K0)
        assert change[0] < 0 < change[1]
        assert not theory.SublevelSet.around(tasks, K0).contains(adapted[np.newaxis])[0]


def test_printed_learning_rate_is_too_large_for_the_proof_of_theorem_2() -> None:
    for tasks, K0 in ((scalar_tasks(0.5), ZERO), (similar_tasks(3), np.zeros((2, 3)))):
        printed, corrected = (theory.largest_step_sizes(tasks, K0, form) for form in Form)
        assert printed.learning_rate > 10 / (4 * printed.h_meta_grad)
        assert corrected.learning_rate <= (1 + 1e-12) / corrected.smoothness
        assert corrected.adaptation_rate <= 1 / corrected.h_H


def test_sub_level_sets_know_no_adaptation_rate() -> None:
    tasks = scalar_tasks(0.9)
    assert theory.SublevelSet.around(tasks, ZERO).contains(ZERO[np.newaxis])[0]
    assert lqr.closed_loop(tasks, adapted_gains(tasks, ZERO, 0.5)).item() == pytest.approx(-24, abs=0.5)


def test_error_of_the_covariance_is_divided_by_the_radius() -> None:
    """One perturbation, d = k = 1, R = 0: the estimate moves by (1/r²) Q r times the error of the covariance."""
    radius, error, weight = 0.05, 0.3, 2.0
    covariance_error = error / (4 * weight)
    moved = 1 / radius**2 * (weight * covariance_error) * radius
    assert moved == pytest.approx(20 * error / 4)
    tasks = scalar_tasks(0.5, q=weight)
    constants = theory.sublevel_constants(theory.SublevelSet.around(tasks, [[0.1]]), "corrected")
    found = theory.gradient_estimation(constants, error, 0.1)
    assert float(found.epsilon_cost) / float(found.h_r_1) <= error / 4 * (1 + 1e-12)


def test_probabilities_of_lemma_7_add_up_to_more_than_allowed() -> None:
    failure = 0.1
    sublevel = theory.SublevelSet.around(scalar_tasks(0.5), [[0.1]])
    printed, corrected = (
        theory.meta_gradient_estimation(theory.sublevel_constants(sublevel, form), 4.0, failure) for form in Form
    )
    batch = math.ceil(float(printed.task_batch))
    assert failure / 2 + batch * failure / float(printed.task_batch) >= 1.5 * failure
    assert failure / 2 + float(corrected.task_batch * corrected.delta_task) <= failure * (1 + 1e-12)


def test_estimates_at_one_gain_differ() -> None:
    tasks = scalar_tasks(0.5)
    how = MetaSettings(learning_rate=1e-3, adaptation_rate=1e-5, inner_perturbations=4, rollout_length=5)
    first, second = (estimators.estimate_gradient(tasks, ZERO, how, Stream(seed)).item() for seed in (0, 1))
    assert abs(first - second) > 0.1 * abs(first)


def test_powers_of_a_stable_matrix_are_not_bounded_by_those_of_its_norm() -> None:
    A = np.array([[0.5, 10.0], [0.0, 0.5]])
    traces = [np.trace(np.linalg.matrix_power(A, t).T @ np.linalg.matrix_power(A, t)) for t in (0, 60)]
    assert traces[0] == 2 * np.linalg.norm(np.eye(2), 2), "the bound at t = 0 is the norm of I, without d"
    assert traces[1] < 1e-10
    assert np.linalg.norm(A, 2) ** (2 * 60) > 1e100


def test_smoothed_gradient_is_a_mean_over_the_ball_not_the_sphere() -> None:
    """d = k = 1: the sphere is ±r, the ball the interval between."""
    tasks, r = scalar_tasks(0.5), 0.4

    def slope(K: float) -> float:
        return lqr.gradient(tasks, [[K]]).item()

    high, low = (lqr.cost(tasks, [[K]]).item() for K in (r, -r))
    smoothed = (high * r - low * r) / (2 * r**2)
    ball = integrate.quad(slope, -r, r)[0] / (2 * r)
    sphere = (slope(r) + slope(-r)) / 2
    assert smoothed == pytest.approx(ball, rel=1e-9)
    assert abs(smoothed - sphere) > 0.5 * abs(smoothed)


@pytest.mark.parametrize("name", ["Q", "Psi", "Sigma0"])
def test_constants_need_definite_weights(name: str) -> None:
    """The cost exists for a singular matrix; the constants divide by its least eigenvalue."""
    tasks = similar_tasks(3)
    singular = tasks.replace(**{name: np.stack([np.diag([1.0, 1.0, 0.0])] * tasks.count)})
    assert np.isfinite(lqr.cost(singular, np.zeros((2, 3)))).all()
    assert theory.unmet(tasks, "printed") == ""
    with pytest.raises(ValueError, match=rf"{name} of task 0 is singular"):
        theory.constants(singular, np.zeros((2, 3)), "printed")


def test_chance_of_a_failure_grows_with_the_iterations() -> None:
    """Independent failures: between δ and Nδ, far above δ/N; each corrected iteration gets δ/N of the whole."""
    chance, N = 0.01, 20
    whole = 1 - (1 - chance) ** N
    assert 10 * chance < whole <= N * chance
    found = theory.requirements(scalar_tasks([0.5, 0.9]), [[0.2]], "corrected", failure_probability=0.1)
    assert 1 - (1 - float(found.delta_meta)) ** float(found.iterations) <= 0.1


def test_no_gain_is_close_to_every_optimum_of_unequal_tasks() -> None:
    tasks = scalar_tasks([0.5, 0.9], r=[10.0, 0.1])
    best = optimal_gains(tasks).cost
    worst = [((lqr.cost(tasks, [[K]]) - best) / best).max() for K in np.linspace(-0.09, 1.49, 500)]
    assert min(worst) > 0.2
    shared = shared_gain(tasks)
    assert ((shared.cost - best) / best).max() > 0.2

"""Mean and covariance after infinitely many iterations, against the equations that they solve."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from predicted import problem
from scipy.linalg import solve_discrete_lyapunov

from metalqr import optimal
from metalqr.prediction.mean_path import Stage
from metalqr.prediction.noise import DirectionNoise
from metalqr.prediction.objective import Objective
from metalqr.prediction.recursion import Recursion
from metalqr.prediction.stationary import stationary


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_both_equations_are_solved(rate: float) -> None:
    """At the larger rate, where Newton steps with the Hessian alone do not arrive.

    The covariance is that of a discrete Lyapunov equation, and the third derivative is a difference of Hessians.
    """
    tasks, K0, settings = problem("d2k2")
    settings = settings.replace(method="mean_cost", learning_rate=rate)
    objective = Objective(tasks, settings, 0.0, K0)
    stage = Stage(0, 1, objective, DirectionNoise(objective, settings, None, 0), None)
    found = stationary(stage, Recursion(), rate, np.array([[0.19, 0.12], [0.18, 0.18]]), True)
    assert found is not None
    assert found.is_corrected
    here = stage.at(found.K, found.K, rate)
    step = np.eye(4) - rate * here.curvature
    assert_allclose(found.covariance, solve_discrete_lyapunov(step, rate**2 * here.noise.covariance), rtol=1e-6)
    pull, width = np.zeros(4), 1e-3
    for place, unit in enumerate(width * np.eye(4).reshape(-1, 2, 2)):
        slope = (objective.hessian(found.K + unit) - objective.hessian(found.K - unit)) / (2 * width)
        pull[place] = 0.5 * np.vdot(slope, found.covariance)
    gradient = objective.gradient(found.K).ravel()
    assert np.linalg.norm(gradient + pull) < 0.02 * np.linalg.norm(pull)
    # Without the pull the mean is elsewhere.
    assert np.linalg.norm(gradient) > 0.9 * np.linalg.norm(pull)


@pytest.mark.slow
def test_many_flat_directions() -> None:
    """With 200 entries, whose curvatures differ by four orders of magnitude, the mean still has no drift."""
    tasks, K0, settings = problem("d20k10")
    settings = settings.replace(method="mean_cost", estimator="one_point_baseline", rollout_length=10, perturbations=50)
    rate = 3e-5
    objective = Objective(tasks, settings, 0.0, K0)
    stage = Stage(0, 1, objective, DirectionNoise(objective, settings, None, 0), None)
    found = stationary(stage, Recursion(), rate, optimal.shared_gain(tasks).K, True)
    assert found is not None
    assert found.is_corrected
    pull = objective.correction(found.K, found.covariance)
    assert np.linalg.norm(objective.gradient(found.K) + pull) < 0.02 * np.linalg.norm(pull)
    here = stage.at(found.K, found.K, rate)
    step = np.eye(200) - rate * here.curvature
    entered = rate**2 * here.noise.covariance
    assert_allclose(step @ found.covariance @ step + entered, found.covariance, atol=1e-6 * found.covariance.max())

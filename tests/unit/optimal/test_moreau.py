"""The Moreau envelope of the tasks' costs: stationarity, its gradient by differences, and both of its limits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from systems import check_derivative, random_tasks, scalar_tasks, similar_tasks

from metalqr import MetaSettings, lqr, optimal, training
from metalqr.lqr import UnstablePolicyError
from metalqr.objectives import adaptation
from metalqr.optimal.moreau import envelope, envelope_gradient, proximal_gains

TASKS, K = random_tasks(seed=3, count=3, state_dim=3, action_dim=2), np.full((2, 3), 0.02)
#: One state and three actions.
TALL = random_tasks(seed=4, count=2, state_dim=1, action_dim=3)


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_proximal_gains_are_stationary(weight: float) -> None:
    found = proximal_gains(TASKS, K, weight)
    gradient, pull = lqr.gradient(TASKS, found), weight * (found - K)
    assert_allclose(gradient, -pull, atol=1e-8 * float(np.abs(lqr.gradient(TASKS, K)).max()))
    assert np.all(lqr.cost(TASKS, found) < lqr.cost(TASKS, K))


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "weight"), [(TASKS, 30.0), (TALL, 0.3)], ids=["wide", "tall"])
def test_the_gradient_of_the_envelope(tasks: lqr.LQRTasks, weight: float) -> None:
    gain = np.full((tasks.action_dim, tasks.state_dim), 0.02)
    exact = envelope_gradient(tasks, gain, weight)
    check_derivative(
        lambda at: np.array([envelope(tasks, at, weight)]),
        gain,
        lambda X: np.array([np.vdot(exact, X)]),
        tolerance=1e-6,
        step=1e-3,
    )
    displacement = weight * np.einsum("i,ikd->kd", tasks.p, gain - proximal_gains(tasks, gain, weight))
    assert_allclose(exact, displacement, rtol=1e-5, atol=1e-7)


def test_a_light_price_gives_every_task_its_optimum() -> None:
    assert_allclose(proximal_gains(TASKS, K, 1e-9), optimal.optimal_gains(TASKS).K, atol=1e-6)


@pytest.mark.slow
def test_a_heavy_price_gives_the_best_single_gain() -> None:
    """The gradient of the envelope tends to that of the mean cost, and vanishes where that does."""
    mean = np.einsum("i,ikd->kd", TASKS.p, lqr.gradient(TASKS, K))
    assert_allclose(envelope_gradient(TASKS, K, 1e12), mean, rtol=1e-5, atol=1e-6 * np.abs(mean).max())
    shared = optimal.shared_gain(TASKS).K
    assert np.linalg.norm(envelope_gradient(TASKS, shared, 1e10)) < 1e-4 * np.linalg.norm(mean)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.05, 1e4])
def test_exact_moreau_ends_at_either_limit(weight: float) -> None:
    """Steps of 1 / (lambda + h) to the mean of the tasks' optima, or to the best single gain."""
    tasks = similar_tasks(seed=8, count=2, state_dim=1, action_dim=1)
    settings = MetaSettings(learning_rate=1.0 / weight + 0.2, adaptation_rate=0.0, iterations=50)
    settings = settings.replace(method="exact_moreau", proximal_weight=weight)
    end = training.train(tasks, np.zeros((1, 1)), settings, 0).K[-1]
    optima = optimal.optimal_gains(tasks).K
    shared, mean = optimal.shared_gain(tasks).K, np.einsum("i,ikd->kd", tasks.p, optima)
    assert np.abs(shared - mean).item() > 1e-4
    nearest = mean if weight < 1 else shared
    assert np.abs(end - nearest).item() < 0.1 * np.abs(shared - mean).item()


def test_many_inner_steps_follow_the_envelope() -> None:
    tasks, rate, weight = scalar_tasks([0.5, 0.7], p=[0.3, 0.7]), 0.02, 2.0
    exact = envelope_gradient(tasks, [[0.1]], weight)
    found = [adaptation.moreau(tasks, [[0.1]], rate, steps, weight) for steps in (5, 20, 200)]
    errors = [np.linalg.norm(each - exact) / np.linalg.norm(exact) for each in found]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_a_gain_that_does_not_stabilise_a_task_is_refused() -> None:
    with pytest.raises(UnstablePolicyError, match="the gain"):
        proximal_gains(scalar_tasks([0.5, 1.5]), [[0.0]], 1.0)

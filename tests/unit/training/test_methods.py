"""Training methods: their directions against exact expectations, step by step, and what they say of their work."""

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import ArrayLike
from systems import random_tasks, similar_tasks

from metalqr import MetaSettings, Stream, meta, optimal, training
from metalqr.config.problems import SettingsError
from metalqr.config.registries import methods
from metalqr.evaluation import guarantees
from metalqr.lqr import LQRTasks
from metalqr.training import Direction, Problem, State

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.02,
    perturbations=6,
    inner_perturbations=5,
    smoothing_radius=0.1,
    rollout_length=7,
    iterations=4,
)


def direction(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> Direction:
    method = methods.get(settings.method)(Problem(tasks, np.asarray(K), settings))
    return method.direction(State(np.asarray(K)), stream)


# --- mean_cost -------------------------------------------------------------------------------------------------------


def test_mean_cost_step_by_step() -> None:
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(method="mean_cost")
    estimates = [twins.outer_estimate(tasks, i, gain, settings, stream) for i in range(2)]
    expected = np.einsum("i,ikd->kd", tasks.p, estimates)
    found = direction(tasks, gain, settings, stream)
    assert_allclose(found.gradient, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    assert found.rollout_steps == 2 * 6 * 7


# --- reptile ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reptile_of_one_step_is_mean_cost() -> None:
    tasks, gain = similar_tasks(seed=4, count=3, state_dim=2, action_dim=2), np.full((2, 2), 0.01)
    single = direction(tasks, gain, SETTINGS.replace(method="reptile", inner_steps=1), Stream(3, 7))
    mean = direction(tasks, gain, SETTINGS.replace(method="mean_cost"), Stream(3, 7))
    assert_allclose(single.gradient, mean.gradient, rtol=1e-12, atol=1e-12 * np.abs(mean.gradient).max())
    assert single[2:] == mean[2:]


def test_reptile_step_by_step() -> None:
    """Three inner steps: each task goes its own way, with random numbers of its own at every step."""
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(method="reptile", inner_steps=3)
    ends = np.array([gain, gain])
    for step in range(3):
        address = stream.at(2 * 3 + step)
        found = [twins.outer_estimate(tasks, i, ends[i], settings, address) for i in range(2)]
        ends = ends - settings.adaptation_rate * np.array(found)
    expected = np.einsum("i,ikd->kd", tasks.p, gain - ends) / settings.adaptation_rate
    result = direction(tasks, gain, settings, stream)
    assert_allclose(result.gradient, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    assert result.rollout_steps == 3 * 2 * 6 * 7


def test_reptile_without_an_adaptation_rate_is_refused() -> None:
    with pytest.raises(SettingsError, match="adaptation_rate: 0 is not > 0, as reptile needs it; give one, or method"):
        SETTINGS.replace(method="reptile", adaptation_rate=0.0)


# --- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("estimator", ["one_point", "two_point"])
@pytest.mark.parametrize("batch", ["all", 2])
def test_work_is_what_an_iteration_takes(name: str, estimator: str, batch: str | int) -> None:
    tasks = similar_tasks(seed=6, count=3, state_dim=2, action_dim=1)
    settings = SETTINGS.replace(method=name, estimator=estimator, task_batch=batch)
    settings = settings.replace(learning_rate=1.0e-6, adaptation_rate=1.0e-6)
    history = training.train(tasks, np.zeros((1, 2)), settings, 0)
    work = methods.get(name).work(3, settings)
    assert_array_equal(history.rollout_steps, np.arange(5) * work.rollouts * settings.rollout_length)
    assert (work.policies == 0) == methods.get(name).is_exact


@pytest.mark.parametrize("name", [name for name in methods.names() if not methods.get(name).is_exact])
def test_no_more_perturbed_policies_are_unstable_than_are_tried(name: str) -> None:
    """With so large a radius all of them are."""
    tasks = similar_tasks(seed=6, count=2, state_dim=1, action_dim=1)
    settings = SETTINGS.replace(method=name, smoothing_radius=100.0, adaptation_rate=1e-50, learning_rate=1e-50)
    history = training.train(tasks, np.zeros((1, 1)), settings, 0)
    tried = methods.get(name).work(2, settings).tried
    assert_array_equal(history.unstable_perturbations, [tried] * 4 + [0])
    guarantees.check(
        tasks, np.zeros((1, 1)), history.K, history.unstable_perturbations, history.gradient_norm, settings, 0
    )


@pytest.mark.parametrize("name", [name for name in methods.names() if methods.get(name).is_exact])
def test_exact_methods_lower_their_objective(name: str) -> None:
    tasks = similar_tasks(seed=8, count=2, state_dim=2, action_dim=1)
    rate = {"gauss_newton": 0.5, "natural_gradient": 0.1}.get(name, 0.02)
    settings = SETTINGS.replace(method=name, learning_rate=rate, adaptation_rate=1e-3, iterations=30)
    history = training.train(tasks, np.zeros((1, 2)), settings, 0)
    assert history.status is training.Status.COMPLETED
    if methods.get(name).gain_per_task:
        assert history.K.shape == (31, 2, 1, 2)
        assert np.all(np.diff(history.cost, axis=0) <= 1e-12 * history.cost[:-1])
    else:
        objective = [meta.objective(tasks, K, 1e-3) for K in history.K]
        assert np.all(np.diff(objective) <= 1e-12 * objective[0])
    if name == "gauss_newton":
        assert_allclose(history.K[-1], optimal.optimal_gains(tasks).K, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "dim", "rate"), [("reptile", 1, 1e5), ("reptile", 2, 1e5), ("reptile", 3, 1e5), ("exact_maml", 2, 10.0)]
)
def test_a_method_whose_adapted_gains_are_unstable_diverges(method: str, dim: int, rate: float) -> None:
    """Above d = 2 unstable policies are told by eigenvalues, which a gain that is not finite has not."""
    tasks = similar_tasks(seed=6, count=2, state_dim=dim, action_dim=1)
    settings = SETTINGS.replace(method=method, adaptation_rate=rate)
    history = training.train(tasks, np.zeros((1, dim)), settings, 0)
    assert (history.status, history.status_iteration) == (training.Status.DIVERGED, 0)
    assert history.gradient_norm[0] == np.inf

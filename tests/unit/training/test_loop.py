"""Algorithm 3: its steps, its history and its three endings."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import similar_tasks

from metalqr import estimators, lqr, meta, optimal
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import UnstablePolicyError
from metalqr.simulation.simulator import Array
from metalqr.simulation.streams import Stream
from metalqr.training import History, Method, Observer, Problem, State
from metalqr.training.loop import run

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=1.0e-4,
    perturbations=20,
    inner_perturbations=10,
    rollout_length=20,
    iterations=6,
)


def test_every_iteration_is_one_step_along_the_estimate() -> None:
    tasks, K0 = similar_tasks(seed=1, count=3, state_dim=2, action_dim=1), np.full((1, 2), 0.01)
    history = meta.train(tasks, K0, SETTINGS, seed=4)
    assert history.status is meta.Status.COMPLETED
    assert history.status_iteration == 6
    assert history.K.shape == (7, 1, 2)
    assert_array_equal(history.K[0], K0)
    for n in range(6):
        estimate = estimators.estimate_meta_gradient(tasks, history.K[n], SETTINGS, Stream(4, n))
        assert_array_equal(history.K[n + 1], history.K[n] - 1.0e-3 * estimate)
        assert history.gradient_norm[n] == np.linalg.norm(estimate)
    assert np.isnan(history.gradient_norm[6])


@pytest.mark.slow
def test_the_history_holds_exact_costs_and_the_work_done() -> None:
    tasks = similar_tasks(seed=2, count=3, state_dim=2, action_dim=2)
    history = meta.train(tasks, np.zeros((2, 2)), SETTINGS, seed=0)
    best = optimal.optimal_gains(tasks).cost
    for n in range(7):
        assert_allclose(history.cost[n], lqr.cost(tasks, history.K[n]), rtol=1e-14)
        assert_allclose(history.ratio[n], (history.cost[n] - best).sum() / best.sum(), rtol=0, atol=1e-12)
    assert_array_equal(history.rollout_steps, np.arange(7) * 3 * 20 * 11 * 20)
    assert np.all(history.unstable_perturbations == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "share"),
    [({"perturbations": 100}, 0.25), ({"method": "mean_cost", "perturbations": 2000, "smoothing_radius": 0.1}, 0.05)],
)
def test_training_comes_near_the_best_single_gain_and_never_below_it(changes: dict[str, Any], share: float) -> None:
    # A uniform p: the ratio counts every task alike, so only then does the best single gain minimise it.
    tasks = similar_tasks(seed=3, count=3, state_dim=1, action_dim=1).replace(p=None)
    settings = SETTINGS.replace(iterations=300, learning_rate=5.0e-3, rollout_length=50, **changes)
    history = meta.train(tasks, np.zeros((1, 1)), settings, seed=0)
    floor = optimal.shared_gain(tasks).cost.sum() / history.optimal_cost.sum() - 1
    assert np.all(history.ratio >= floor - 1e-12)
    assert np.median(history.ratio[-50:]) - floor < share * (history.ratio[0] - floor)


def test_a_run_is_a_function_of_its_arguments_alone() -> None:
    tasks = similar_tasks(seed=5, count=2, state_dim=3, action_dim=2)
    runs = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        runs.append(meta.train(tasks, np.zeros((2, 3)), SETTINGS, seed=1))
    for field in dataclasses.fields(meta.History):
        assert_array_equal(getattr(runs[0], field.name), getattr(runs[1], field.name))
    other = meta.train(tasks, np.zeros((2, 3)), SETTINGS, seed=2)
    assert not np.any(other.K[1] == runs[0].K[1])


@pytest.mark.slow
def test_it_stops_at_the_tolerance() -> None:
    """The paper prints the loop's condition the wrong way round: with a huge tolerance nothing is updated."""
    tasks = similar_tasks(seed=7, count=2, state_dim=2, action_dim=2)
    history = meta.train(tasks, np.zeros((2, 2)), SETTINGS.replace(tolerance=1.0e9), seed=1)
    assert history.status is meta.Status.TOLERANCE
    assert history.status_iteration == 0
    assert len(history.K) == 1
    assert 0 < history.gradient_norm[0] <= 1.0e9


@pytest.mark.slow
def test_leaving_the_stabilising_set_is_a_result() -> None:
    tasks = similar_tasks(seed=8, count=2, state_dim=2, action_dim=2)
    history = meta.train(tasks, np.zeros((2, 2)), SETTINGS.replace(learning_rate=10.0), seed=1)
    assert history.status is meta.Status.DIVERGED
    last = history.status_iteration
    assert 1 <= last < 6
    assert history.K.shape[0] == last + 1
    assert np.isinf(history.ratio[last])
    assert np.all(np.isfinite(history.ratio[:last]))
    assert np.all(np.isfinite(history.K))


@pytest.mark.slow
def test_values_that_stop_being_finite_are_a_result() -> None:
    """Perturbations so large that rollouts overflow: the estimate is not finite, and the run ends at K_0."""
    tasks = similar_tasks(seed=9, count=2, state_dim=2, action_dim=2)
    settings = SETTINGS.replace(smoothing_radius=1.0e9)
    history = meta.train(tasks, np.zeros((2, 2)), settings, seed=1)
    assert history.status is meta.Status.DIVERGED
    assert history.status_iteration == 0
    assert history.gradient_norm[0] == np.inf
    assert history.unstable_perturbations[0] == 2 * 20


def test_an_unstable_initial_gain_is_refused_with_its_tasks() -> None:
    tasks = similar_tasks(seed=10, count=2, state_dim=1, action_dim=1)
    with pytest.raises(UnstablePolicyError, match="initial gain does not stabilise task 0"):
        meta.train(tasks, np.array([[1.0e3]]), SETTINGS, seed=0)


def test_a_step_without_a_gradient_norm_is_refused_at_once() -> None:
    """Its file would be refused when all runs are made."""

    class Stepper(Method):
        name = "stepper"

        def step(self, state: State, stream: Stream) -> State:
            return State(0.9 * state.K)

    tasks = similar_tasks(seed=11, count=2, state_dim=1, action_dim=1)
    method = Stepper(Problem(tasks, np.zeros((1, 1)), SETTINGS))
    with pytest.raises(ValueError, match="the method stepper sets no gradient_norm; set it in the State"):
        run(method, Stream(0), 3)


def test_observers_see_every_iteration_and_each_is_asked_before_a_run_stops() -> None:
    class Watcher(Observer):
        def __init__(self, stops: bool) -> None:
            self.answer, self.asked = stops, 0
            self.seen: list[tuple[int, Array]] = []

        def reached(self, iteration: int, K: Array, cost: Array) -> None:
            self.seen.append((iteration, cost))

        def stops(self, state: Callable[[], History]) -> bool:
            self.asked += 1
            return self.answer

    tasks, watcher = similar_tasks(seed=11, count=2, state_dim=1, action_dim=1), Watcher(False)
    history = meta.train(tasks, np.zeros((1, 1)), SETTINGS, 0, [watcher])
    assert [n for n, _ in watcher.seen] == list(range(7))
    assert_array_equal([cost for _, cost in watcher.seen], history.cost)
    both = [Watcher(True), Watcher(True)]
    assert meta.train(tasks, np.zeros((1, 1)), SETTINGS, 0, both).status == "interrupted"
    assert [each.asked for each in both] == [1, 1]

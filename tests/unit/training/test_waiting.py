"""Exact costs that are computed for a few gains together: the run is the same as with one at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from systems import random_tasks, similar_tasks

from metalqr import MetaSettings, lqr, training
from metalqr.estimators.estimator import Direction
from metalqr.lqr.evaluation import costs
from metalqr.results.runs import Status
from metalqr.simulation.streams import Stream
from metalqr.training import loop
from metalqr.training.history import History
from metalqr.training.method import Method, Problem, State
from metalqr.training.observers import Observer

TASKS, K0 = similar_tasks(seed=3, count=3, state_dim=2, action_dim=2), np.zeros((2, 2))
SETTINGS = MetaSettings(
    learning_rate=1.0e-5,
    adaptation_rate=1.0e-3,
    perturbations=3,
    inner_perturbations=2,
    rollout_length=5,
    iterations=70,
)


class Watching(Observer):
    """Notes what it is told."""

    def __init__(self, can_wait: bool) -> None:
        self.can_wait = can_wait  # type: ignore[misc]
        self.seen: list[tuple[int, list[float]]] = []

    def reached(self, iteration: int, K: NDArray[np.float64], cost: NDArray[np.float64]) -> None:
        self.seen.append((iteration, cost.tolist()))


class Saving(Observer):
    """Takes the state after every iteration, as one that saves it, and never stops the run."""

    def stops(self, state: Callable[[], History]) -> bool:
        return state().status is Status.COMPLETED


def assert_same(one: History, other: History) -> None:
    assert (one.status, one.status_iteration) == (other.status, other.status_iteration)
    for name in ("K", "cost", "gradient_norm", "rollout_steps", "unstable_perturbations"):
        assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, Status.COMPLETED),
        ({"learning_rate": 0.1, "smoothing_radius": 0.3}, Status.DIVERGED),
        ({"tolerance": 130.0}, Status.TOLERANCE),
        ({"estimator": "residual", "update_rule": "momentum", "learning_rate": 1.0e-7}, Status.COMPLETED),
    ],
)
def test_a_run_is_the_same_however_many_costs_are_computed_together(change: dict[str, Any], status: Status) -> None:
    """One at a time because an observer cannot wait. Both observers are told the same in the same order."""
    settings, at_once, waits = SETTINGS.replace(**change), Watching(False), Watching(True)
    one = training.train(TASKS, K0, settings, 4, [at_once])
    many = training.train(TASKS, K0, settings, 4, [waits])
    assert_same(one, many)
    assert_same(one, training.train(TASKS, K0, settings, 4, [Saving()]))
    assert one.status is status
    assert at_once.seen == waits.seen
    assert len(waits.seen) == one.status_iteration + 1
    for name, array in one.memory.items():
        assert_array_equal(array, many.memory[name])


@given(st.integers(0, 30))
def test_a_run_that_fails_beyond_its_end_has_ended(end: int) -> None:
    """A step at a gain that stabilises nothing raises: the run has diverged where it left the set."""

    class Leaving(Method):
        name = "leaving"

        def direction(self, state: State, stream: Stream) -> Direction:
            if state.K[0, 0] > 100.0:
                raise lqr.UnstablePolicyError(np.array([0]), np.array([2.0]))
            jump = 300.0 if stream.iteration >= end else 0.0
            return Direction(np.full((2, 2), -jump))

    method = Leaving(Problem(TASKS, K0, SETTINGS.replace(learning_rate=1.0, tolerance=0.0)))
    settings = method.settings
    object.__setattr__(settings, "tolerance", -1.0)  # directions of norm zero end no run here
    history = loop.run(method, Stream(0), 60)
    assert (history.status, history.status_iteration) == (Status.DIVERGED, end + 1)
    assert np.isnan(history.gradient_norm[-1])
    assert np.isinf(history.cost[-1]).any()
    assert np.isfinite(history.cost[:-1]).all()


def test_a_state_to_resume_from_has_all_costs() -> None:
    class Stopping(Observer):
        def stops(self, state: Callable[[], History]) -> bool:
            return bool(state().status_iteration == 13)

    half = training.train(TASKS, K0, SETTINGS, 4, [Stopping()])
    whole = training.train(TASKS, K0, SETTINGS, 4)
    assert (half.status, half.status_iteration) == (Status.INTERRUPTED, 13)
    assert_array_equal(half.cost, whole.cost[:14])
    assert_same(training.train(TASKS, K0, SETTINGS, 4, resume=half), whole)


@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (2, 2), (3, 2), (20, 10)])
def test_costs_of_many_gains_are_those_of_each_to_the_last_bit(state_dim: int, action_dim: int) -> None:
    """Stable gains near and far from the boundary beside unstable ones, each task with another number of doublings."""
    tasks, generator = (
        random_tasks(seed=1, count=4, state_dim=state_dim, action_dim=action_dim),
        np.random.default_rng(0),
    )
    scales = np.geomspace(1e-3, 3.0, 40)[:, np.newaxis, np.newaxis] / np.sqrt(state_dim)
    gains = scales * generator.normal(size=(40, action_dim, state_dim))
    expected = np.array([lqr.cost(tasks, gain) for gain in gains])
    assert_array_equal(costs(tasks, gains), expected)
    assert np.isfinite(expected).any()
    each = np.repeat(gains[:, np.newaxis], 4, axis=1)
    assert_array_equal(costs(tasks, each), expected)

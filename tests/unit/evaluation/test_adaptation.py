"""Adaptation to tasks: paths against plain twins, unstable gains, regret, summaries, the choice of a rate."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import random_tasks, scalar_tasks, similar_tasks, stable_gain

from metalqr import estimators, lqr, optimal
from metalqr.config.algorithm import MetaSettings
from metalqr.config.settings import MAX_SEED
from metalqr.evaluation.adaptation import measures
from metalqr.evaluation.adaptation.addresses import MAX_REPEATS, Part, noise
from metalqr.evaluation.adaptation.paths import adapt_by_rollouts, adapt_exactly
from metalqr.evaluation.adaptation.protocol import steps_per_adaptation
from metalqr.simulation.streams import Purpose, Stream

TASKS = similar_tasks(3, count=4, state_dim=2, action_dim=2)
STARTS = np.stack([np.zeros((2, 2)), 0.1 * stable_gain(TASKS, 1), 0.2 * stable_gain(TASKS, 2)])
RATES = np.array([0.0005, 0.001, 0.0])


def settings(**given: Any) -> MetaSettings:
    shared = {"learning_rate": 1.0, "adaptation_rate": 0.0, "method": "mean_cost", "rollout_length": 5}
    return MetaSettings(**{**shared, "perturbations": 4, "smoothing_radius": 0.3, **given})


def plain_path(task: int, K: np.ndarray, rate: float, steps: int) -> list[float]:
    """One path by sums of powers, in plain NumPy."""
    A, B, Q, R, Psi = (getattr(TASKS, name)[task] for name in ("A", "B", "Q", "R", "Psi"))
    found = []
    for _ in range(steps + 1):
        powers = [np.linalg.matrix_power(A - B @ K, t) for t in range(400)]
        Sigma, P = sum(F @ Psi @ F.T for F in powers), sum(F.T @ (Q + K.T @ R @ K) @ F for F in powers)
        found.append(float(np.trace(P @ Psi)))
        K = K - rate * 2 * ((R + B.T @ P @ B) @ K - B.T @ P @ A) @ Sigma
    return found


@pytest.mark.slow
def test_exact_paths_are_those_of_a_plain_twin() -> None:
    found = adapt_exactly(TASKS, STARTS, RATES, 3)
    assert found.shape == (3, 4, 4)
    for path, (K, rate) in enumerate(zip(STARTS, RATES, strict=True)):
        for task in range(TASKS.count):
            assert_allclose(found[path, task], plain_path(task, K, rate, 3), rtol=1e-10)


@pytest.mark.parametrize(
    "given",
    [
        {"estimator": "two_point", "common_noise": True, "directions": "orthogonal"},
        {"estimator": "two_point"},
        {"estimator": "one_point_baseline", "directions": "gaussian"},
        {"estimator": "one_point", "precision": "float32"},
    ],
)
def test_estimated_paths_follow_the_estimator_called_by_hand(given: dict[str, Any]) -> None:
    """One path and task at a time: the noise of a start does not depend on the others, nor that of the first tasks."""
    chosen, stream = settings(**given), noise(5, 1, Part.TEST)
    found = adapt_by_rollouts(TASKS, STARTS, RATES, 2, chosen, stream)
    by_hand = chosen.replace(inner_perturbations=chosen.perturbations)
    for path, (start, rate) in enumerate(zip(STARTS, RATES, strict=True)):
        K = np.repeat(start[np.newaxis], TASKS.count, axis=0)
        for step in range(3):
            assert_allclose(found[path, :, step], lqr.cost(TASKS, K), rtol=1e-9)
            K = K - rate * estimators.estimate_gradient(TASKS, K, by_hand, stream.at(step))
    fewer = adapt_by_rollouts(TASKS.subset([0, 1]), STARTS, RATES, 2, chosen, stream)
    assert_allclose(fewer, found[:, :2], rtol=1e-9)
    assert np.unique(found[:2, :, 1:]).size == 2 * 4 * 2  # every step moves every gain


def test_the_rollouts_of_a_step_are_counted_for_one_task() -> None:
    assert steps_per_adaptation(settings(perturbations=6, rollout_length=7)) == 6 * 7
    assert steps_per_adaptation(settings(perturbations=6, rollout_length=7, estimator="two_point")) == 2 * 6 * 7


def test_an_unstable_gain_stays_unstable_and_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate that is too large, a start that stabilises one task only, and one that is not finite."""
    tasks = scalar_tasks(np.array([0.9, -0.9]))
    starts = np.array([0.2, -0.3, np.nan, 0.2]).reshape(-1, 1, 1)
    rates = np.array([0.01, 0.01, 0.01, 1e6])
    estimates = []
    original = estimators.two_point.TwoPoint.gradients

    def counted(self: Any, simulator: Any, gains: np.ndarray, *rest: Any) -> np.ndarray:
        estimates.append(gains.copy())
        return original(self, simulator, gains, *rest)

    monkeypatch.setattr(estimators.two_point.TwoPoint, "gradients", counted)
    for found in (
        adapt_exactly(tasks, starts, rates, 4),
        adapt_by_rollouts(tasks, starts, rates, 4, settings(estimator="two_point"), Stream(0)),
    ):
        assert not np.isnan(found).any()
        assert np.isfinite(found[0, 0]).all()
        assert np.isinf(found[0, 1]).all()  # |-0.9 - 0.2| > 1
        assert np.isinf(found[1, 0]).all()
        assert np.isfinite(found[1, 1]).all()
        assert np.isinf(found[2]).all()
        assert np.isfinite(found[3, 0, 0])
        assert np.isinf(found[3, 0, 1:]).all()
    best = optimal.optimal_gains(tasks).K
    assert len(estimates) == 4
    for gains in estimates:  # (task, path, 1, 1): the optimum stands for what has ended
        assert_array_equal(gains[:, 2], best)
        assert_array_equal(gains[1, 0], best[1])
    assert_array_equal(estimates[1][:, 3], best)
    assert not np.array_equal(estimates[1][0, 0], best[0])


def test_many_starts_are_estimated_in_groups_with_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(estimator="two_point")
    together = adapt_by_rollouts(TASKS, STARTS, RATES, 2, chosen, Stream(1))
    monkeypatch.setattr("metalqr.evaluation.adaptation.paths._MAX_PERTURBED", 1)
    monkeypatch.setattr("metalqr.evaluation.adaptation.paths._MAX_BATCH", 1)
    assert_allclose(adapt_by_rollouts(TASKS, STARTS, RATES, 2, chosen, Stream(1)), together, rtol=1e-12)


def test_what_cannot_be_adapted_is_refused() -> None:
    with pytest.raises(ValueError, match="residual needs earlier iterations"):
        adapt_by_rollouts(TASKS, STARTS, RATES, 1, settings(estimator="residual"), Stream(0))
    with pytest.raises(ValueError, match=r"starts has shape \(2, 2\), expected \(n, 2, 2\)"):
        adapt_exactly(TASKS, STARTS[0], 0.1, 1)
    with pytest.raises(ValueError, match=r"rates: -0\.1 is not >= 0"):
        adapt_exactly(TASKS, STARTS, -0.1, 1)


def test_addresses_of_an_evaluation_are_those_of_no_run_and_of_no_other_part() -> None:
    """A stream's key is an injective function of its seed; those of runs are at most MAX_SEED."""
    repeats, seeds = (0, 1, 7, MAX_REPEATS - 1), (0, 1, MAX_SEED)
    found = [noise(seed, repeat, part).seed for seed in seeds for repeat in repeats for part in Part]
    assert len(set(found)) == len(found)
    assert min(found) > MAX_SEED
    keys = {
        tuple(noise(seed, repeat, part).address(Purpose.ROLLOUT))
        for seed in seeds
        for repeat in repeats
        for part in Part
    }
    assert len(keys) == len(found)
    with pytest.raises(ValueError, match="repeat"):
        noise(0, MAX_REPEATS, Part.TEST)


def test_gap_is_absolute_where_an_optimum_costs_nothing() -> None:
    excess = np.array([[1.0, 0.5], [np.inf, np.inf]])
    optimal_cost = np.array([2.0, 4.0])
    assert measures.is_relative(optimal_cost, np.array([3.0, np.inf]))
    assert not measures.is_relative(np.array([2.0, 1e-17]), np.array([3.0, 5.0]))
    assert not measures.is_relative(np.array([2.0, 0.0]), np.array([3.0, np.inf]))
    assert_array_equal(measures.gap(excess, optimal_cost), [[0.5, 0.25], [np.inf, np.inf]])
    assert_array_equal(measures.gap(excess, optimal_cost, relative=False), excess)


def test_regret_sums_the_excess_of_the_gains_at_which_steps_were_taken() -> None:
    found = measures.regret(np.array([[4.0, 2.0, 1.0], [4.0, np.inf, np.inf], [np.inf] * 3]))
    assert_array_equal(found, [[0.0, 4.0, 6.0], [0.0, 4.0, np.inf], [0.0, np.inf, np.inf]])


def test_summaries_count_what_is_unstable() -> None:
    values = np.array([[1.0, 2.0, 3.0, np.inf, np.inf], [np.inf, np.inf, np.inf, 1.0, 2.0]])
    assert_array_equal(measures.median(values, axis=1), [3.0, np.inf])
    assert measures.median(np.array([1.0, np.inf])) == np.inf
    assert_array_equal(measures.quantile(values, 0.6, axis=1), [3.0, np.inf])
    assert_array_equal(measures.quantile(values, 0.9, axis=1), [np.inf, np.inf])
    assert measures.quantile(np.arange(1.0, 11.0), 0.9) == 9.0
    assert measures.quantile(np.array([1.0] * 9 + [np.inf]), 0.9) == 1.0
    assert_allclose(measures.unstable_share(values, axis=1), [0.4, 0.6])


def test_steps_to_a_gap_count_the_first_time() -> None:
    gaps = np.array([[0.5, 0.1, 0.2], [0.05, 0.2, 0.2], [0.5, np.inf, np.inf]])
    assert_array_equal(measures.steps_to(gaps, 0.1), [1.0, 0.0, np.inf])


def test_differences_are_never_not_a_number() -> None:
    found = measures.difference([1.0, np.inf, 1.0, np.inf], [0.5, 1.0, np.inf, np.inf])
    assert_array_equal(found, [0.5, np.inf, -np.inf, 0.0])


def test_the_best_rate_has_the_lowest_gap_and_is_the_smallest_of_equals() -> None:
    gaps = np.array([[3.0, 2.0, np.inf, np.inf], [1.0, 1.0, np.inf, 5.0], [np.inf, 1.0, np.inf, np.inf]])
    assert_array_equal(measures.best_rate(gaps), [1, 1, 0, 1])


def test_a_noisy_start_is_measured_on_random_tasks_too() -> None:
    """More exact steps of a small rate lower every cost of tasks that share nothing."""
    tasks = random_tasks(5, count=3, state_dim=2, action_dim=2, radius=0.7)
    found = adapt_exactly(tasks, np.zeros((1, 2, 2)), 1e-3, 5)
    assert (np.diff(found) < 0).all()
    assert (found[0, :, -1] > optimal.optimal_gains(tasks).cost).all()

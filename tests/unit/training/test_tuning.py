"""The choice of settings by the scores of runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from systems import random_tasks

from metalqr import optimal, results
from metalqr.config.algorithm import MetaSettings
from metalqr.config.tuning import grid, stated
from metalqr.results.tuned import choice, load_tuned
from metalqr.training import Status, train
from metalqr.training.tuning import Tuning, tune

INF = np.inf
BLOCK: dict[str, Any] = {"learning_rate": [1e-4, 1e-2, 1e4], "seeds": [5, 6], "by": "steps_to_target", "target": 2.0}
GIVEN: dict[str, Any] = {"adaptation_rate": 0.0, "estimator": "two_point", "common_noise": True, "perturbations": 4}
GIVEN |= {"rollout_length": 10, "iterations": 60}


def tuning(steps: list[list[float]], final: list[list[float]]) -> Tuning:
    return Tuning(np.array(steps), np.array(final), np.ones((len(steps), len(steps[0])), dtype=np.int64))


@pytest.mark.parametrize(
    ("steps", "final", "chosen", "reached"),
    [
        ([[30.0, 50.0], [20.0, 40.0]], [[0.1, 0.1], [0.9, 0.9]], 1, True),  # the fewest steps, whatever the end
        ([[30.0, 50.0], [40.0, 40.0]], [[0.2, 0.2], [0.1, 0.1]], 1, True),  # equal: the lower end
        ([[10.0, INF], [40.0, 40.0]], [[0.1, 0.1], [0.1, 0.1]], 1, True),  # one seed is not half of them
        ([[INF, INF], [INF, INF], [INF, INF]], [[0.3, 0.3], [0.2, 0.2], [INF, INF]], 1, False),  # none reaches it
        ([[INF], [INF]], [[INF], [INF]], 0, False),  # all diverge: the first
    ],
)
def test_choice_follows_the_rule(
    steps: list[list[float]], final: list[list[float]], chosen: int, reached: bool
) -> None:
    found = tuning(steps, final)
    assert (found.chosen, found.target_reached) == (chosen, reached)


def test_scores_are_those_of_the_runs_and_the_file_keeps_them(tmp_path: Path) -> None:
    """The first rate is too small to arrive, and runs with the last diverge."""
    tasks = random_tasks(3, 3, 2, 1)
    K0 = np.zeros((1, 2))
    J_star, J_shared = optimal.optimal_gains(tasks).cost, optimal.shared_gain(tasks).cost
    target = 2.0 * (J_shared.sum() / J_star.sum() - 1.0)
    candidates = [MetaSettings(**GIVEN, **values) for values in grid(BLOCK)]
    found = tune(tasks, K0, candidates, BLOCK["seeds"], J_star, target)
    again = tune(tasks, K0, candidates, BLOCK["seeds"], J_star, target)
    for name in ("steps_to_target", "final_ratio", "rollout_steps"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    for row, settings in enumerate(candidates):
        for column, seed in enumerate(BLOCK["seeds"]):
            history = train(tasks, K0, settings, seed)
            ratios = [cost.sum() / J_star.sum() - 1.0 for cost in history.cost]
            below = [step for step, ratio in zip(history.rollout_steps, ratios, strict=True) if ratio <= target]
            diverged = history.status is Status.DIVERGED
            assert found.steps_to_target[row, column] == (INF if diverged or not below else below[0])
            assert found.final_ratio[row, column] == (INF if diverged else pytest.approx(ratios[-1], rel=1e-12))
            assert found.rollout_steps[row, column] == history.rollout_steps[-1]
    assert np.isinf(found.steps_to_target[[0, 2]]).all()
    assert np.isinf(found.final_ratio[2]).all()
    assert (found.chosen, found.target_reached) == (1, True)

    everything = stated(candidates[0].as_dict(), BLOCK)
    results.save(tmp_path / "tuned.nc", found.to_dataset(grid(BLOCK), BLOCK["seeds"], target, everything, case="one"))
    read = load_tuned(tmp_path / "tuned.nc", "one", everything)
    assert choice(read) == {"learning_rate": 1e-2}
    assert [json.loads(text) for text in read["values"].values] == grid(BLOCK)
    np.testing.assert_array_equal(read["steps_to_target"], found.steps_to_target)
    other = stated(candidates[0].as_dict(), {**BLOCK, "target": 3.0})
    with pytest.raises(results.StorageError, match=r"it was run with tune: .* is wanted"):
        load_tuned(tmp_path / "tuned.nc", "one", other)


def test_nothing_to_try_is_refused() -> None:
    tasks = random_tasks(3, 3, 2, 1)
    with pytest.raises(ValueError, match="give at least one candidate and one seed"):
        tune(tasks, np.zeros((1, 2)), [], [1], np.ones(3), 0.1)

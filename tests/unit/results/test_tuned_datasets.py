"""Datasets of tuned runs: the choice is a coordinate, the tuning a variable; others are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stored
import xarray as xr
from stored import make_history, save_run

from metalqr import results
from metalqr.config.experiments import Experiment
from metalqr.config.identity import configuration_digest
from metalqr.config.tuning import grid
from metalqr.training.tuning import Tuning

BLOCK: dict[str, Any] = {
    "seeds": [100, 101],
    "by": "steps_to_target",
    "target": 2.0,
    "learning_rate": [0.25, 0.5, 0.75],
}
SWEPT = stored.experiment((0, 1), variants={"paper": {}, "tuned": {"estimator": "two_point", "tune": BLOCK}})


def save_tuning(path: Path, experiment: Experiment, best: int) -> tuple[str, str]:
    """A tuning that chooses a candidate; the key under which it is given."""
    (point,) = (each for each in experiment.points("one") if each.tune)
    steps = np.full((3, 2), np.inf)
    steps[best] = 10.0
    tuning = Tuning(steps, np.full((3, 2), 0.5), np.full((3, 2), 7, dtype=np.int64))
    results.save(path, tuning.to_dataset(grid(point.tune), BLOCK["seeds"], 0.1, point.stated, case="one"))
    return point.tasks, configuration_digest(point.settings, point.tune)


def combined(folder: Path, optima: Path, rate: float, best: int = 1) -> xr.Dataset:
    """Runs whose tuning chose a candidate, of which the tuned ones were made with a learning rate."""
    key = save_tuning(folder / "tuned.nc", SWEPT, best)
    paths = []
    for point in SWEPT.points("one"):
        for seed in SWEPT.seeds:
            paths.append(folder / f"{point.values['variant']}-{seed}.nc")
            used: dict[str, Any] = {**point.stated, **({"learning_rate": rate} if point.tune else {})}
            save_run(paths[-1], make_history(5), used, seed)
    return results.combine_runs(paths, {"one": optima}, SWEPT, "one", {key: folder / "tuned.nc"})


def test_choice_is_a_coordinate_and_the_tuning_a_variable(good: dict[str, Path], tmp_path: Path) -> None:
    case = combined(tmp_path, good["optima"], 0.5)
    assert case["learning_rate"].dims == ("variant",)
    assert case["learning_rate"].values.tolist() == [0.001, 0.5]
    np.testing.assert_array_equal(case["tuning_steps"], [[np.nan] * 2, [42.0] * 2])
    np.testing.assert_array_equal(case["tuning_reached"], [[np.nan] * 2, [1.0] * 2])
    results.save_experiment(tmp_path / "mine.nc", "mine", {"one": case})
    xr.testing.assert_identical(results.load_experiment(tmp_path / "mine.nc")["one"].to_dataset(), case)


def test_run_of_an_older_choice_is_refused(good: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(results.StorageError, match=r"tuned-0.nc: .*learning_rate: 0.75, but tuning chose 0.5"):
        combined(tmp_path, good["optima"], 0.75)


def test_value_that_was_not_tried_is_refused(good: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(
        results.StorageError, match=r"tuned-0.nc: .*learning_rate: 0.6, but learning_rate: 0.25 is want"
    ):
        combined(tmp_path, good["optima"], 0.6)


def test_choice_outside_the_grid_is_refused(tmp_path: Path) -> None:
    save_tuning(tmp_path / "tuned.nc", SWEPT, 1)
    dataset = results.load_tuned(tmp_path / "tuned.nc")
    results.save(tmp_path / "spoilt.nc", dataset.assign(chosen=3))
    with pytest.raises(results.StorageError, match="its choice is 3, but it holds 3 candidates"):
        results.load_tuned(tmp_path / "spoilt.nc")

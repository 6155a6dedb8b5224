"""Experiments: runs stand at their point and seed, with their settings as coordinates; others are refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stored
import xarray as xr
from stored import COUNT, SETTINGS, STATE_DIM, experiment, make_history, save_run

from metalqr import results
from metalqr.config import settings as declared
from metalqr.config.experiments import Experiment
from metalqr.config.registries import estimators, methods
from metalqr.estimators.one_point import OnePoint
from metalqr.results.datasets import _setting_values
from metalqr.training import History


def combined(folder: Path, optima: dict[str, Path], swept: Experiment, **histories: History) -> xr.Dataset:
    """The runs of seed 0 at all points, after a way through a file; some variants or tasks have other histories."""
    paths = []
    for place, point in enumerate(swept.points("one")):
        paths.append(folder / f"point-{place}.nc")
        name = point.values.get("variant", point.tasks)
        history = histories.get(name, make_history(point.settings.iterations))
        save_run(paths[-1], history, point.settings.as_dict(), 0, case=point.tasks)
    case = results.combine_runs(paths, optima, swept, "one")
    results.save_experiment(folder / "mine.nc", "mine", {"one": case})
    xr.testing.assert_identical(results.load_experiment(folder / "mine.nc")["one"].to_dataset(), case)
    return case


@pytest.fixture
def optima(good: dict[str, Path]) -> dict[str, Path]:
    return {"one": good["optima"]}


def test_experiment_keeps_its_cases_in_order(good: dict[str, Path]) -> None:
    assert list(results.load_experiment(good["datasets"], "figure1").children) == ["one", "another"]


def test_combined_runs_stand_at_their_point_and_seed(tmp_path: Path, optima: dict[str, Path]) -> None:
    swept = experiment((3, 1), sweep={"perturbations": [4, 8]}, linked={"inner_perturbations": "perturbations"})
    case = stored.combine(tmp_path, optima["one"], swept)
    assert case["ratio"].dims == ("perturbations", "seed", "iteration")
    assert case["cost"].dims == ("perturbations", "seed", "iteration", "task")
    assert case["inner_perturbations"].dims == ("perturbations",)
    for place, value in enumerate([4, 8]):
        for seed in (3, 1):
            run = results.load_run(tmp_path / f"run-{place}-{seed}.nc")
            chosen = case.sel(perturbations=value, seed=seed)
            length = run.sizes["iteration"]
            ratio = run["cost"].values.sum(axis=1) / case["J_star"].values.sum() - 1
            np.testing.assert_array_equal(chosen["ratio"].values[:length], ratio)
            for name in ("cost", "gradient_norm", "rollout_steps", "unstable_perturbations"):
                np.testing.assert_array_equal(chosen[name].values[:length], run[name].values)
                assert np.isnan(chosen[name].values[length:]).all()
            np.testing.assert_array_equal(chosen["K_last"].values, run["K"].values[-1])
            for name in ("status", "status_iteration", "perturbed_policies"):
                assert chosen[name] == run.attrs[name]
    assert case["status"].sel(perturbations=8, seed=1) == "diverged"
    assert "perturbations" not in json.loads(case.attrs["settings"])
    assert (case.attrs["state_dim"], case.attrs["action_dim"]) == (STATE_DIM, 1)


def test_swept_iterations_make_the_longest_run_the_length(tmp_path: Path, optima: dict[str, Path]) -> None:
    case = combined(tmp_path, optima, experiment(sweep={"iterations": [2, 6]}))
    assert case.sizes["iteration"] == 7
    assert np.isnan(case["ratio"].sel(iterations=2, seed=0)).sum() == 4


def test_values_and_text_in_one_sweep_become_text(tmp_path: Path, optima: dict[str, Path]) -> None:
    case = combined(tmp_path, optima, experiment(sweep={"task_batch": [2, "all"]}))
    assert case["task_batch"].values.tolist() == ["2", "all"]


def test_settings_of_variants_are_coordinates_along_them(tmp_path: Path, optima: dict[str, Path]) -> None:
    variants = {"paper": {}, "pairs": {"estimator": "two_point", "perturbations": 2}}
    case = combined(tmp_path, optima, experiment(variants=variants, sweep={"learning_rate": [0.1, 0.2]}))
    assert case["ratio"].dims == ("variant", "learning_rate", "seed", "iteration")
    assert case["variant"].values.tolist() == ["paper", "pairs"]
    assert case["estimator"].dims == case["perturbations"].dims == ("variant",)
    assert case["estimator"].values.tolist() == ["one_point", "two_point"]
    assert case["perturbations"].values.tolist() == [4, 2]
    common = json.loads(case.attrs["settings"])
    assert common["inner_perturbations"] == 4
    assert not {"variant", "estimator", "perturbations", "learning_rate"} & set(common)


def test_settings_of_a_plugin_may_be_lists_truth_values_or_nothing(
    tmp_path: Path, optima: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list comes back from a file as one; in a dataset it is text. A setting that is None in all runs is common."""
    monkeypatch.setattr(estimators, "_registered", dict(estimators._registered))

    @estimators.register("listed")
    class Listed(OnePoint):
        class Settings(declared.Settings):
            levels: declared.Distinct[declared.Count] = declared.setting((1, 2), label="levels", about="of something")
            flag: bool = declared.setting(False, label="flag", about="of something")
            limit: declared.Count | None = declared.setting(None, label="limit", about="of something")

    variants = {"paper": {}, "listed": {"estimator": "listed"}, "other": {"estimator": "listed", "levels": [3]}}
    case = combined(tmp_path, optima, experiment(variants=variants))
    assert case["levels"].values.tolist() == ["", "[1, 2]", "[3]"]
    np.testing.assert_array_equal(case["flag"].values, [np.nan, 0.0, 0.0])
    assert json.loads(case.attrs["settings"])["limit"] is None
    swept = experiment(sweep={"estimator": ["listed"], "levels": [[1], [1, 2]], "flag": [False, True]})
    case = combined(tmp_path, optima, swept)
    assert case["levels"].values.tolist() == ["[1]", "[1, 2]"]
    assert case["flag"].values.tolist() == [False, True]


def test_a_swept_range_is_text() -> None:
    values = np.empty(2, dtype=object)
    values[:] = [{"low": 1.0, "high": 2.0}, 3.0]
    assert _setting_values(values).tolist() == ['{"low": 1.0, "high": 2.0}', "3.0"]


@pytest.mark.parametrize("own_gains", [False, True])
def test_moved_tasks_have_costs_of_their_own(own_gains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two tasks at one place and three at the other, the missing one is NaN."""
    monkeypatch.setattr(methods.get("zeroth_order_maml"), "gain_per_task", own_gains)
    swept = experiment(sweep={"learning_rate": [0.1, 0.2], "tasks.count": [5, 2]})
    same, moved = (point.tasks for point in swept.points("one")[:2])
    assert same == "one"
    optima = {"one": tmp_path / "optima.nc", moved: tmp_path / "moved.nc"}
    arrays = stored.save_optima(optima["one"], J_star=np.array([1.0, 2.0, 4.0]))
    per_task = [name for name, spec in results.OPTIMA.variables.items() if "task" in spec.dims]
    stored.save_optima(optima[moved], case=moved, **{name: arrays[name][:2] for name in per_task})
    history = make_history(5)
    fewer = dataclasses.replace(history, cost=history.cost[:, :2])
    case = combined(tmp_path, optima, swept, **{moved: fewer})
    assert case["J_star"].dims == ("tasks.count", "task")
    np.testing.assert_array_equal(case["J_star"].values, [[1.0, 2.0, 4.0], [1.0, 2.0, np.nan]])
    assert ("task" in case["K_last"].dims) == own_gains
    assert np.isnan(case["K_last"].values).any() == own_gains
    for place, count, optimum in ((0, 3, 7.0), (1, 2, 3.0)):
        ratio = case["ratio"].isel({"tasks.count": place, "learning_rate": 0, "seed": 0})
        np.testing.assert_allclose(ratio, history.cost[:, :count].sum(axis=1) / optimum - 1, rtol=1e-15)


def test_a_gain_for_each_task_has_its_dimension(
    tmp_path: Path, optima: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gain that all tasks share is repeated for each."""
    monkeypatch.setattr(methods.get("zeroth_order_maml"), "gain_per_task", True)
    shared = make_history(5)
    each = dataclasses.replace(shared, K=shared.K[:, np.newaxis] * np.arange(1.0, COUNT + 1).reshape(1, COUNT, 1, 1))
    variants = {"shared": {}, "each": {"perturbations": 5}}
    case = combined(tmp_path, optima, experiment(variants=variants), each=each)
    assert case["K_last"].dims == ("variant", "seed", "task", "action", "state")
    np.testing.assert_array_equal(case["K_last"][0, 0], [shared.K[-1]] * COUNT)
    np.testing.assert_array_equal(case["K_last"][1, 0], each.K[-1])


@pytest.mark.parametrize("own_gains", [False, True])
def test_averages_stand_beside_the_last_gains(
    own_gains: bool, tmp_path: Path, optima: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN for the runs without one; a shared average is repeated for each task where others have a gain for each."""
    monkeypatch.setattr(methods.get("zeroth_order_maml"), "gain_per_task", own_gains)
    history = make_history(5)
    average = np.array([[0.25, -0.5]])
    cost = np.array([np.inf, 2.0, 3.0]) if own_gains else np.array([1.5, 2.0, 3.0])
    averaged = dataclasses.replace(history, K_average=average, cost_average=cost)
    variants = {"plain": {}, "averaged": {"average_last": 0.5}}
    case = combined(tmp_path, optima, experiment(variants=variants), averaged=averaged)
    assert case["average_last"].values.tolist() == [0.0, 0.5]
    gain_dims = ("task", "action", "state") if own_gains else ("action", "state")
    assert case["K_average"].dims == ("variant", "seed", *gain_dims)
    assert case["cost_average"].dims == ("variant", "seed", "task")
    assert case["ratio_average"].dims == ("variant", "seed")
    for name in ("K_average", "cost_average", "ratio_average"):
        assert np.isnan(case[name].sel(variant="plain")).all()
    found = case.sel(variant="averaged", seed=0)
    np.testing.assert_array_equal(found["K_average"], np.broadcast_to(average, found["K_average"].shape))
    np.testing.assert_array_equal(found["cost_average"], cost)
    assert found["ratio_average"] == cost.sum() / case["J_star"].values.sum() - 1.0
    assert case["ratio_average"].attrs["units"] == "1"


def test_without_averages_a_case_has_no_variables_of_them(good: dict[str, Path]) -> None:
    case = results.load_experiment(good["datasets"])["one"].to_dataset()
    assert not [name for name in case.variables if "average" in str(name)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"settings": {"perturbations": 5}},
            "it was run with perturbations: 5, but perturbations: 4 is wanted",
        ),
        (
            {"settings": {"rollout_length": 9}},
            "it was run with rollout_length: 9, but rollout_length: 50 is wanted, since the defau",
        ),
        ({"seed": 1}, "it is a run of seed 1, not 0"),
        ({"case": "two"}, "it belongs to the case 'two', not 'one'"),
        ({"last": 6}, "it holds 7 iterations where its settings allow 6"),
        # NumPy would broadcast a gain of shape (1, 1) to the (1, 2) of the case.
        ({"cut": "state"}, "its dimension state is 1, but 2 in"),
        ({"cut": "task"}, "its dimension task is 1, but 3 in"),
    ],
)
def test_run_of_another_place_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, optima: dict[str, Path]
) -> None:
    path, run = tmp_path / "run.nc", {"settings": {}, "seed": 0, "case": "one", "last": 5, "cut": None, **changes}
    save_run(path, make_history(run["last"]), {**SETTINGS, **run["settings"]}, run["seed"], case=run["case"])
    if run["cut"]:
        xr.load_dataset(path).isel({run["cut"]: slice(0, 1)}).to_netcdf(path)
    with pytest.raises(results.StorageError, match=rf"run\.nc: {message}"):
        results.combine_runs([path], optima, experiment(), "one")


def test_too_many_runs_are_refused(tmp_path: Path, optima: dict[str, Path]) -> None:
    save_run(tmp_path / "run.nc", make_history(5), SETTINGS, 0)
    with pytest.raises(ValueError, match="one: more run files than the experiment has runs"):
        results.combine_runs([tmp_path / "run.nc"] * 2, optima, experiment(), "one")

"""Storage: files come back as they went, hold nothing but what they should, and are whole or refused."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from metalqr import results
from metalqr.config import settings as declared
from metalqr.config.algorithm import MetaSettings
from metalqr.config.experiments import Base, Experiment
from metalqr.config.registries import estimators, methods
from metalqr.estimators.one_point import OnePoint
from metalqr.lqr import LQRTasks
from metalqr.training import History, Status

COUNT, STATE_DIM, ACTION_DIM = 3, 2, 1
GIVEN = {"learning_rate": 0.001, "adaptation_rate": 0.1, "perturbations": 4, "inner_perturbations": 4, "iterations": 5}
SETTINGS = MetaSettings(**GIVEN).as_dict()
TASKS = {"family": "similar", "spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25}

LAYOUTS = {
    layout.stage: layout
    for layout in (results.TASKS, results.OPTIMA, results.META_OPTIMA, results.RUNS, results.DATASETS)
}


def make_tasks() -> LQRTasks:
    generator = np.random.default_rng(1)
    scale = 1.0 + np.arange(COUNT)[:, None, None]
    return LQRTasks(
        A=0.3 * generator.normal(size=(COUNT, STATE_DIM, STATE_DIM)),
        B=generator.normal(size=(COUNT, STATE_DIM, ACTION_DIM)),
        Q=scale * np.eye(STATE_DIM),
        R=scale * np.eye(ACTION_DIM),
        Psi=0.5 * scale * np.eye(STATE_DIM),
        p=np.array([0.5, 0.25, 0.25]),
    )


def make_history(last: int, status: Status = Status.COMPLETED, shift: float = 0.0) -> History:
    steps = np.arange(last + 1, dtype=float)
    return History(
        K=shift + np.arange((last + 1) * ACTION_DIM * STATE_DIM, dtype=float).reshape(-1, ACTION_DIM, STATE_DIM) / 7,
        cost=shift + 1.0 / (1.0 + steps[:, None] + np.arange(COUNT)),
        gradient_norm=np.append(steps[:-1], np.nan),
        rollout_steps=np.arange(last + 1, dtype=np.int64) * 2**40,
        unstable_perturbations=np.arange(last + 1, dtype=np.int64),
        status=status,
        status_iteration=last,
    )


def optima_arrays() -> dict[str, Any]:
    generator = np.random.default_rng(2)
    return {
        "K_star": generator.normal(size=(COUNT, ACTION_DIM, STATE_DIM)),
        "P_star": generator.normal(size=(COUNT, STATE_DIM, STATE_DIM)),
        "J_star": generator.normal(size=COUNT),
        "J0": generator.normal(size=COUNT),
        "K_shared": generator.normal(size=(ACTION_DIM, STATE_DIM)),
        "J_shared": generator.normal(size=COUNT),
    }


def meta_optimum_arrays() -> dict[str, Any]:
    generator = np.random.default_rng(3)
    return {
        "K_meta": generator.normal(size=(ACTION_DIM, STATE_DIM)),
        "J_meta": np.array([1.0, 2.0, np.inf]),
        "objective_meta": 1.5,
        "J0_adapted": np.array([np.inf, 2.0, 3.0]),
        "objective_K0": np.inf,
        "objective_shared": 1.7,
        "largest_adaptation_rate": np.inf,
        "verdict": "learnable",
        "certificate": "K0 is MAML-stabilising",
    }


def without_optimum() -> dict[str, Any]:
    """The arrays where no gain is MAML-stabilising."""
    unknown = {"K_meta": np.full((ACTION_DIM, STATE_DIM), np.nan), "J_meta": np.full(COUNT, np.nan)}
    return {**meta_optimum_arrays(), **unknown, "objective_meta": np.nan, "verdict": "not found"}


def save_everything(folder: Path) -> dict[str, Path]:
    files = {stage: folder / f"{stage}.nc" for stage in LAYOUTS}
    results.save_tasks(files["tasks"], make_tasks(), np.zeros((ACTION_DIM, STATE_DIM)), {"family": "given"}, case="one")
    results.save_optima(files["optima"], {"initial_gain": "zero"}, case="one", **optima_arrays())
    results.save_meta_optimum(files["meta_optima"], {"adaptation_rate": 0.01}, case="one", **meta_optimum_arrays())
    save_run(files["runs"], make_history(5), SETTINGS, 7)
    case = combine(folder, files["optima"], sweep={}, linked={})
    results.save_experiment(files["datasets"], "figure1", {"one": case, "another": case})
    return files


def save_run(path: Path, history: History, settings: dict[str, Any], seed: int, case: str = "one") -> None:
    results.save_run(path, history, settings, seed, case=case, perturbed_policies=12)


def experiment(seeds: tuple[int, ...] = (0,), **axes: Any) -> Experiment:
    return Experiment("mine", {"one": Base(GIVEN, TASKS)}, seeds, **axes)


def combine(folder: Path, optima: Path, sweep: dict[str, list[Any]], linked: dict[str, str]) -> xr.Dataset:
    """Runs of two seeds, of which the last of the second point diverges."""
    swept = experiment((3, 1), sweep=sweep, linked=linked)
    paths = []
    for place, point in enumerate(swept.points("one")):
        for seed in swept.seeds:
            paths.append(folder / f"run-{place}-{seed}.nc")
            diverged = place == 1 and seed == 1
            history = make_history(
                2 if diverged else 5, Status.DIVERGED if diverged else Status.COMPLETED, place + seed / 10
            )
            save_run(paths[-1], history, point.settings.as_dict(), seed)
    return results.combine_runs(paths, {"one": optima}, swept, "one")


LOADERS = {
    "tasks": results.load_tasks,
    "optima": results.load_optima,
    "meta_optima": results.load_meta_optimum,
    "runs": results.load_run,
    "datasets": results.load_experiment,
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return save_everything(tmp_path)


def test_tasks_come_back_to_the_last_bit(files: dict[str, Path]) -> None:
    tasks, loaded = make_tasks(), results.load_tasks(files["tasks"])
    for name in set(results.TASKS.variables) - {"K0"}:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tasks, name))


def test_optima_come_back_to_the_last_bit(files: dict[str, Path]) -> None:
    loaded = results.load_optima(files["optima"])
    for name, array in optima_arrays().items():
        np.testing.assert_array_equal(loaded[name].values, array)


def test_optima_of_other_tasks_are_refused(files: dict[str, Path]) -> None:
    results.load_optima(files["optima"], "one", make_tasks())
    one = np.ones((COUNT, 1, 1))
    message = rf"optima\.nc: its dimension state is {STATE_DIM}, but 1 in the tasks; delete it and run the stage again"
    with pytest.raises(results.StorageError, match=message):
        results.load_optima(files["optima"], "one", LQRTasks(A=one / 2, B=one, Q=one, R=one, Psi=one))


def test_optimum_of_the_meta_objective_comes_back_to_the_last_bit(files: dict[str, Path]) -> None:
    loaded = results.load_meta_optimum(files["meta_optima"], "one", make_tasks(), 0.01)
    assert json.loads(loaded.attrs["settings"]) == {"adaptation_rate": 0.01}
    for arrays in (meta_optimum_arrays(), without_optimum()):
        results.save_meta_optimum(files["meta_optima"], {"adaptation_rate": 0.01}, case="one", **arrays)
        loaded = results.load_meta_optimum(files["meta_optima"])
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name].values, array)


def test_optimum_of_another_meta_objective_is_refused(files: dict[str, Path]) -> None:
    path = files["meta_optima"]
    with pytest.raises(
        results.StorageError, match=r"it is of the adaptation rate 0\.01, not 0\.02; .* all meta_optima$"
    ):
        results.load_meta_optimum(path, adaptation_rate=0.02)
    one = np.ones((COUNT, 1, 1))
    with pytest.raises(results.StorageError, match=rf"its dimension state is {STATE_DIM}, but 1 in the tasks; delete"):
        results.load_meta_optimum(path, tasks=LQRTasks(A=one / 2, B=one, Q=one, R=one, Psi=one))


@pytest.mark.parametrize("name", ["K_meta", "J_meta", "objective_meta"])
def test_part_of_an_optimum_is_refused(name: str, files: dict[str, Path]) -> None:
    arrays = {**without_optimum(), name: meta_optimum_arrays()[name]}
    results.save_meta_optimum(files["meta_optima"], {"adaptation_rate": 0.01}, case="one", **arrays)
    with pytest.raises(results.StorageError, match="it holds a part of an optimum in K_meta, J_meta, objective_meta;"):
        results.load_meta_optimum(files["meta_optima"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("objective_K0", np.nan, "its variable objective_K0 is not a number;"),
        ("largest_adaptation_rate", -np.inf, "its variable largest_adaptation_rate is infinite;"),
        ("verdict", "perhaps", "its variable verdict holds 'perhaps', not learnable, not learnable or not found;"),
    ],
)
def test_values_that_an_optimum_cannot_have(name: str, value: Any, message: str, files: dict[str, Path]) -> None:
    arrays = {**meta_optimum_arrays(), name: value}
    results.save_meta_optimum(files["meta_optima"], {"adaptation_rate": 0.01}, case="one", **arrays)
    with pytest.raises(results.StorageError, match=message):
        results.load_meta_optimum(files["meta_optima"])


def test_run_comes_back_to_the_last_bit_with_its_identity(files: dict[str, Path]) -> None:
    history, loaded = make_history(5), results.load_run(files["runs"])
    for name in results.RUNS.variables:
        np.testing.assert_array_equal(loaded[name].values, getattr(history, name))
    assert loaded["rollout_steps"].dtype == np.int64
    assert json.loads(loaded.attrs["settings"]) == SETTINGS
    assert (loaded.attrs["seed"], loaded.attrs["status"], loaded.attrs["status_iteration"]) == (7, "completed", 5)
    assert loaded["iteration"].values.tolist() == [0, 1, 2, 3, 4, 5]


def test_experiment_keeps_its_cases_in_order(files: dict[str, Path]) -> None:
    assert list(results.load_experiment(files["datasets"]).children) == ["one", "another"]


def test_experiment_comes_back_identical(tmp_path: Path, files: dict[str, Path]) -> None:
    sweep = {"perturbations": [4, 8]}
    case = combine(tmp_path, files["optima"], sweep=sweep, linked={"inner_perturbations": "perturbations"})
    results.save_experiment(tmp_path / "sweep.nc", "sweep", {"case": case})
    loaded = results.load_experiment(tmp_path / "sweep.nc")
    xr.testing.assert_identical(loaded["case"].to_dataset(), case)


def test_combined_runs_stand_at_their_point_and_seed(tmp_path: Path, files: dict[str, Path]) -> None:
    case = combine(
        tmp_path, files["optima"], sweep={"perturbations": [4, 8]}, linked={"inner_perturbations": "perturbations"}
    )
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
            assert chosen["status"] == run.attrs["status"]
            assert chosen["status_iteration"] == run.attrs["status_iteration"]
            assert chosen["perturbed_policies"] == 12
    assert case["status"].sel(perturbations=8, seed=1) == "diverged"
    assert "perturbations" not in json.loads(case.attrs["settings"])
    assert (case.attrs["state_dim"], case.attrs["action_dim"]) == (STATE_DIM, ACTION_DIM)


def test_swept_iterations_make_the_longest_run_the_length(tmp_path: Path, files: dict[str, Path]) -> None:
    paths = []
    for iterations in (2, 6):
        paths.append(tmp_path / f"{iterations}.nc")
        save_run(paths[-1], make_history(iterations), {**SETTINGS, "iterations": iterations}, 0)
    swept = experiment(sweep={"iterations": [2, 6]})
    case = results.combine_runs(paths, {"one": files["optima"]}, swept, "one")
    assert case.sizes["iteration"] == 7
    assert np.isnan(case["ratio"].sel(iterations=2, seed=0)).sum() == 4


def test_values_and_text_in_one_sweep_become_text(tmp_path: Path, files: dict[str, Path]) -> None:
    paths = []
    for batch in (2, "all"):
        paths.append(tmp_path / f"{batch}.nc")
        save_run(paths[-1], make_history(5), {**SETTINGS, "task_batch": batch}, 0)
    swept = experiment(sweep={"task_batch": [2, "all"]})
    case = results.combine_runs(paths, {"one": files["optima"]}, swept, "one")
    assert case["task_batch"].values.tolist() == ["2", "all"]


def combined(folder: Path, optima: dict[str, Path], swept: Experiment, **histories: History) -> xr.Dataset:
    """The runs of seed 0 at all points, after a way through a file; some variants have other histories."""
    paths = []
    for place, point in enumerate(swept.points("one")):
        paths.append(folder / f"point-{place}.nc")
        history = histories.get(point.values.get("variant", ""), make_history(5))
        save_run(paths[-1], history, point.settings.as_dict(), 0, case=point.tasks)
    case = results.combine_runs(paths, optima, swept, "one")
    results.save_experiment(folder / "mine.nc", "mine", {"one": case})
    xr.testing.assert_identical(results.load_experiment(folder / "mine.nc")["one"].to_dataset(), case)
    return case


def test_settings_of_variants_are_coordinates_along_them(tmp_path: Path, files: dict[str, Path]) -> None:
    variants = {"paper": {}, "pairs": {"estimator": "two_point", "perturbations": 2}}
    swept = experiment(variants=variants, sweep={"learning_rate": [0.1, 0.2]})
    case = combined(tmp_path, {"one": files["optima"]}, swept)
    assert case["ratio"].dims == ("variant", "learning_rate", "seed", "iteration")
    assert case["variant"].values.tolist() == ["paper", "pairs"]
    assert case["estimator"].dims == case["perturbations"].dims == ("variant",)
    assert case["estimator"].values.tolist() == ["one_point", "two_point"]
    assert case["perturbations"].values.tolist() == [4, 2]
    common = json.loads(case.attrs["settings"])
    assert common["inner_perturbations"] == 4
    assert not {"variant", "estimator", "perturbations", "learning_rate"} & set(common)


def test_settings_of_a_plugin_may_be_lists_truth_values_or_nothing(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list comes back from a file as one; in a dataset it is text. What no run has but as nothing is common."""
    monkeypatch.setattr(estimators, "_registered", dict(estimators._registered))

    @estimators.register("listed")
    class Listed(OnePoint):
        class Settings(declared.Settings):
            levels: declared.Distinct[declared.Count] = declared.setting((1, 2), label="levels", about="of something")
            flag: bool = declared.setting(False, label="flag", about="of something")
            limit: declared.Count | None = declared.setting(None, label="limit", about="of something")

    variants = {"paper": {}, "listed": {"estimator": "listed"}, "other": {"estimator": "listed", "levels": [3]}}
    case = combined(tmp_path, {"one": files["optima"]}, experiment(variants=variants))
    assert case["levels"].values.tolist() == ["", "[1, 2]", "[3]"]
    np.testing.assert_array_equal(case["flag"].values, [np.nan, 0.0, 0.0])
    assert json.loads(case.attrs["settings"])["limit"] is None
    swept = experiment(sweep={"estimator": ["listed"], "levels": [[1], [1, 2]], "flag": [False, True]})
    case = combined(tmp_path, {"one": files["optima"]}, swept)
    assert case["levels"].values.tolist() == ["[1]", "[1, 2]"]
    assert case["flag"].values.tolist() == [False, True]


@pytest.mark.parametrize("own_gains", [False, True])
def test_moved_tasks_have_costs_of_their_own(
    own_gains: bool, tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two tasks at one place and three at the other, what is missing is not a number."""
    monkeypatch.setattr(methods.get("zeroth_order_maml"), "gain_per_task", own_gains)
    swept = experiment(sweep={"learning_rate": [0.1, 0.2], "tasks.count": [5, 2]})
    same, moved = (point.tasks for point in swept.points("one")[:2])
    assert same == "one"
    arrays = {**optima_arrays(), "J_star": np.array([1.0, 2.0, 4.0])}
    results.save_optima(files["optima"], {}, case="one", **arrays)
    per_task = [name for name, spec in results.OPTIMA.variables.items() if "task" in spec.dims]
    fewer = {name: array[:2] if name in per_task else array for name, array in arrays.items()}
    results.save_optima(tmp_path / "moved.nc", {}, case=moved, **fewer)
    paths = []
    for place, point in enumerate(swept.points("one")):
        paths.append(tmp_path / f"point-{place}.nc")
        history = make_history(5)
        if point.tasks == moved:
            history = dataclasses.replace(history, cost=history.cost[:, :2])
        save_run(paths[-1], history, point.settings.as_dict(), 0, case=point.tasks)
    case = results.combine_runs(paths, {"one": files["optima"], moved: tmp_path / "moved.nc"}, swept, "one")
    results.save_experiment(tmp_path / "mine.nc", "mine", {"one": case})
    xr.testing.assert_identical(results.load_experiment(tmp_path / "mine.nc")["one"].to_dataset(), case)
    assert case["J_star"].dims == ("tasks.count", "task")
    np.testing.assert_array_equal(case["J_star"].values, [[1.0, 2.0, 4.0], [1.0, 2.0, np.nan]])
    assert ("task" in case["K_last"].dims) == own_gains
    assert np.isnan(case["K_last"].values).any() == own_gains
    costs = make_history(5).cost
    for place, count, optimum in ((0, 3, 7.0), (1, 2, 3.0)):
        ratio = case["ratio"].isel({"tasks.count": place, "learning_rate": 0, "seed": 0})
        np.testing.assert_allclose(ratio, costs[:, :count].sum(axis=1) / optimum - 1, rtol=1e-15)


def test_a_gain_for_each_task_has_its_dimension(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gain that all tasks share stands there for each."""
    monkeypatch.setattr(methods.get("zeroth_order_maml"), "gain_per_task", True)
    shared = make_history(5)
    each = dataclasses.replace(shared, K=shared.K[:, np.newaxis] * np.arange(1.0, COUNT + 1).reshape(1, COUNT, 1, 1))
    variants = {"shared": {}, "each": {"perturbations": 5}}
    case = combined(tmp_path, {"one": files["optima"]}, experiment(variants=variants), each=each)
    assert case["K_last"].dims == ("variant", "seed", "task", "action", "state")
    np.testing.assert_array_equal(case["K_last"][0, 0], [shared.K[-1]] * COUNT)
    np.testing.assert_array_equal(case["K_last"][1, 0], each.K[-1])


def test_every_variable_says_what_it_is(files: dict[str, Path]) -> None:
    datasets = [results.load_optima(files["optima"]), results.load_run(files["runs"])]
    datasets.append(results.load_meta_optimum(files["meta_optima"]))
    datasets.append(xr.load_dataset(files["tasks"]))
    datasets += [group.to_dataset() for group in results.load_experiment(files["datasets"]).children.values()]
    for dataset in datasets:
        for name, variable in dataset.variables.items():
            assert variable.attrs.get("long_name"), name


def test_building_again_gives_identical_files_without_host_path_or_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    one, other = save_everything(first), save_everything(second)
    for stage in ("tasks", "optima", "meta_optima", "runs"):
        xr.testing.assert_identical(xr.load_dataset(one[stage]), xr.load_dataset(other[stage]))
    trees = [results.load_experiment(files["datasets"]) for files in (one, other)]
    xr.testing.assert_identical(*trees)
    for path in one.values():
        attributes = xr.load_dataset(path).attrs
        text = " ".join(str(value) for value in attributes.values())
        assert attributes["Conventions"] == results.CONVENTIONS
        assert {"title", "metalqr_version", "numpy_version", "scipy_version", "numba_version"} <= set(attributes)
        assert str(tmp_path) not in text
        assert os.uname().nodename not in text.split()
        assert not re.search(r"\d{4}-\d{2}-\d{2}", text)


@pytest.mark.parametrize("stage", list(LOADERS))
def test_missing_file(stage: str, tmp_path: Path) -> None:
    with pytest.raises(results.StorageError, match=rf"nowhere\.nc: there is no such file; .* --cores all {stage}$"):
        LOADERS[stage](tmp_path / "nowhere.nc")


@pytest.mark.parametrize("stage", list(LOADERS))
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_truncated_file(stage: str, share: float, files: dict[str, Path]) -> None:
    content = files[stage].read_bytes()
    files[stage].write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        results.StorageError, match=rf"{stage}\.nc: it cannot be read as netCDF .* --cores all {stage}$"
    ):
        LOADERS[stage](files[stage])


@pytest.mark.parametrize("stage", list(LOADERS))
def test_text_file(stage: str, files: dict[str, Path]) -> None:
    files[stage].write_text("not netCDF at all\n" * 100)
    with pytest.raises(results.StorageError, match=r"it cannot be read as netCDF"):
        LOADERS[stage](files[stage])


@pytest.mark.parametrize("stage", list(LOADERS))
def test_file_of_another_program(stage: str, files: dict[str, Path]) -> None:
    xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(files[stage])
    with pytest.raises(results.StorageError, match=r"it was not written by metalqr; delete it"):
        LOADERS[stage](files[stage])


def test_file_of_another_stage(files: dict[str, Path]) -> None:
    with pytest.raises(results.StorageError, match=r"tasks\.nc: it belongs to the stage 'tasks'; .* all runs$"):
        results.load_run(files["tasks"])


@pytest.mark.parametrize(
    ("stage", "variable"), [("tasks", "B"), ("optima", "J0"), ("meta_optima", "verdict"), ("runs", "cost")]
)
def test_file_without_a_variable(stage: str, variable: str, files: dict[str, Path]) -> None:
    dataset = xr.load_dataset(files[stage]).drop_vars(variable)
    dataset.to_netcdf(files[stage])
    with pytest.raises(results.StorageError, match=rf"it lacks variable {variable};"):
        LOADERS[stage](files[stage])


def test_file_without_an_attribute(files: dict[str, Path]) -> None:
    dataset = xr.load_dataset(files["runs"])
    del dataset.attrs["seed"]
    dataset.to_netcdf(files["runs"])
    with pytest.raises(results.StorageError, match=r"it lacks attribute seed;"):
        results.load_run(files["runs"])


def test_file_with_other_dimensions(files: dict[str, Path]) -> None:
    dataset = xr.load_dataset(files["optima"])
    dataset["J0"] = ("state", np.zeros(STATE_DIM))
    dataset.to_netcdf(files["optima"])
    with pytest.raises(results.StorageError, match=r"J0 has the dimensions \('state',\), not \('task',\)"):
        results.load_optima(files["optima"])


def test_experiment_without_a_variable_names_the_case(tmp_path: Path, files: dict[str, Path]) -> None:
    case = combine(tmp_path, files["optima"], sweep={}, linked={}).drop_vars("ratio")
    results.save_experiment(files["datasets"], "figure1", {"broken": case})
    with pytest.raises(results.StorageError, match=r"it lacks variable ratio in its case 'broken'; .* all datasets$"):
        results.load_experiment(files["datasets"])


def test_run_that_ends_before_its_status(files: dict[str, Path]) -> None:
    xr.load_dataset(files["runs"]).isel(iteration=slice(0, 3)).to_netcdf(files["runs"])
    with pytest.raises(results.StorageError, match=r"it holds 3 iterations where its status says 6"):
        results.load_run(files["runs"])


def test_tasks_that_are_impossible(files: dict[str, Path]) -> None:
    dataset = xr.load_dataset(files["tasks"])
    dataset["Q"][1] = -np.eye(STATE_DIM)
    dataset.to_netcdf(files["tasks"])
    with pytest.raises(results.StorageError, match=r"impossible tasks \(task 1: Q is not positive definite"):
        results.load_tasks(files["tasks"])


@pytest.mark.parametrize(
    ("settings", "seed", "message"),
    [
        ({"perturbations": 5}, 0, "it was run with perturbations: 5, but perturbations: 4 is wanted"),
        (
            {"rollout_length": 9},
            0,
            "it was run with rollout_length: 9, but rollout_length: 50 is wanted, since the defau",
        ),
        ({}, 1, "it is a run of seed 1, not 0"),
    ],
)
def test_run_of_other_settings_or_seed_is_refused(
    settings: dict[str, Any], seed: int, message: str, tmp_path: Path, files: dict[str, Path]
) -> None:
    save_run(tmp_path / "run.nc", make_history(5), {**SETTINGS, **settings}, seed)
    with pytest.raises(results.StorageError, match=rf"run\.nc: {message}"):
        results.combine_runs([tmp_path / "run.nc"], {"one": files["optima"]}, experiment(), "one")


def test_failed_write_leaves_the_old_file_and_nothing_else(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = files["runs"].parent, files["runs"].read_bytes()
    names = set(folder.iterdir())

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(results.StorageError, match=r"runs\.nc: cannot be written \(No space left on device\)"):
        save_run(files["runs"], make_history(3), SETTINGS, 0)
    assert files["runs"].read_bytes() == before
    assert set(folder.iterdir()) == names


def test_missing_array_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    arrays = optima_arrays()
    del arrays["J0"]
    with pytest.raises(ValueError, match=r"a file of the stage 'optima' holds"):
        results.save_optima(tmp_path / "optima.nc", {}, case="one", **arrays)
    assert not list(tmp_path.iterdir())


def test_new_file_follows_the_umask(files: dict[str, Path]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert files["runs"].stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("stage", ["tasks", "optima", "meta_optima", "runs"])
def test_file_of_another_case(stage: str, files: dict[str, Path]) -> None:
    LOADERS[stage](files[stage], "one")
    with pytest.raises(results.StorageError, match=rf"{stage}\.nc: it belongs to the case 'one', not 'two'; delete it"):
        LOADERS[stage](files[stage], "two")


def test_run_of_another_case_is_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    save_run(tmp_path / "run.nc", make_history(5), SETTINGS, 0, case="two")
    with pytest.raises(results.StorageError, match=r"run\.nc: it belongs to the case 'two', not 'one'"):
        results.combine_runs([tmp_path / "run.nc"], {"one": files["optima"]}, experiment(), "one")


@pytest.mark.parametrize(("dimension", "size"), [("state", STATE_DIM), ("task", COUNT)])
def test_run_of_other_dimensions_is_refused(dimension: str, size: int, tmp_path: Path, files: dict[str, Path]) -> None:
    """NumPy would spread a gain of shape (1, 1) over the (1, 2) of the case."""
    save_run(tmp_path / "whole.nc", make_history(5), SETTINGS, 0)
    xr.load_dataset(tmp_path / "whole.nc").isel({dimension: slice(0, 1)}).to_netcdf(tmp_path / "run.nc")
    with pytest.raises(results.StorageError, match=rf"run\.nc: its dimension {dimension} is 1, but {size} in"):
        results.combine_runs([tmp_path / "run.nc"], {"one": files["optima"]}, experiment(), "one")


FULL_DISK = """
import resource, sys
import numpy as np
from metalqr import results

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
draw = np.random.default_rng(0).normal
arrays = {name: draw(size=[50] * len(spec.dims)) for name, spec in results.OPTIMA.variables.items()}
try:
    results.save_optima(sys.argv[1], {}, case="one", **arrays)
except results.StorageError as error:
    print(error)
"""


def test_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = [str(Path(results.__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    target = tmp_path / "made" / "optima.nc"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{target}: cannot be written (")
    assert not list(target.parent.iterdir())


def test_error_without_a_message_still_has_a_reason(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(xr, "load_dataset", fail)
    with pytest.raises(results.StorageError, match=r"it cannot be read as netCDF \(RuntimeError\)"):
        results.load_run(files["runs"])

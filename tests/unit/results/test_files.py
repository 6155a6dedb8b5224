"""Files of every stage: they come back as they were written, and hold nothing but what they should."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import descents
import measurements
import numpy as np
import pytest
import stored
import xarray as xr
from bad_input import with_dataset, with_value
from stored import COUNT, LAYOUTS, LOADERS, SETTINGS, STATE_DIM, make_history, make_tasks, save_run
from systems import initial_state_tasks, semidefinite_tasks

from metalqr import results
from metalqr.evaluation.exact_methods.dataset import METHODS, ExactDescent, exact_methods_dataset
from metalqr.evaluation.stability import Guarantee, stability_dataset
from metalqr.lqr import LQRTasks
from metalqr.results.files import provenance


def scalar_tasks() -> LQRTasks:
    one = np.ones((COUNT, 1, 1))
    return LQRTasks(A=one / 2, B=one, Q=one, R=one, Psi=one)


# --- what comes back


def test_tasks_come_back_to_the_last_bit(good: dict[str, Path]) -> None:
    tasks, (loaded, K0) = make_tasks(), results.load_problem(good["tasks"], "one")
    for name in set(results.TASKS.variables) - {"K0"}:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(tasks, name))
    np.testing.assert_array_equal(K0, np.zeros((1, STATE_DIM)))


def test_run_comes_back_to_the_last_bit_with_its_identity(good: dict[str, Path]) -> None:
    history, loaded = make_history(5), results.load_run(good["runs"], "one", SETTINGS)
    for name in results.RUNS.variables:
        np.testing.assert_array_equal(loaded[name].values, getattr(history, name))
    assert loaded["rollout_steps"].dtype == np.int64
    assert json.loads(loaded.attrs["settings"]) == SETTINGS
    assert (loaded.attrs["seed"], loaded.attrs["status"], loaded.attrs["status_iteration"]) == (7, "completed", 5)
    assert loaded["iteration"].values.tolist() == [0, 1, 2, 3, 4, 5]


def test_optima_come_back_to_the_last_bit(tmp_path: Path) -> None:
    arrays = stored.save_optima(tmp_path / "optima.nc")
    loaded = results.load_optima(tmp_path / "optima.nc", "one", make_tasks())
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].values, array)


UNKNOWN = {"K_meta": np.full((1, STATE_DIM), np.nan), "J_meta": np.full(COUNT, np.nan), "objective_meta": np.nan}


@pytest.mark.parametrize("changes", [{}, {**UNKNOWN, "verdict": "not found"}])
def test_optimum_of_the_meta_objective_comes_back_to_the_last_bit(changes: dict[str, Any], tmp_path: Path) -> None:
    arrays = stored.save_meta_optimum(tmp_path / "file.nc", **changes)
    loaded = results.load_meta_optimum(tmp_path / "file.nc", "one", make_tasks(), 0.01)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].values, array)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["theory", "estimation_error", "exact_methods", "stability", "certificates", "evaluation"]
)
def test_datasets_of_later_stages_come_back_identical(stage: str, good: dict[str, Path]) -> None:
    xr.testing.assert_identical(LOADERS[stage](good[stage], "one"), stored.later_datasets()[stage])


def test_estimation_errors_stand_under_their_names() -> None:
    found = measurements.estimation_error()
    dataset = found.to_dataset(measurements.SETTINGS, 7, case="one")
    assert dataset["target"].values.tolist() == ["gradient of task 0", "gradient of task 1", "meta-gradient"]
    assert dataset["algorithm"].values.tolist() == [1, 1, 2]
    for parameter in measurements.VALUES:
        sweep = getattr(found, parameter)
        assert dataset[f"error_mean_{parameter}"].dims == ("target", parameter)
        np.testing.assert_array_equal(dataset[parameter].values, sweep.values)
        np.testing.assert_array_equal(dataset[f"repeats_{parameter}"].values, sweep.repeats)
        np.testing.assert_array_equal(dataset[f"error_quantile_{parameter}"].values, sweep.error_quantile)
        for curve, name in (("error", "error_mean"), ("noise", "noise"), ("bias", "bias")):
            expected, place = getattr(sweep, curve), {"parameter": parameter, "curve": curve}
            np.testing.assert_array_equal(dataset[f"{name}_{parameter}"].values, expected.values)
            errors = dataset[f"{curve}_standard_error_{parameter}"].values
            np.testing.assert_array_equal(errors, expected.standard_error)
            for slope in ("slope", "slope_standard_error", "predicted_slope"):
                np.testing.assert_array_equal(dataset[slope].sel(place).values, getattr(expected, slope))
    assert {dataset[name].dtype for name in ("perturbations", "rollout_length")} == {np.dtype(np.int64)}
    assert [dataset.attrs[name] for name in ("case", "seed", "state_dim", "action_dim")] == ["one", 7, 2, 1]


def test_stability_stands_by_seed_and_ends_in_nan() -> None:
    dataset = stability_dataset(stored.STABILITIES, {}, case="one")
    assert dataset["seed"].values.tolist() == [3, 1]
    assert dataset["last_iteration"].values.tolist() == [5, 3]
    for seed, run in stored.STABILITIES.items():
        chosen = dataset.sel(seed=seed)
        for name in ("spectral_radius", "cost", "exactly_adapted_cost", "adapted_cost", "mean_cost", "objective"):
            np.testing.assert_array_equal(chosen[name].values[: len(run.cost)], getattr(run, name))
            assert np.isnan(chosen[name].values[len(run.cost) :]).all()
        for name in ("mean_cost_rise", "objective_rise", "cost_rise"):
            np.testing.assert_array_equal(chosen[name].values, getattr(run, name))
        for guarantee in Guarantee:
            check, kept = run.check_of(guarantee), chosen.sel(promise=str(guarantee))
            first = -1 if check.first_violation is None else check.first_violation
            assert [float(kept[name]) for name in ("checked", "kept", "first_broken")] == [
                check.checked,
                check.share,
                first,
            ]
    with pytest.raises(ValueError, match="there is no run; give at least one"):
        stability_dataset({}, {}, case="one")


@pytest.mark.slow
def test_exact_methods_stand_by_method_and_task(tmp_path: Path) -> None:
    unknown = descents.descent("gradient_descent", guaranteed_rate=np.full(3, np.nan))
    paths = [unknown, *(descents.descent(method) for method in list(METHODS)[1:])]
    without = ExactDescent.absent("exact_maml", np.zeros((1, 1, 2)), 40, "the first gain is not MAML-stabilising")
    results.save(tmp_path / "without.nc", exact_methods_dataset(paths, without, {}, case="one"))
    dataset = LOADERS["exact_methods"](tmp_path / "without.nc")
    for descent in paths:
        chosen = dataset.sel(descent=descent.method)
        np.testing.assert_array_equal(chosen["gap"].values, descent.gap.T)
        for name in ("step", "curvature", "guaranteed_rate", "asymptotic_rate", "linearised_rate", "measured_rate"):
            np.testing.assert_array_equal(chosen[name].values, getattr(descent, name))
    assert dataset["meta_gap"].shape == (41,)
    assert dataset["meta_remark"].item() == "the first gain is not MAML-stabilising"
    numbers = dataset.drop_vars("meta_remark").data_vars
    assert all(np.isnan(dataset[name]).all() for name in numbers if str(name).startswith("meta_"))
    dataset, meta = stored.later_datasets()["exact_methods"], descents.meta_descent()
    for name in ("gap", "step", "curvature", "asymptotic_rate", "linearised_rate", "measured_rate"):
        np.testing.assert_array_equal(dataset[f"meta_{name}"].values, getattr(meta, name)[..., 0])
    assert (dataset.attrs["state_dim"], dataset.attrs["action_dim"]) == (2, 1)


@pytest.mark.parametrize(
    ("methods", "lengths", "message"),
    [
        ([], [], "the descents are of no method; give one of gradient_descent, natural_gradient, gauss_newton each"),
        (list(METHODS)[::-1], [40, 40, 40], "the descents are of gauss_newton, natural_gradient, gradient_descent;"),
        (list(METHODS), [40, 30, 40], "the descents have 40, 30, 40, 40 iterations; give them the same"),
        (list(METHODS), [30, 30, 30], "the descents have 30, 30, 30, 40 iterations; give them the same"),
    ],
)
def test_descents_that_do_not_belong_together_are_refused(methods: list[str], lengths: list[int], message: str) -> None:
    paths = [descents.descent(method, length) for method, length in zip(methods, lengths, strict=True)]
    with pytest.raises(ValueError, match=re.escape(message)):
        exact_methods_dataset(paths, descents.meta_descent(), {}, case="one")


# --- what every file holds


def groups(path: Path) -> list[xr.Dataset]:
    with xr.open_datatree(path, engine="netcdf4", decode_times=False) as tree:
        return [group.to_dataset().load() for group in tree.subtree]


@pytest.mark.parametrize("stage", list(LAYOUTS))
def test_every_file_says_what_it_is_without_host_path_or_time(stage: str, good: dict[str, Path]) -> None:
    found = groups(good[stage])
    for dataset in found:
        for name, variable in dataset.variables.items():
            assert variable.attrs.get("long_name"), name
    attributes = found[0].attrs
    assert attributes["Conventions"] == results.CONVENTIONS
    assert {"title", "metalqr_version", "numpy_version", "scipy_version", "numba_version"} <= set(attributes)
    text = " ".join(map(str, attributes.values()))
    assert str(good[stage].parent) not in text
    assert os.uname().nodename not in text.split()
    assert not re.search(r"\d{4}-\d{2}-\d{2}", text)


@pytest.mark.slow
def test_versions_are_those_of_the_imported_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the first metadata on the path."""
    monkeypatch.setattr(np, "__version__", "of another module")
    assert provenance(results.RUNS)["numpy_version"] == "of another module"


@pytest.mark.slow
def test_building_again_gives_identical_files(good: dict[str, Path], tmp_path: Path) -> None:
    for stage, path in stored.save_everything(tmp_path).items():
        for one, other in zip(groups(path), groups(good[stage]), strict=True):
            xr.testing.assert_identical(one, other)


def test_new_file_follows_the_umask(good: dict[str, Path]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert good["runs"].stat().st_mode & 0o777 == 0o666 & ~mask


# --- what is refused


@pytest.mark.parametrize("stage", list(LOADERS))
def test_missing_file(stage: str, tmp_path: Path) -> None:
    with pytest.raises(results.StorageError, match=rf"nowhere\.nc: there is no such file; .* --cores all {stage}$"):
        LOADERS[stage](tmp_path / "nowhere.nc")


@pytest.mark.parametrize("stage", [stage for stage in LOADERS if stage != "datasets"])
def test_file_of_another_case(stage: str, good: dict[str, Path]) -> None:
    LOADERS[stage](good[stage], "one")
    with pytest.raises(results.StorageError, match=rf"{stage}\.nc: it belongs to the case 'one', not 'two'; delete it"):
        LOADERS[stage](good[stage], "two")


@pytest.mark.parametrize("stage", ["optima", "meta_optima"])
def test_optima_of_other_tasks_are_refused(stage: str, good: dict[str, Path]) -> None:
    message = rf"{stage}\.nc: its dimension state is {STATE_DIM}, but 1 in the tasks; delete it and run the stage again"
    with pytest.raises(results.StorageError, match=message):
        LOADERS[stage](good[stage], "one", scalar_tasks())


def test_optimum_of_another_adaptation_rate_is_refused(good: dict[str, Path]) -> None:
    with pytest.raises(results.StorageError, match=r"it is of the adaptation rate 0\.01, not 0\.02; .* meta_optima$"):
        results.load_meta_optimum(good["meta_optima"], adaptation_rate=0.02)


def test_run_of_other_settings_is_refused(good: dict[str, Path]) -> None:
    message = "it was run with perturbations: 4, but perturbations: 5 is wanted; delete it"
    with pytest.raises(results.StorageError, match=message):
        results.load_run(good["runs"], "one", {**SETTINGS, "perturbations": 5})


Change = Callable[[xr.Dataset], xr.Dataset]
PARAMETERS = "perturbations, smoothing_radius, rollout_length"
CHANGES: list[tuple[str, Change, str]] = [
    ("tasks", lambda data: data.assign(Q=-data["Q"]), "impossible tasks (task 0: Q is not positive semidefinite"),
    ("meta_optima", with_value("J_meta", np.nan), "it holds only some of K_meta, J_meta, objective_meta;"),
    ("meta_optima", with_value("objective_K0", np.nan), "its variable objective_K0 is NaN;"),
    (
        "meta_optima",
        with_value("largest_adaptation_rate", -np.inf),
        "its variable largest_adaptation_rate is infinite;",
    ),
    (
        "meta_optima",
        with_value("verdict", "perhaps"),
        "its variable verdict holds 'perhaps', not learnable, not learnable or not found;",
    ),
    ("theory", lambda data: data.drop_vars("broken"), "it lacks variable broken;"),
    ("estimation_error", with_value("exact_norm", np.inf), "its variable exact_norm is infinite at target 0;"),
    (
        "estimation_error",
        with_value("error_mean_perturbations", np.nan),
        "its variable error_mean_perturbations is NaN where there are repeats",
    ),
    (
        "estimation_error",
        lambda data: data.isel(target=slice(0, 1)),
        "its targets are not the gradient of each task and the meta-gradient;",
    ),
    (
        "estimation_error",
        lambda data: data.isel(parameter=slice(0, 2)),
        f"its variable parameter is perturbations, smoothing_radius, not {PARAMETERS};",
    ),
    (
        "estimation_error",
        lambda data: data.isel(curve=slice(None, None, -1)),
        "its variable curve is bias, noise, error, not error, noise, bias;",
    ),
    (
        "estimation_error",
        lambda data: data.isel(state=slice(0, 1)),
        "its dimension state is 1, but its attribute state_dim is 2;",
    ),
    (
        "exact_methods",
        lambda data: data.isel(descent=slice(0, 1)),
        f"its variable descent is gradient_descent, not {', '.join(METHODS)};",
    ),
    ("exact_methods", with_value("gap", np.inf), "its variable gap is infinite at descent 0, task 0, iteration 0;"),
    ("exact_methods", with_value("meta_step", np.inf), "its variable meta_step is infinite; delete it"),
    ("stability", with_value("mean_cost_rise", np.nan), "its variable mean_cost_rise is NaN at seed 0;"),
    ("stability", with_value("kept", np.inf), "its variable kept is infinite at seed 0, promise 0;"),
    ("stability", with_value("promise", "kept"), "its variable promise holds 'kept', not stabilising, perturbed_stab"),
    ("stability", lambda data: data.isel(promise=[0]), "its variable promise is stabilising, not stabilising, pertur"),
    ("certificates", with_value("stable_share", np.nan), "its variable stable_share is NaN at seed 0;"),
    ("certificates", lambda data: data.isel(form=[0]), "its variable form is printed, not printed, corrected;"),
    (
        "stability",
        lambda data: data.isel(iteration=slice(0, 2)),
        "it holds 2 iterations, but its longest run has 6;",
    ),
]


@pytest.mark.parametrize(("stage", "change", "reason"), CHANGES, ids=[reason[:50] for *_, reason in CHANGES])
def test_wrong_content(stage: str, change: Change, reason: str, files: dict[str, Path]) -> None:
    with_dataset(files[stage], change)
    with pytest.raises(results.StorageError, match=re.escape(reason)):
        LOADERS[stage](files[stage])


def test_file_without_an_attribute(files: dict[str, Path]) -> None:
    dataset = xr.load_dataset(files["runs"])
    del dataset.attrs["seed"]
    dataset.to_netcdf(files["runs"])
    with pytest.raises(results.StorageError, match=r"it lacks attribute seed;"):
        results.load_run(files["runs"])


# --- writing


def test_missing_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a file of the stage 'optima' holds K_star, .*; got J0"):
        results.dataset_of(results.OPTIMA, {"J0": np.ones(3)}, case="one", settings={})


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


FULL_DISK = """
import resource, sys
import numpy as np
import xarray as xr
from metalqr import results

resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    results.save(sys.argv[1], xr.Dataset({"a": ("b", np.random.default_rng(0).normal(size=50_000))}))
except results.StorageError as error:
    print(error)
"""


@pytest.mark.slow
def test_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "made" / "file.nc"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{target}: cannot be written (")
    assert not list(target.parent.iterdir())


def test_error_without_a_message_still_has_a_reason(good: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(xr, "load_dataset", fail)
    with pytest.raises(results.StorageError, match=r"it cannot be read as netCDF \(RuntimeError\)"):
        results.load_run(good["runs"])


def test_cross_terms_are_stored_where_there_are_some(tmp_path: Path) -> None:
    tasks = semidefinite_tasks(1, 2, 2, 1)
    started = initial_state_tasks(1, 2, 2, 1)
    for given in (tasks, tasks.replace(S=None), started, started.replace(initial_mean=None)):
        results.save_tasks(tmp_path / "tasks.nc", given, np.zeros((1, 2)), {}, case="one")
        with xr.open_dataset(tmp_path / "tasks.nc") as stored:
            assert ("S" in stored) == given.has_cross_terms
            assert ("initial_mean" in stored) == given.initial_mean.any()
            assert ("noise" in stored) == (given.noise != "process")
        found = results.load_tasks(tmp_path / "tasks.nc", "one")
        for name, array in vars(given).items():
            np.testing.assert_array_equal(getattr(found, name), array)

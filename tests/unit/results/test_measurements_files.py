"""Files of estimation errors and of stability: they come back as they went, or are refused with the reason."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import measurements
import numpy as np
import pytest
import xarray as xr
from bad_input import with_dataset, with_value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bad_files import REMEDY, mutated
from test_files import SETTINGS, make_history

from metalqr import results
from metalqr.evaluation.estimation_error import PREDICTED_SLOPES, Slopes
from metalqr.evaluation.guarantees import Promise
from metalqr.results.estimation_error import CURVES, PARAMETERS
from metalqr.results.guarantees import PROMISES

LOADERS = {"estimation_error": results.load_estimation_error, "stability": results.load_stability}
RUNS = {3: measurements.stability(), 1: measurements.stability(length=4, share=1.0, rise=np.inf)}


def write(folder: Path) -> dict[str, Path]:
    """A file of each stage."""
    files = {stage: folder / f"{stage}.nc" for stage in LOADERS}
    errors = measurements.estimation_error(infinite={"bias": (4,), "error": (4,)})
    results.save_estimation_error(files["estimation_error"], errors, measurements.SETTINGS, 7, case="one")
    results.save_stability(files["stability"], RUNS, measurements.SETTINGS, case="one")
    return files


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write(tmp_path_factory.mktemp("good"))


def test_names_are_those_of_the_results() -> None:
    assert tuple(PREDICTED_SLOPES) == PARAMETERS
    assert Slopes._fields == CURVES
    assert tuple(str(promise) for promise in Promise) == PROMISES


def test_estimation_errors_come_back_to_the_last_bit(good: dict[str, Path]) -> None:
    found = measurements.estimation_error(infinite={"bias": (4,), "error": (4,)})
    loaded = results.load_estimation_error(good["estimation_error"], "one")
    assert loaded["target"].values.tolist() == ["gradient of task 0", "gradient of task 1", "meta-gradient"]
    assert loaded["algorithm"].values.tolist() == [1, 1, 2]
    np.testing.assert_array_equal(loaded["K"].values, found.K)
    np.testing.assert_array_equal(loaded["exact_norm"].values, found.exact_norm)
    for parameter in PARAMETERS:
        sweep = getattr(found, parameter)
        assert loaded[f"error_mean_{parameter}"].dims == ("target", parameter)
        np.testing.assert_array_equal(loaded[parameter].values, sweep.values)
        for name, array in {
            "repeats": sweep.repeats,
            "error_mean": sweep.error.values,
            "error_standard_error": sweep.error.standard_error,
            "error_quantile": sweep.error_quantile,
            "noise": sweep.noise.values,
            "noise_standard_error": sweep.noise.standard_error,
            "bias": sweep.bias.values,
            "bias_standard_error": sweep.bias.standard_error,
        }.items():
            np.testing.assert_array_equal(loaded[f"{name}_{parameter}"].values, array)
        for name in CURVES:
            curve, place = getattr(sweep, name), {"parameter": parameter, "curve": name}
            np.testing.assert_array_equal(loaded["slope"].sel(place).values, curve.slope)
            np.testing.assert_array_equal(loaded["slope_standard_error"].sel(place).values, curve.slope_standard_error)
            assert loaded["predicted_slope"].sel(place) == curve.predicted_slope
    assert {loaded[name].dtype for name in ("perturbations", "rollout_length")} == {np.dtype(np.int64)}
    assert json.loads(loaded.attrs["settings"]) == measurements.SETTINGS
    assert [loaded.attrs[name] for name in ("case", "seed", "state_dim", "action_dim")] == ["one", 7, 2, 1]


def test_stability_comes_back_to_the_last_bit(good: dict[str, Path]) -> None:
    loaded = results.load_stability(good["stability"], "one")
    assert loaded["seed"].values.tolist() == [3, 1]
    assert loaded["last_iteration"].values.tolist() == [5, 3]
    for seed, run in RUNS.items():
        chosen = loaded.sel(seed=seed)
        for name in (
            "spectral_radius", "cost", "exactly_adapted_cost", "adapted_cost", "mean_cost", "objective",
            "unstable_share",
        ):  # fmt: skip
            np.testing.assert_array_equal(chosen[name].values[: len(run.cost)], getattr(run, name))
            assert np.isnan(chosen[name].values[len(run.cost) :]).all()
        for name in ("mean_cost_rise", "objective_rise", "cost_rise"):
            np.testing.assert_array_equal(chosen[name].values, getattr(run, name))
        for promise in Promise:
            record, kept = run.record(promise), chosen.sel(promise=str(promise))
            assert (kept["checked"], kept["kept"]) == (record.checked, record.share)
            assert kept["first_broken"] == (-1 if record.first_broken is None else record.first_broken)


@pytest.mark.parametrize("stage", list(LOADERS))
def test_every_variable_says_what_it_is(stage: str, good: dict[str, Path]) -> None:
    for name, variable in LOADERS[stage](good[stage]).variables.items():
        assert variable.attrs.get("long_name"), name


def test_writing_again_gives_identical_datasets(good: dict[str, Path], tmp_path: Path) -> None:
    for stage, path in write(tmp_path).items():
        xr.testing.assert_identical(LOADERS[stage](path), LOADERS[stage](good[stage]))


def test_a_file_of_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no run to write; give at least one"):
        results.save_stability(tmp_path / "none.nc", {}, measurements.SETTINGS, case="one")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", list(LOADERS))
def test_missing_file_and_file_of_another_case_or_stage(stage: str, good: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(results.StorageError, match=rf"there is no such file; run the stage.*--cores all {stage}$"):
        LOADERS[stage](tmp_path / "none.nc")
    with pytest.raises(results.StorageError, match=r"it belongs to the case 'one', not 'two'"):
        LOADERS[stage](good[stage], "two")
    other = next(name for name in LOADERS if name != stage)
    with pytest.raises(results.StorageError, match=rf"it belongs to the stage '{other}'; .*--cores all {stage}$"):
        LOADERS[stage](good[other])


Change = Callable[[xr.Dataset], xr.Dataset]
CHANGES: list[tuple[str, Change, str]] = [
    ("estimation_error", lambda dataset: dataset.drop_vars("slope"), "it lacks variable slope"),
    ("estimation_error", with_value("exact_norm", np.inf), "its variable exact_norm is infinite at target 0"),
    (
        "estimation_error",
        with_value("error_mean_perturbations", np.nan),
        "its variable error_mean_perturbations is not a number at target 0, perturbations 0",
    ),
    (
        "estimation_error",
        lambda dataset: dataset.isel(target=slice(0, 1)),
        "its targets are not the gradient of each task and the meta-gradient",
    ),
    (
        "estimation_error",
        lambda dataset: dataset.isel(parameter=slice(0, 2)),
        "its coordinate parameter is perturbations, smoothing_radius, not perturbations, smoothing_radius, "
        "rollout_length",
    ),
    (
        "estimation_error",
        lambda dataset: dataset.isel(curve=slice(None, None, -1)),
        "its coordinate curve is bias, noise, error, not error, noise, bias",
    ),
    (
        "estimation_error",
        lambda dataset: dataset.isel(state=slice(0, 1)),
        "its dimension state is 1, but its attribute state_dim is 2",
    ),
    (
        "estimation_error",
        lambda dataset: dataset.assign_attrs(seed="seven"),
        "its attribute seed is 'seven', not a whole number >= 0",
    ),
    ("stability", lambda dataset: dataset.drop_vars("cost"), "it lacks variable cost"),
    ("stability", with_value("mean_cost_rise", np.nan), "its variable mean_cost_rise is not a number at seed 0"),
    ("stability", with_value("kept", np.inf), "its variable kept is infinite at seed 0, promise 0"),
    (
        "stability",
        with_value("promise", "kept"),
        f"its variable promise holds 'kept', not {', '.join(PROMISES[:-1])} or {PROMISES[-1]}",
    ),
    (
        "stability",
        lambda dataset: dataset.isel(promise=slice(0, 1)),
        f"its promises are {PROMISES[0]}, not {', '.join(PROMISES)}",
    ),
    (
        "stability",
        lambda dataset: dataset.isel(iteration=slice(0, 2)),
        "it holds 2 iterations where its longest run has 6",
    ),
    (
        "stability",
        lambda dataset: dataset.assign(cost=dataset["cost"].astype(np.float32)),
        "its variable cost holds float32, not real numbers (float64)",
    ),
]


@pytest.mark.parametrize(("stage", "change", "reason"), CHANGES, ids=[reason[:50] for *_, reason in CHANGES])
def test_bad_file(stage: str, change: Change, reason: str, good: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "copy.nc"
    path.write_bytes(good[stage].read_bytes())
    with_dataset(path, change)
    with pytest.raises(results.StorageError) as caught:
        LOADERS[stage](path)
    assert str(caught.value) == f"{path}: {reason}{REMEDY}{stage}"


def refusal(stage: str, path: Path) -> str:
    """With what a file is refused, "" if it is not. Any other error goes on."""
    try:
        LOADERS[stage](path)
    except results.StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("stage", list(LOADERS))
@pytest.mark.filterwarnings("ignore")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(data=st.data())
def test_any_change_of_a_file_is_read_or_refused_with_its_name(
    stage: str, data: st.DataObject, good: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "copy.nc"
    path.write_bytes(good[stage].read_bytes())
    try:
        with_dataset(path, lambda dataset: mutated(dataset, data))
    except Exception:  # of any kind: what xarray cannot write is no bad file
        return
    message = refusal(stage, path)
    assert not message or (message.startswith(f"{path}: ") and message.endswith(f"--cores all {stage}"))


def test_run_of_other_settings_is_refused(tmp_path: Path) -> None:
    results.save_run(tmp_path / "run.nc", make_history(5), SETTINGS, 0, case="one", perturbed_policies=12)
    results.load_run(tmp_path / "run.nc", "one", SETTINGS)
    with pytest.raises(
        results.StorageError,
        match=r"run\.nc: it was run with perturbations: .*, but perturbations: 5 is wanted; delete it",
    ):
        results.load_run(tmp_path / "run.nc", "one", {**SETTINGS, "perturbations": 5})

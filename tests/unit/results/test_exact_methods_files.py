"""Files of the exact first-order methods: they come back as they went, or are refused with the reason."""

import json
import re
import tempfile
from pathlib import Path

import descents
import numpy as np
import pytest
import xarray as xr
from bad_input import spoil, with_dataset, with_value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bad_files import REMEDY, mutated
from test_files import optima_arrays

from metalqr import results
from metalqr.evaluation.exact_methods import Method
from metalqr.results.exact_methods import METHODS

SETTINGS = {"iterations": 40, "adaptation_rate": 1e-5}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("good")
    files = {stage: folder / f"{stage}.nc" for stage in ("exact_methods", "optima")}
    paths = [descents.descent(method) for method in Method]
    results.save_exact_methods(files["exact_methods"], paths, descents.meta_descent(), SETTINGS, case="one")
    results.save_optima(files["optima"], {}, case="one", **optima_arrays())
    return files


@pytest.fixture
def path(good: dict[str, Path], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copy = tmp_path / "exact_methods.nc"
    copy.write_bytes(good["exact_methods"].read_bytes())
    return copy


def test_the_methods_of_a_file_are_all_there_are() -> None:
    assert tuple(str(method) for method in Method) == METHODS


def test_everything_comes_back_to_the_last_bit(path: Path) -> None:
    dataset, meta = results.load_exact_methods(path, "one"), descents.meta_descent()
    assert dataset["gap"].dims == ("descent", "task", "iteration")
    assert dataset["descent"].values.tolist() == list(METHODS)
    assert dataset["iteration"].values.tolist() == list(range(41))
    for method in Method:
        chosen, written = dataset.sel(descent=str(method)), descents.descent(method)
        np.testing.assert_array_equal(chosen["gap"].values, written.gap.T)
        for name in (
            "step", "curvature", "guaranteed_rate", "asymptotic_rate", "linearised_rate", "measured_rate",
        ):  # fmt: skip
            np.testing.assert_array_equal(chosen[name].values, getattr(written, name))
    for name in ("gap", "step", "curvature", "asymptotic_rate", "linearised_rate", "measured_rate"):
        np.testing.assert_array_equal(dataset[f"meta_{name}"].values, getattr(meta, name))
    assert json.loads(dataset.attrs["settings"]) == SETTINGS
    assert (dataset.attrs["case"], dataset.attrs["state_dim"], dataset.attrs["action_dim"]) == ("one", 2, 1)
    for name, variable in dataset.variables.items():
        assert variable.attrs.get("long_name"), name


def test_writing_again_gives_an_identical_dataset(good: dict[str, Path], tmp_path: Path) -> None:
    paths = [descents.descent(method) for method in Method]
    results.save_exact_methods(tmp_path / "again.nc", paths, descents.meta_descent(), SETTINGS, case="one")
    xr.testing.assert_identical(
        results.load_exact_methods(tmp_path / "again.nc"), results.load_exact_methods(good["exact_methods"])
    )


def test_without_a_descent_on_the_meta_objective_its_numbers_are_missing(tmp_path: Path) -> None:
    unknown = descents.descent(Method.GRADIENT_DESCENT, guaranteed_rate=np.full(3, np.nan))
    paths = [unknown, *(descents.descent(method) for method in list(Method)[1:])]
    results.save_exact_methods(tmp_path / "without.nc", paths, None, SETTINGS, case="one")
    dataset = results.load_exact_methods(tmp_path / "without.nc")
    assert dataset["meta_gap"].shape == (41,)
    for name in dataset.data_vars:
        expected = str(name).startswith("meta_")
        assert bool(np.isnan(dataset[name]).all()) == expected or name == "guaranteed_rate"
    assert np.isnan(dataset["guaranteed_rate"]).sum() == 3


@pytest.mark.parametrize(
    ("methods", "lengths", "message"),
    [
        ([], [], "the descents are of no method; give one of gradient_descent, natural_gradient, gauss_newton each"),
        (list(Method)[::-1], [40, 40, 40], "the descents are of gauss_newton, natural_gradient, gradient_descent;"),
        (list(Method), [40, 30, 40], "the descents have 40, 30, 40, 40 iterations; give them the same"),
        (list(Method), [30, 30, 30], "the descents have 30, 30, 30, 40 iterations; give them the same"),
    ],
)
def test_descents_that_do_not_belong_together_are_refused(
    methods: list[Method], lengths: list[int], message: str, tmp_path: Path
) -> None:
    paths = [descents.descent(method, length) for method, length in zip(methods, lengths, strict=True)]
    with pytest.raises(ValueError, match=re.escape(message)):
        results.save_exact_methods(tmp_path / "wrong.nc", paths, descents.meta_descent(), SETTINGS, case="one")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "it is empty"),
        ("cut off", "it cannot be read as netCDF (NetCDF: HDF error)"),
        ("damaged", "it is damaged: its content is not the one that was written"),
        ("not netCDF", "it cannot be read as netCDF (NetCDF: Unknown file format)"),
        ("netCDF of another program", "it was not written by metalqr"),
        ("of another stage", "it belongs to the stage 'optima'"),
        ("of another case or experiment", "it belongs to the case 'd2k2', not 'one'"),
        ("incomplete", "it lacks variable gap"),
        (
            "with a dimension of another name",
            "its variable gap has the dimensions ('descent', 'task', 'other'), not ('descent', 'task', 'iteration')",
        ),
        (
            "of another shape",
            "its methods are gradient_descent, not gradient_descent, natural_gradient, gauss_newton",
        ),
        ("with what is not a number", "its variable gap is not a number at descent 0, task 0, iteration 0"),
        ("with infinite numbers", "its variable gap is infinite at descent 0, task 0, iteration 0"),
        ("with text for numbers", "its variable gap holds text or objects, not real numbers (float64)"),
        ("in single precision", "its variable gap holds float32, not real numbers (float64)"),
        ("with an impossible attribute", "its attribute state_dim is 0, not a whole number >= 1"),
    ],
)
def test_bad_file(kind: str, reason: str, good: dict[str, Path], path: Path) -> None:
    spoil(kind, "exact_methods", path, good)
    with pytest.raises(results.StorageError) as caught:
        results.load_exact_methods(path, "one" if kind == "of another case or experiment" else None)
    assert str(caught.value) == f"{path}: {reason}{REMEDY}exact_methods"


def test_a_single_number_that_is_infinite_has_no_place(path: Path) -> None:
    with_dataset(path, with_value("meta_step", np.inf))
    with pytest.raises(results.StorageError, match=r"its variable meta_step is infinite; delete it"):
        results.load_exact_methods(path)


def refusal(path: Path) -> str:
    """With what a file is refused, "" if it is not. Any other error goes on."""
    try:
        results.load_exact_methods(path)
    except results.StorageError as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(data=st.data())
def test_any_change_of_a_file_is_read_or_refused_with_its_name(
    data: st.DataObject, good: dict[str, Path], tmp_path: Path
) -> None:
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "exact_methods.nc"
    path.write_bytes(good["exact_methods"].read_bytes())
    try:
        with_dataset(path, lambda dataset: mutated(dataset, data))
    except Exception:  # of any kind: what xarray cannot write is no bad file
        return
    message = refusal(path)
    assert not message or (message.startswith(f"{path}: ") and message.endswith("--cores all exact_methods"))

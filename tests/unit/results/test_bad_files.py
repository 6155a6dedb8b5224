"""Files of the pipeline that are not what they should be: each row of docs/bad-input.md, and anything at all."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from bad_input import rows, spoil, with_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import ROOT
from stored import ACTION_DIM, LOADERS, PAGE, STATE_DIM

from metalqr import results

REMEDY = "; delete it and run the stage again, with the options you used: snakemake --cores all "


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.99])
def test_one_bit_that_flipped_is_noticed(share: float, files: dict[str, Path]) -> None:
    """Also where it is one of a number: the netCDF library would read another number."""
    content = bytearray(files["runs"].read_bytes())
    content[int(share * len(content))] ^= 1
    files["runs"].write_bytes(content)
    with pytest.raises(results.StorageError, match=r"it is damaged: its content differs from what was written; del"):
        results.load_run(files["runs"])


def test_other_programs_read_a_file_with_a_checksum(good: dict[str, Path]) -> None:
    assert good["runs"].read_bytes()[-80:].startswith(b"\nmetalqr-sha256:")
    assert xr.load_dataset(good["runs"]).sizes["iteration"] == 6
    with netCDF4.Dataset(good["runs"]) as file:
        assert file["K"].shape == (6, ACTION_DIM, STATE_DIM)


# --- the rows of the page --------------------------------------------------------------------------------------------


ROWS = [(row.id, *row.values) for row in rows("Files of every stage")]


@pytest.mark.parametrize(("kind", "stage", "reason"), ROWS)
def test_bad_file(kind: str, stage: str, reason: str, good: dict[str, Path], files: dict[str, Path]) -> None:
    spoil(kind, stage, files[stage], good)
    owner = "figure2" if stage == "datasets" else "one"
    with pytest.raises(results.StorageError) as caught:
        LOADERS[stage](files[stage], owner if kind == "of another case or experiment" else None)
    assert str(caught.value) == f"{files[stage]}: {reason}{REMEDY}{stage}"


def test_page_has_a_row_for_each_stage_and_kind() -> None:
    kinds = dict.fromkeys(kind for kind, *_ in ROWS)
    assert [(kind, stage) for kind, stage, _ in ROWS] == [(kind, stage) for kind in kinds for stage in PAGE]
    assert len(kinds) == 15


# --- anything at all -------------------------------------------------------------------------------------------------


dims = st.sampled_from(["task", "state", "state_2", "action", "iteration", "seed", "other"])
arrays = st.one_of(
    st.floats().map(np.float64), st.integers(-(2**63), 2**63 - 1).map(np.int64), st.booleans().map(np.array),
    st.text("ab\0é", max_size=3).map(np.array), st.floats(width=32).map(np.float32), st.integers(0, 255).map(np.uint8),
)  # fmt: skip
attributes = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(),
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from(["{}", "[]", '{"a": NaN}', "diverged", "one"]),
)


def mutated(dataset: xr.Dataset, data: st.DataObject) -> xr.Dataset:
    """The dataset with one thing changed: a variable gone, renamed, of another shape or kind, or an attribute."""
    name = data.draw(st.sampled_from(list(map(str, dataset.variables))))
    attribute = data.draw(st.sampled_from(list(dataset.attrs)))
    array = dataset[name]
    match data.draw(
        st.sampled_from(["drop", "rename", "fill", "entry", "shape", "dims", "cut", "attribute", "encode"])
    ):
        case "drop":
            return dataset.drop_vars(name)
        case "rename":
            return dataset.rename_vars({name: data.draw(st.sampled_from(["other", "state", "K9"]))})
        case "fill":
            return dataset.drop_vars(name).assign({name: (array.dims, np.full(array.shape, data.draw(arrays)))})
        case "entry" if array.dtype.kind == "f":
            values = array.values.copy()
            values[tuple(data.draw(st.integers(-1, 0)) for _ in array.dims)] = data.draw(st.floats())
            return dataset.assign({name: (array.dims, values)})
        case "shape":
            free = dataset.drop_vars(name)
            chosen = tuple(data.draw(st.lists(dims, max_size=3, unique=True)))
            shape = [free.sizes.get(dim, data.draw(st.integers(0, 3))) for dim in chosen]
            return free.assign({name: (chosen, np.ones(shape))})
        case "dims" if array.ndim > 1:
            return dataset.assign({name: array.transpose()})
        case "cut" if array.ndim:
            return dataset.isel({array.dims[0]: slice(0, data.draw(st.integers(0, 1)))})
        case "attribute":
            return dataset.assign_attrs({attribute: data.draw(attributes)})
        case _:
            changed = dataset.copy()
            key = data.draw(
                st.sampled_from(["scale_factor", "units", "_FillValue", "dtype", "coordinates", "missing_value"])
            )
            changed[name].attrs[key] = data.draw(attributes)
            return changed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(data=st.data())
@pytest.mark.parametrize("stage", list(LOADERS))
def test_any_change_of_a_file_is_read_or_refused_with_its_name(
    stage: str, data: st.DataObject, good: dict[str, Path], tmp_path: Path
) -> None:
    # Another path each time: after a failure xarray may still have the file before open.
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / f"{stage}.nc"
    path.write_bytes(good[stage].read_bytes())
    try:
        with_dataset(path, lambda dataset: mutated(dataset, data))
    except Exception:  # of any kind: what xarray cannot write is no bad file
        return
    try:
        LOADERS[stage](path)
        message = ""
    except results.StorageError as error:
        message = str(error)
    assert not message or (message.startswith(f"{path}: ") and message.endswith(f"--cores all {stage}"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", PAGE)
def test_any_bytes_are_read_or_refused_with_the_files_name(stage: str, files: dict[str, Path]) -> None:
    """In a process of its own, which tells an error from a crash of the netCDF library."""
    command = [sys.executable, str(ROOT / "tests" / "helpers" / "mangled.py"), stage, str(files[stage]), "40"]
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    found = json.loads(done.stdout)
    assert set(found) <= {"read", "refused"}
    assert found["refused"] > 20

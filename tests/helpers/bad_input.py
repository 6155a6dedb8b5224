"""The tables of docs/bad-input.md, whose messages are those that a user gets, and the bad files that they name."""

import codecs
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"


def rows(heading: str) -> list[Any]:
    """The rows of a section's tables, without the first column and the code marks."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[1].startswith("`"):
            found.append(pytest.param(*(cell.strip("`") for cell in cells[1:]), id=cells[0]))
    assert found, heading
    return found


def unescaped(cell: str) -> bytes:
    r"""The content of a file that a table gives in one line, with `\n`, `\t` and `\xff`."""
    return codecs.decode(cell, "unicode_escape").encode("latin-1")


def with_dataset(path: Path, action: Callable[[xr.Dataset], xr.Dataset]) -> None:
    """Write the file again with its dataset changed; of an experiment, that of the first case."""
    with xr.open_datatree(path, engine="netcdf4", decode_times=False) as opened:
        tree = opened.load()
    group = next(iter(tree.children), "/")
    changed = action(tree[group].to_dataset())
    tree[group].dataset = xr.Dataset()
    datasets = {each.path: each.to_dataset() for each in tree.subtree} | {f"/{group.strip('/')}": changed}
    path.unlink()
    xr.DataTree.from_dict(datasets).to_netcdf(path)


def with_value(name: str, value: Any) -> Callable[[xr.Dataset], xr.Dataset]:
    """The first entry of a variable set to a value."""

    def set_first(dataset: xr.Dataset) -> xr.Dataset:
        array = dataset[name].values.astype(object if isinstance(value, str) else np.result_type(dataset[name], value))
        array[(0,) * array.ndim] = value
        return dataset.assign({name: (dataset[name].dims, array.astype(str) if isinstance(value, str) else array)})

    return set_first


FIRST = {"tasks": "B", "optima": "J_star", "meta_optima": "K_meta", "runs": "cost", "datasets": "K_last"}
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "tasks": {"settings": "{"},
    "optima": {"settings": "3"},
    "meta_optima": {"settings": "[]"},
    "runs": {"seed": "seven"},
    "datasets": {"state_dim": 0},
}


def shorten(stage: str) -> Callable[[xr.Dataset], xr.Dataset]:
    dims = {"tasks": "state_2", "optima": "state_2", "meta_optima": "state", "runs": "iteration", "datasets": "state"}
    # Without its tasks, a gain for a shorter state is as good as any.
    size = 0 if stage == "meta_optima" else 1
    return lambda dataset: dataset.isel({dims[stage]: slice(0, size)})


def spoil(kind: str, stage: str, path: Path, good: Mapping[str, Path]) -> None:
    """Make a bad file of the kind that a table names, from a good one; ``good`` is a file of each stage."""
    name = FIRST[stage]
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "damaged":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif kind == "not netCDF":
        path.write_text("A = 1\n")
    elif kind == "netCDF of another program":
        xr.Dataset({"temperature": ("time", [1.0, 2.0])}).to_netcdf(path)
    elif kind == "of another stage":
        path.write_bytes(good["optima" if stage != "optima" else "tasks"].read_bytes())
    elif kind == "of another case or experiment" and stage == "datasets":
        path.write_bytes(good[stage].read_bytes())
    elif kind == "of another case or experiment":
        with_dataset(path, lambda dataset: dataset.assign_attrs(case="d2k2"))
    else:
        changes: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
            "incomplete": lambda dataset: dataset.drop_vars(name),
            "with a renamed dimension": lambda dataset: dataset.assign(
                {name: dataset[name].rename({dataset[name].dims[-1]: "other"})}
            ),
            "of another shape": shorten(stage),
            "with NaN": with_value(name, np.nan),
            "with infinite numbers": with_value(name, np.inf),
            "with text instead of numbers": with_value(name, "x"),
            "in single precision": lambda dataset: dataset.assign({name: dataset[name].astype(np.float32)}),
            "with an invalid attribute": lambda dataset: dataset.assign_attrs(ATTRIBUTES[stage]),
        }
        with_dataset(path, changes[kind])

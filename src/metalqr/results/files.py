"""Reading and writing files: datasets with their provenance, written atomically and checked when they are read."""

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr import __version__
from metalqr.common.atomic import replaced
from metalqr.common.checksum import append_checksum, is_damaged
from metalqr.config.identity import difference
from metalqr.lqr import LQRTasks
from metalqr.results import hdf5_locks
from metalqr.results.checks import first_violation, wrong_size
from metalqr.results.layout import CONVENTIONS, Layout

PathLike = str | os.PathLike[str]

_LIBRARIES = ("numpy", "scipy", "numba", "xarray", "netCDF4")
#: Bytes of a file in addition to the values: names, attributes, the format's own tables.
_OVERHEAD = 100_000
_COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}


class StorageError(OSError):
    """A file is missing, unreadable, foreign or wrong; the message names it, the reason and the stage to run.

    Attributes
    ----------
    reason : str
        What is wrong with the file, alone.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def provenance(layout: Layout) -> dict[str, str]:
    """Return the attributes that name the stage of a file and the versions of what made it."""
    # Of the modules themselves: the metadata that Python finds first may be those of another copy.
    versions = {f"{name.lower()}_version": importlib.import_module(name).__version__ for name in _LIBRARIES}
    return {
        "Conventions": CONVENTIONS,
        "title": layout.title,
        "stage": layout.stage,
        "metalqr_version": __version__,
        **versions,
    }


def dataset_of(layout: Layout, arrays: Mapping[str, Any], **attributes: Any) -> xr.Dataset:
    """Return the dataset that a file of this layout holds.

    The arrays are all variables and coordinates of the layout, any of the optional variables, and no others. An
    attribute that is a mapping is kept as JSON.
    """
    declared = {**layout.variables, **layout.coordinates}
    declared |= {name: spec for name, spec in layout.optional.items() if name in arrays}
    if set(arrays) != set(declared):
        raise ValueError(f"a file of the stage {layout.stage!r} holds {', '.join(declared)}; got {', '.join(arrays)}")
    variables = {}
    for name, spec in declared.items():
        values = np.array(arrays[name])
        dims = spec.dims if values.ndim == len(spec.dims) else spec.fitted(()).dims
        variables[name] = (dims, values, spec.attributes)
    plain = {name: json.dumps(value) if isinstance(value, Mapping) else value for name, value in attributes.items()}
    return xr.Dataset(variables, attrs={**provenance(layout), **plain}).set_coords(list(layout.coordinates))


def padded(arrays: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Stack arrays of different lengths, NaN beyond the end of each."""
    stacked = np.full((len(arrays), *np.max([array.shape for array in arrays], axis=0)), np.nan)
    for row, array in zip(stacked, arrays, strict=True):
        row[tuple(map(slice, array.shape))] = array
    return stacked


def save(path: PathLike, content: xr.Dataset | xr.DataTree) -> None:
    """Write a file atomically; if it cannot be written, an older file is left as it was."""
    try:
        with replaced(path) as temporary:
            if isinstance(content, xr.DataTree):
                encoding = {group.path: _encoding(group.to_dataset()) for group in content.subtree}
                content.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
            else:
                content.to_netcdf(temporary, engine="netcdf4", encoding=_encoding(content))
            append_checksum(temporary)
    except (OSError, RuntimeError) as error:
        cause, remedy = _failed_write(error, Path(path).parent, content.nbytes + _OVERHEAD)
        reason = f"cannot be written ({cause})"
        raise StorageError(
            f"{os.fspath(path)}: {reason}; no partial file was left behind; {remedy}, then run the command again",
            reason,
        ) from error


def _failed_write(error: Exception, folder: Path, size: int) -> tuple[str, str]:
    """The cause and what to do. The netCDF library reports nearly every failure as a permission that was denied."""
    remedy = "check the folder's permissions and the space on its disk"
    if not folder.is_dir():
        return _reason(error), remedy
    free = shutil.disk_usage(folder).free
    if free < size:
        return f"no space left on its disk: {free / 1e6:.2f} MB free, up to {size / 1e6:.2f} MB needed", remedy
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(size))
    except OSError as failure:  # such as a quota
        return _reason(failure), remedy
    if failure_to_lock := hdf5_locks.failure(folder):
        return failure_to_lock, f"set {hdf5_locks.NO_LOCKS} in the environment"
    if isinstance(error, PermissionError):
        return "the netCDF library could not create it and gives no true reason", remedy
    return _reason(error), remedy


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    return {
        name: dict(_COMPRESSION) for name, array in dataset.data_vars.items() if array.dtype.kind in "fi" and array.ndim
    }


def _reason(error: Exception) -> str:
    """One line that is never empty."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def load(
    path: PathLike,
    layout: Layout,
    case: str | None = None,
    tasks: LQRTasks | None = None,
    settings: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Read a file of one group and check it against its layout; with `case`, `tasks`, `settings`, that it is of these.

    The settings are all those of a run.
    """
    stage = layout.stage
    dataset: xr.Dataset = _read(path, stage, lambda file: xr.load_dataset(file, engine="netcdf4", decode_times=False))
    _require_origin(path, stage, dataset.attrs)
    reason = first_violation(layout, dataset)
    if not reason and case is not None and dataset.attrs["case"] != case:
        reason = f"it belongs to the case {dataset.attrs['case']!r}, not {case!r}"
    if not reason and tasks is not None:
        sizes = {"task": tasks.count, "state": tasks.state_dim, "action": tasks.action_dim}
        reason = wrong_size(dataset, sizes, "the tasks")
    if not reason and settings is not None:
        reason = difference(json.loads(dataset.attrs["settings"]), settings)
    if reason:
        raise unusable(path, stage, reason)
    return dataset


def load_tree(path: PathLike, stage: str, layout_of: Callable[[xr.Dataset], Layout]) -> xr.DataTree:
    """Read a file of several groups and check each against a layout of its own; otherwise as :func:`load`."""
    tree: xr.DataTree = _read(path, stage, _open_tree)
    _require_origin(path, stage, tree.attrs)
    if not tree.children:
        raise unusable(path, stage, "it holds no case")
    for name, group in tree.children.items():
        dataset = group.to_dataset()
        if reason := first_violation(layout_of(dataset), dataset):
            raise unusable(path, stage, f"{reason} in its case {name!r}")
    return tree


def _open_tree(path: Path) -> xr.DataTree:
    with xr.open_datatree(path, engine="netcdf4", decode_times=False) as tree:
        return tree.load()


def _read(path: PathLike, stage: str, read: Callable[[Path], Any]) -> Any:
    try:
        # The netCDF library's own messages for these two depend on the system.
        with Path(path).open("rb") as file:
            if not file.read(1):
                raise unusable(path, stage, "it is empty")
        if is_damaged(Path(path)):
            raise unusable(path, stage, "it is damaged: its content differs from what was written")
        return read(Path(path))
    except FileNotFoundError:
        raise unusable(path, stage, "there is no such file", "run the stage") from None
    except PermissionError as error:
        reason = f"it cannot be read ({_reason(error)})"
        raise StorageError(
            f"{os.fspath(path)}: {reason}; make it and its folders readable, for example with chmod u+rX, then run the "
            "command again",
            reason,
        ) from error
    except StorageError:
        raise
    # Damaged files make the libraries raise errors of nearly every type.
    except Exception as error:
        if reason := hdf5_locks.failure(Path(path)):
            remedy = f"set {hdf5_locks.NO_LOCKS} in the environment, then run the command again"
            raise StorageError(f"{os.fspath(path)}: {reason}; {remedy}", reason) from error
        raise unusable(path, stage, f"it cannot be read as netCDF ({_reason(error)})") from error


def _require_origin(path: PathLike, stage: str, attributes: Mapping[Any, Any]) -> None:
    # As text: an attribute of another program may be an array.
    if str(attributes.get("Conventions")) != CONVENTIONS:
        raise unusable(path, stage, "it was not written by metalqr")
    if str(attributes.get("stage")) != stage:
        raise unusable(path, stage, f"it belongs to the stage {str(attributes.get('stage'))!r}")


def unusable(
    path: PathLike, stage: str, reason: str, remedy: str = "delete it and run the stage again"
) -> StorageError:
    """Return the error for a file that cannot be used, with what to do about it."""
    return StorageError(
        f"{os.fspath(path)}: {reason}; {remedy}, with the options you used: snakemake --cores all {stage}", reason
    )

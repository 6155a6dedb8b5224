"""Writing a file whole or not at all, and refusing one that is not what it should be."""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import xarray as xr

from metalqr import __version__
from metalqr.atomic import replaced
from metalqr.storage.layout import CONVENTIONS, Layout

PathLike = str | os.PathLike[str]

_LIBRARIES = ("numpy", "scipy", "numba", "xarray", "netCDF4")
#: Bytes of a file beside the values: names, attributes, the format's own tables.
_OVERHEAD = 100_000
_COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}


class StorageError(OSError):
    """A file is missing, unreadable, foreign or incomplete; the message names it, the reason and the stage to run.

    Attributes
    ----------
    reason : str
        What is wrong with the file, alone.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def provenance(layout: Layout) -> dict[str, str]:
    """The attributes that say what a file is and what made it."""
    versions = {f"{name.lower()}_version": metadata.version(name) for name in _LIBRARIES}
    return {
        "Conventions": CONVENTIONS,
        "title": layout.title,
        "stage": layout.stage,
        "metalqr_version": __version__,
        **versions,
    }


def save(path: PathLike, content: xr.Dataset | xr.DataTree) -> None:
    """Write the file whole or not at all."""
    try:
        with replaced(path) as temporary:
            if isinstance(content, xr.DataTree):
                encoding = {group.path: _encoding(group.to_dataset()) for group in content.subtree}
                content.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
            else:
                content.to_netcdf(temporary, engine="netcdf4", encoding=_encoding(content))
    except (OSError, RuntimeError) as error:
        reason = f"cannot be written ({_reason_of_failed_write(error, Path(path), content.nbytes)})"
        raise StorageError(
            f"{os.fspath(path)}: {reason}; nothing was left half written there; check the folder's permissions and the "
            "space on its disk, then run the command again",
            reason,
        ) from error


def _reason_of_failed_write(error: Exception, path: Path, size: int) -> str:
    """The error's own reason, or that the disk is full: of that the netCDF library says anything, "HDF error" too."""
    if not path.parent.is_dir():
        return _reason(error)
    free = shutil.disk_usage(path.parent).free
    needed = size + _OVERHEAD
    if free >= needed:
        return _reason(error)
    return f"no space left on its disk: {free / 1e6:.2f} MB free, up to {needed / 1e6:.2f} MB needed"


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    return {
        name: dict(_COMPRESSION) for name, array in dataset.data_vars.items() if array.dtype.kind in "fi" and array.ndim
    }


def _reason(error: Exception) -> str:
    """One line that is never empty."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def load(path: PathLike, layout: Layout, case: str | None = None) -> xr.Dataset:
    """Read a file of one group, checked."""
    stage = layout.stage
    dataset: xr.Dataset = _read(path, stage, lambda file: xr.load_dataset(file, engine="netcdf4", decode_times=False))
    _require_origin(path, stage, dataset.attrs)
    _require_contents(path, layout, dataset)
    if case is not None and dataset.attrs["case"] != case:
        raise unusable(path, stage, f"it belongs to the case {dataset.attrs['case']!r}, not {case!r}")
    return dataset


def load_tree(path: PathLike, layout: Layout) -> xr.DataTree:
    """Read a file of several groups, each checked."""
    stage = layout.stage
    tree: xr.DataTree = _read(path, stage, _open_tree)
    _require_origin(path, stage, tree.attrs)
    if not tree.children:
        raise unusable(path, stage, "it holds no case")
    for name, group in tree.children.items():
        _require_contents(path, layout, group.to_dataset(), where=f" in its case {name!r}")
    return tree


def _open_tree(path: Path) -> xr.DataTree:
    with xr.open_datatree(path, engine="netcdf4", decode_times=False) as tree:
        return tree.load()


def _read(path: PathLike, stage: str, read: Callable[[Path], Any]) -> Any:
    if not Path(path).is_file():
        raise unusable(path, stage, "there is no such file")
    try:
        return read(Path(path))
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, IndexError) as error:
        raise unusable(path, stage, f"it cannot be read as netCDF ({_reason(error)})") from error


def _require_origin(path: PathLike, stage: str, attributes: Mapping[Any, Any]) -> None:
    if attributes.get("Conventions") != CONVENTIONS:
        raise unusable(path, stage, "it was not written by metalqr")
    if attributes.get("stage") != stage:
        raise unusable(path, stage, f"it belongs to the stage {attributes.get('stage')!r}")


def _require_contents(path: PathLike, layout: Layout, dataset: xr.Dataset, where: str = "") -> None:
    stage = layout.stage
    missing = [f"variable {name}" for name in layout.variables if name not in dataset]
    missing += [f"attribute {name}" for name in layout.attributes if name not in dataset.attrs]
    if missing:
        raise unusable(path, stage, f"it lacks {', '.join(missing)}{where}")
    for name, spec in layout.variables.items():
        found = tuple(map(str, dataset[name].dims))
        if found[len(found) - len(spec.dims) :] != spec.dims or (stage != "datasets" and found != spec.dims):
            raise unusable(path, stage, f"its variable {name} has the dimensions {found}, not {spec.dims}{where}")


def unusable(path: PathLike, stage: str, reason: str) -> StorageError:
    """The error for a file that cannot be used, with what to do about it."""
    return StorageError(
        f"{os.fspath(path)}: {reason}; delete it and run the stage again, with the options you used: "
        f"snakemake --cores all {stage}",
        reason,
    )

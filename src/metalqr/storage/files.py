"""Writing a file whole or not at all, and refusing one that is not what it should be."""

import os
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import xarray as xr

from metalqr import __version__
from metalqr.storage.layout import ATTRIBUTES, CONVENTIONS, TITLES, VARIABLES

PathLike = str | os.PathLike[str]

_LIBRARIES = ("numpy", "scipy", "numba", "xarray", "netCDF4")
_COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}


class StorageError(OSError):
    """A file is missing, unreadable, foreign or incomplete; the message names it, the reason and the stage to run."""


def provenance(stage: str) -> dict[str, str]:
    """The attributes that say what a file is and what made it."""
    versions = {f"{name.lower()}_version": metadata.version(name) for name in _LIBRARIES}
    return {
        "Conventions": CONVENTIONS,
        "title": TITLES[stage],
        "stage": stage,
        "metalqr_version": __version__,
        **versions,
    }


def save(path: PathLike, content: xr.Dataset | xr.DataTree) -> None:
    """Write under a temporary name in the same folder, bring it to the disk, then rename: never half a file."""
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        if isinstance(content, xr.DataTree):
            encoding = {group.path: _encoding(group.to_dataset()) for group in content.subtree}
            content.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        else:
            content.to_netcdf(temporary, engine="netcdf4", encoding=_encoding(content))
        temporary.chmod(0o666 & ~_umask())
        _synchronise(temporary)
        temporary.replace(target)
        _synchronise(target.parent)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"{target}: cannot be written ({reason}); nothing was left half written there") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    return {
        name: dict(_COMPRESSION) for name, array in dataset.data_vars.items() if array.dtype.kind in "fi" and array.ndim
    }


def _umask() -> int:
    """The process' mask for new files, which `mkstemp` does not follow."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(path: PathLike, stage: str) -> xr.Dataset:
    """Read a file of one group, checked."""
    dataset: xr.Dataset = _read(path, stage, lambda file: xr.load_dataset(file, engine="netcdf4", decode_times=False))
    _require_origin(path, stage, dataset.attrs)
    _require_contents(path, stage, dataset)
    return dataset


def load_tree(path: PathLike, stage: str) -> xr.DataTree:
    """Read a file of several groups, each checked."""
    tree: xr.DataTree = _read(path, stage, _open_tree)
    _require_origin(path, stage, tree.attrs)
    if not tree.children:
        raise unusable(path, stage, "it holds no case")
    for name, group in tree.children.items():
        _require_contents(path, stage, group.to_dataset(), where=f" in its case {name!r}")
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
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise unusable(path, stage, f"it cannot be read as netCDF ({reason})") from error


def _require_origin(path: PathLike, stage: str, attributes: Mapping[Any, Any]) -> None:
    if attributes.get("Conventions") != CONVENTIONS:
        raise unusable(path, stage, "it was not written by metalqr")
    if attributes.get("stage") != stage:
        raise unusable(path, stage, f"it belongs to the stage {attributes.get('stage')!r}")


def _require_contents(path: PathLike, stage: str, dataset: xr.Dataset, where: str = "") -> None:
    missing = [f"variable {name}" for name in VARIABLES[stage] if name not in dataset]
    missing += [f"attribute {name}" for name in ATTRIBUTES[stage] if name not in dataset.attrs]
    if missing:
        raise unusable(path, stage, f"it lacks {', '.join(missing)}{where}")
    for name, spec in VARIABLES[stage].items():
        found = tuple(map(str, dataset[name].dims))
        if found[len(found) - len(spec.dims) :] != spec.dims or (stage != "datasets" and found != spec.dims):
            raise unusable(path, stage, f"its variable {name} has the dimensions {found}, not {spec.dims}{where}")


def unusable(path: PathLike, stage: str, reason: str) -> StorageError:
    """The error for a file that cannot be used, with what to do about it."""
    return StorageError(
        f"{os.fspath(path)}: {reason}; delete it and run the stage again: snakemake --cores all {stage}"
    )

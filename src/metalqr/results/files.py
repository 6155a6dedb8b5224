"""Writing a file whole or not at all, and refusing one that is not what it should be."""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import xarray as xr

from metalqr import __version__
from metalqr.common.atomic import replaced
from metalqr.common.checksum import is_damaged, seal
from metalqr.results.checks import fault
from metalqr.results.layout import CONVENTIONS, Layout

PathLike = str | os.PathLike[str]

_LIBRARIES = ("numpy", "scipy", "numba", "xarray", "netCDF4")
#: Bytes of a file beside the values: names, attributes, the format's own tables.
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
            seal(temporary)
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


def load(path: PathLike, layout: Layout | Callable[[xr.Dataset], Layout], case: str | None = None) -> xr.Dataset:
    """Read a file of one group, checked against its layout, or against one that depends on what it holds."""
    stage = layout.stage if isinstance(layout, Layout) else layout(xr.Dataset()).stage
    dataset: xr.Dataset = _read(path, stage, lambda file: xr.load_dataset(file, engine="netcdf4", decode_times=False))
    _require_origin(path, stage, dataset.attrs)
    _require_contents(path, layout if isinstance(layout, Layout) else layout(dataset), dataset)
    if case is not None and dataset.attrs["case"] != case:
        raise unusable(path, stage, f"it belongs to the case {dataset.attrs['case']!r}, not {case!r}")
    return dataset


def load_tree(path: PathLike, stage: str, layout_of: Callable[[xr.Dataset], Layout]) -> xr.DataTree:
    """Read a file of several groups, each checked against a layout of its own."""
    tree: xr.DataTree = _read(path, stage, _open_tree)
    _require_origin(path, stage, tree.attrs)
    if not tree.children:
        raise unusable(path, stage, "it holds no case")
    for name, group in tree.children.items():
        dataset = group.to_dataset()
        _require_contents(path, layout_of(dataset), dataset, where=f" in its case {name!r}")
    return tree


def _open_tree(path: Path) -> xr.DataTree:
    with xr.open_datatree(path, engine="netcdf4", decode_times=False) as tree:
        return tree.load()


def _read(path: PathLike, stage: str, read: Callable[[Path], Any]) -> Any:
    try:
        # The netCDF library's own message for both of these would be another on another system.
        with Path(path).open("rb") as file:
            if not file.read(1):
                raise unusable(path, stage, "it is empty")
        if is_damaged(Path(path)):
            raise unusable(path, stage, "it is damaged: its content is not the one that was written")
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
    # Of a damaged file the libraries make errors of nearly every kind.
    except Exception as error:
        raise unusable(path, stage, f"it cannot be read as netCDF ({_reason(error)})") from error


def _require_origin(path: PathLike, stage: str, attributes: Mapping[Any, Any]) -> None:
    # As text: an attribute of another program may be an array.
    if str(attributes.get("Conventions")) != CONVENTIONS:
        raise unusable(path, stage, "it was not written by metalqr")
    if str(attributes.get("stage")) != stage:
        raise unusable(path, stage, f"it belongs to the stage {str(attributes.get('stage'))!r}")


def _require_contents(path: PathLike, layout: Layout, dataset: xr.Dataset, where: str = "") -> None:
    found = fault(layout, dataset)
    if found:
        raise unusable(path, layout.stage, f"{found}{where}")


def unusable(
    path: PathLike, stage: str, reason: str, remedy: str = "delete it and run the stage again"
) -> StorageError:
    """The error for a file that cannot be used, with what to do about it."""
    return StorageError(
        f"{os.fspath(path)}: {reason}; {remedy}, with the options you used: snakemake --cores all {stage}", reason
    )

"""Arrays by name from a file: NumPy, MATLAB, netCDF, YAML, or what a Python function returns."""

import contextlib
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metalqr.lqr import LQRTasks
from metalqr.systems.family import FamilyError

#: Names that a MATLAB file has beside its variables.
_OF_MATLAB = ("__header__", "__version__", "__globals__", "__function_workspace__")


class FileError(FamilyError):
    """A file of tasks cannot be used; the message names the file, the array, the value and the next step."""


def split(path: str) -> tuple[str, str]:
    """A path and the name of a function, which is empty where a file holds the arrays itself: ``tasks.py:make``."""
    file, _, function = path.rpartition(":") if ".py:" in path else (path, "", "")
    return file, function


def digest(file: Path) -> str:
    """What tells one content of the file from another."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def read(file: Path, function: str = "") -> dict[str, Any] | LQRTasks:
    """The arrays of a file by name, or what a function in it returns: these, or tasks.

    Raises
    ------
    FileError
        If there is no such file, or nothing that can be read.
    """
    if not file.is_file():
        what = "this is a folder, not a file" if file.is_dir() else "there is no such file"
        raise FileError(f"{file}: {what}; correct the path, which is relative to the folder of the config")
    if file.suffix not in _READERS:
        known = ", ".join(_READERS)
        raise FileError(f"{file}: no file of tasks ends in {file.suffix!r}; use one of {known}")
    if (file.suffix == ".py") != bool(function):
        raise FileError(f"{file}: name the function that makes the tasks, as in {file.name}:tasks")
    try:
        return _returned(file, function) if function else _READERS[file.suffix](file)
    except FileError:
        raise
    except Exception as error:  # whatever a library or the user's function raises
        reason = " ".join(str(error).split()) or type(error).__name__
        what = f"its function {function} failed" if function else "it cannot be read"
        advice = "correct the function" if function else "write it again; it may be incomplete or of another format"
        raise FileError(f"{file}: {what} ({type(error).__name__}: {reason}); {advice}") from error


def _numpy(file: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(file):
        raise FileError(f"{file}: not what numpy.savez writes; save the arrays by name, numpy.savez(file, A=A, B=B)")
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _matlab(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        found = loadmat(file)
    except NotImplementedError:  # version 7.3
        return _matlab_hdf5(file)
    return {name: value for name, value in found.items() if name not in _OF_MATLAB}


def _matlab_hdf5(file: Path) -> dict[str, Any]:
    try:
        import h5py
    except ImportError:
        raise FileError(
            f"{file}: a MATLAB file of version 7.3, which needs h5py; install it (pip install h5py), or save with "
            "save('-v7', ...)"
        ) from None
    with h5py.File(file) as variables:
        # MATLAB stores by columns, so that every array arrives with its axes reversed.
        return {
            name: _text(value) if value.attrs.get("MATLAB_class") == b"char" else np.asarray(value).T
            for name, value in variables.items()
            if isinstance(value, h5py.Dataset) and not name.startswith("#")
        }


def _text(characters: Any) -> str:
    """Text as MATLAB stores it, the code of each character."""
    return "".join(map(chr, np.asarray(characters).reshape(-1)))


def _netcdf(file: Path) -> dict[str, Any]:
    import xarray as xr

    with xr.open_dataset(file) as dataset:
        return {str(name): dataset[name].to_numpy() for name in dataset.data_vars}


def _yaml(file: Path) -> dict[str, Any]:
    from metalqr.config.problems import ConfigError
    from metalqr.config.reading import read_config

    try:
        return read_config(file)
    except ConfigError as error:
        raise FileError("; ".join(error.problems)) from None


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _numpy,
    ".mat": _matlab,
    ".nc": _netcdf,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".py": lambda file: {},
}


def _returned(file: Path, function: str) -> dict[str, Any] | LQRTasks:
    """What a function of a Python file returns: a mapping, or tasks."""
    specification = importlib.util.spec_from_file_location(f"tasks_of_{file.stem}", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    printed = io.StringIO()
    # Snakemake's own output may be read by a program, so that nothing else may appear there.
    with contextlib.redirect_stdout(printed):
        specification.loader.exec_module(module)
        if not callable(make := getattr(module, function, None)):
            raise FileError(f"{file}: there is no function {function}; correct its name in the path")
        found = make()
    if printed.getvalue():
        line = printed.getvalue().splitlines()[0]
        raise FileError(f"{file}: {function} prints {line[:80]!r}; remove the print, or use the module logging")
    if isinstance(found, LQRTasks):
        return found
    if isinstance(found, Mapping):
        return dict(found)
    raise FileError(
        f"{file}: {function} returns {type(found).__name__}, not LQRTasks or a mapping of arrays by name; return one"
    )

"""The files of single cases and runs: tasks, optima, training runs."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.lqr import LQRTasks
from metalqr.storage.files import PathLike, load, provenance, save, unusable
from metalqr.storage.layout import COORDINATES, VARIABLES

if (
    TYPE_CHECKING
):  # for annotations only: storage must not depend on training, or every edit there would remake the tasks
    from metalqr.meta import History


def save_tasks(path: PathLike, tasks: LQRTasks, settings: Mapping[str, Any]) -> None:
    """Write the tasks with the settings (dimensions, family, seed) that they were made from.

    Parameters
    ----------
    path : path
    tasks : LQRTasks
    settings : mapping
        Kept as JSON in the attribute ``settings``.

    Raises
    ------
    StorageError
        If the file cannot be written; an older file is left as it was.
    """
    arrays = {name: getattr(tasks, name) for name in VARIABLES["tasks"]}
    save(path, _dataset("tasks", arrays, {"settings": json.dumps(settings)}))


def load_tasks(path: PathLike) -> LQRTasks:
    """Read the tasks of :func:`save_tasks` and check them again.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign or incomplete, or if its matrices are not tasks.
    """
    dataset = load(path, "tasks")
    try:
        return LQRTasks(**{name: dataset[name].values for name in VARIABLES["tasks"]})
    except ValueError as error:
        raise unusable(path, "tasks", f"it holds impossible tasks ({error})") from error


def save_optima(path: PathLike, settings: Mapping[str, Any], **arrays: NDArray[np.float64]) -> None:
    """Write the exact reference values of a case, under the names of ``VARIABLES["optima"]``.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    save(path, _dataset("optima", arrays, {"settings": json.dumps(settings)}))


def load_optima(path: PathLike) -> xr.Dataset:
    """Read the file of :func:`save_optima`.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign or incomplete.
    """
    return load(path, "optima")


def save_run(path: PathLike, history: "History", settings: Mapping[str, Any], seed: int) -> None:
    """Write a training run.

    Parameters
    ----------
    path : path
    history : metalqr.meta.History
    settings : mapping
        Every setting of the algorithm by name.
    seed : int

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    arrays = {name: getattr(history, name) for name in VARIABLES["runs"]}
    attributes = {
        "settings": json.dumps(settings),
        "seed": seed,
        "status": str(history.status),
        "status_iteration": history.status_iteration,
    }
    dataset = _dataset("runs", arrays, attributes)
    save(
        path,
        dataset.assign_coords(
            iteration=("iteration", np.arange(dataset.sizes["iteration"]), COORDINATES["iteration"].attributes)
        ),
    )


def load_run(path: PathLike) -> xr.Dataset:
    """Read a run of :func:`save_run`; its settings, seed and status are attributes.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign or incomplete.
    """
    dataset = load(path, "runs")
    if dataset.sizes["iteration"] != dataset.attrs["status_iteration"] + 1:
        found, wanted = dataset.sizes["iteration"], dataset.attrs["status_iteration"] + 1
        raise unusable(path, "runs", f"it holds {found} iterations where its status says {wanted}")
    return dataset


def _dataset(stage: str, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> xr.Dataset:
    table = VARIABLES[stage]
    if set(arrays) != set(table):
        raise ValueError(f"a file of the stage {stage!r} holds {', '.join(table)}; got {', '.join(arrays)}")
    variables = {name: (spec.dims, np.array(arrays[name]), spec.attributes) for name, spec in table.items()}
    return xr.Dataset(variables, attrs={**provenance(stage), **attributes})

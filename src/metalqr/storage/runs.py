"""The files of single cases and runs: tasks, optima, training runs."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.lqr import LQRTasks
from metalqr.storage.files import PathLike, load, provenance, save, unusable
from metalqr.storage.layout import ITERATION, OPTIMA, RUNS, STATUSES, TASKS, Layout

if (
    TYPE_CHECKING
):  # for annotations only: storage must not depend on training, or every edit there would remake the tasks
    from metalqr.meta import History


def save_tasks(path: PathLike, tasks: LQRTasks, settings: Mapping[str, Any], *, case: str) -> None:
    """Write the tasks with the settings (dimensions, family, seed) that they were made from.

    Parameters
    ----------
    path : path
    tasks : LQRTasks
    settings : mapping
        Kept as JSON in the attribute ``settings``.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written; an older file is left as it was.
    """
    arrays = {name: getattr(tasks, name) for name in TASKS.variables}
    save(path, dataset_of(TASKS, arrays, {"case": case, "settings": json.dumps(settings)}))


def load_tasks(path: PathLike, case: str | None = None) -> LQRTasks:
    """Read the tasks of :func:`save_tasks` and check them again; with `case`, also that they are of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case, or if its matrices are not tasks.
    """
    dataset = load(path, TASKS, case)
    try:
        return LQRTasks(**{name: dataset[name].values for name in TASKS.variables})
    except ValueError as error:
        raise unusable(path, "tasks", f"it holds impossible tasks ({error})") from error


def save_optima(path: PathLike, settings: Mapping[str, Any], *, case: str, **arrays: NDArray[np.float64]) -> None:
    """Write the exact reference values of a case, under the names of ``OPTIMA.variables``.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    save(path, dataset_of(OPTIMA, arrays, {"case": case, "settings": json.dumps(settings)}))


def load_optima(path: PathLike, case: str | None = None, tasks: LQRTasks | None = None) -> xr.Dataset:
    """Read the file of :func:`save_optima`; with `case` and `tasks`, check that it is of these.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong, of another case, or of tasks of other dimensions.
    """
    dataset = load(path, OPTIMA, case)
    if tasks is not None:
        require_sizes(path, OPTIMA, dataset, tasks)
    return dataset


def save_run(path: PathLike, history: "History", settings: Mapping[str, Any], seed: int, *, case: str) -> None:
    """Write a training run.

    Parameters
    ----------
    path : path
    history : metalqr.meta.History
    settings : mapping
        Every setting of the algorithm by name.
    seed : int
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written.
    ValueError
        If the run has not ended; :class:`metalqr.storage.Checkpoint` keeps the state of such a run.
    """
    if str(history.status) not in STATUSES:
        raise ValueError(f"the run is {history.status} and has not ended; train on with it as resume")
    arrays = {name: getattr(history, name) for name in RUNS.variables}
    attributes = {
        "case": case,
        "settings": json.dumps(settings),
        "seed": seed,
        "status": str(history.status),
        "status_iteration": history.status_iteration,
    }
    dataset = dataset_of(RUNS, arrays, attributes)
    save(
        path,
        dataset.assign_coords(iteration=("iteration", np.arange(dataset.sizes["iteration"]), ITERATION.attributes)),
    )


def load_run(path: PathLike, case: str | None = None, settings: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read a run of :func:`save_run`; its case, settings, seed and status are attributes.

    With `case` and `settings`, check that it is of these.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong, of another case or of other settings.
    """
    dataset = load(path, RUNS, case)
    if dataset.sizes["iteration"] != dataset.attrs["status_iteration"] + 1:
        found, wanted = dataset.sizes["iteration"], dataset.attrs["status_iteration"] + 1
        raise unusable(path, "runs", f"it holds {found} iterations where its status says {wanted}")
    if settings is not None and json.loads(dataset.attrs["settings"]) != dict(settings):
        raise unusable(path, "runs", "it is a run of other settings")
    return dataset


def require_sizes(path: PathLike, layout: Layout, dataset: xr.Dataset, tasks: LQRTasks) -> None:
    """Refuse a file of tasks of other dimensions."""
    for dim, size in {"task": tasks.count, "state": tasks.state_dim, "action": tasks.action_dim}.items():
        if dataset.sizes[dim] != size:
            raise unusable(path, layout.stage, f"its dimension {dim} is {dataset.sizes[dim]}, but {size} in the tasks")


def dataset_of(layout: Layout, arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> xr.Dataset:
    """The arrays as a file of a stage holds them, all of them and no others."""
    table = layout.variables
    if set(arrays) != set(table):
        raise ValueError(f"a file of the stage {layout.stage!r} holds {', '.join(table)}; got {', '.join(arrays)}")
    variables = {name: (spec.dims, np.array(arrays[name]), spec.attributes) for name, spec in table.items()}
    return xr.Dataset(variables, attrs={**provenance(layout), **attributes})

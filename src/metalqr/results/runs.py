"""The files of single cases and runs: tasks with their initial gain, optima, training runs."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from metalqr.config.identity import difference
from metalqr.lqr import LQRTasks
from metalqr.results.files import PathLike, load, provenance, save, unusable
from metalqr.results.layout import ITERATION, OPTIMA, RUNS, STATUSES, TASKS, Layout, with_gain_dims

# For annotations only: storage must not depend on training, or every edit there would remake the tasks.
if TYPE_CHECKING:
    from metalqr.training.history import History


#: The matrices of the tasks, by their names in a file and in LQRTasks.
_MATRICES = tuple(name for name in TASKS.variables if name != "K0")


class Problem(NamedTuple):
    """The tasks of a case, and the gain K0 (k, d) that all methods start from."""

    tasks: LQRTasks
    K0: NDArray[np.float64]


def save_tasks(path: PathLike, tasks: LQRTasks, K0: ArrayLike, settings: Mapping[str, Any], *, case: str) -> None:
    """Write the tasks and the initial gain, with the settings (dimensions, family, seed) that they were made from.

    Parameters
    ----------
    path : path
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
    settings : mapping
        Kept as JSON in the attribute ``settings``.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written; an older file is left as it was.
    """
    arrays = {name: getattr(tasks, name) for name in _MATRICES}
    arrays["K0"] = np.asarray(K0)
    save(path, dataset_of(TASKS, arrays, {"case": case, "settings": json.dumps(settings)}))


def load_problem(path: PathLike, case: str | None = None) -> Problem:
    """Read what :func:`save_tasks` wrote and check it again; with `case`, also that it is of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case, or if its matrices are not tasks.
    """
    dataset = load(path, TASKS, case)
    try:
        return Problem(LQRTasks(**{name: dataset[name].values for name in _MATRICES}), dataset["K0"].values)
    except ValueError as error:
        raise unusable(path, "tasks", f"it holds impossible tasks ({error})") from error


def load_tasks(path: PathLike, case: str | None = None) -> LQRTasks:
    """As :func:`load_problem`, the tasks alone."""
    return load_problem(path, case).tasks


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


def save_run(
    path: PathLike,
    history: "History",
    settings: Mapping[str, Any],
    seed: int,
    *,
    case: str,
    perturbed_policies: int,
) -> None:
    """Write a training run.

    Parameters
    ----------
    path : path
    history : metalqr.training.History
    settings : mapping
        Every setting of the run by name.
    seed : int
    case : str
        Name of the case.
    perturbed_policies : int
        Perturbed policies that an iteration tries.

    Raises
    ------
    StorageError
        If the file cannot be written.
    ValueError
        If the run has not ended; :class:`metalqr.training.saved_state.SavedState` keeps the state of such a run.
    """
    if str(history.status) not in STATUSES:
        raise ValueError(f"the run is {history.status} and has not ended; train on with it as resume")
    attributes = {
        "case": case,
        "settings": json.dumps(settings),
        "seed": seed,
        "status": str(history.status),
        "status_iteration": history.status_iteration,
        "perturbed_policies": perturbed_policies,
    }
    dataset = run_dataset(RUNS, history, attributes)
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
    dataset = load(path, run_layout(RUNS), case)
    if dataset.sizes["iteration"] != dataset.attrs["status_iteration"] + 1:
        found, wanted = dataset.sizes["iteration"], dataset.attrs["status_iteration"] + 1
        raise unusable(path, "runs", f"it holds {found} iterations where its status says {wanted}")
    if settings is not None and (reason := difference(json.loads(dataset.attrs["settings"]), settings)):
        raise unusable(path, "runs", reason)
    return dataset


def run_layout(layout: Layout) -> Callable[[xr.Dataset], Layout]:
    """The layout of a run's file, for the dimensions that its gains have."""
    return lambda dataset: with_gain_dims(layout, tuple(map(str, dataset["K"].dims)) if "K" in dataset else ())


def run_dataset(layout: Layout, history: "History", attributes: Mapping[str, Any]) -> xr.Dataset:
    """What happened at every iteration of a run, as a file holds it."""
    dims = ("task",) if history.K.ndim == 4 else ()
    arrays = {name: getattr(history, name) for name in layout.variables}
    return dataset_of(with_gain_dims(layout, dims), arrays, attributes)


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

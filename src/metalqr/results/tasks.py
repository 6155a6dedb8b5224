"""Files of tasks with their initial gain."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.tasks import NOISES
from metalqr.results.files import PathLike, dataset_of, load, save, unusable
from metalqr.results.layout import OF_CASE, Kind, Layout, Variable

_MATRICES = {
    "A": Variable(("task", "state", "state_2"), "state matrix"),
    "B": Variable(("task", "state", "action"), "input matrix"),
    "Q": Variable(("task", "state", "state_2"), "state weight"),
    "R": Variable(("task", "action", "action_2"), "input weight"),
    "Psi": Variable(("task", "state", "state_2"), "covariance of the process noise"),
    "Sigma0": Variable(("task", "state", "state_2"), "covariance of the initial state"),
}
#: What every file has, also one of tasks that only a simulator knows.
_OF_ALL = {
    "p": Variable(("task",), "probability of the task", "1"),
    "K0": Variable(("action", "state"), "initial gain"),
}
#: Where they are not zero.
_OPTIONAL = {
    "S": Variable(("task", "state", "action"), "weight of the products of states and inputs"),
    "initial_mean": Variable(("task", "state"), "mean of the initial state"),
}
#: Where it is not the noise of the process.
_NOISE = {"noise": Variable((), "what is random", kind=Kind.TEXT, choices=NOISES)}


def _violation(dataset: xr.Dataset) -> str | None:
    missing = [name for name in _MATRICES if name not in dataset.variables]
    if missing and not (_is_simulated(dataset) and len(missing) == len(_MATRICES)):
        return f"it lacks variable {', variable '.join(missing)}"
    return None


def _is_simulated(dataset: xr.Dataset) -> bool:
    """True if the file says that its tasks have no matrices."""
    return bool(json.loads(dataset.attrs["settings"]).get("simulated"))


TASKS = Layout(
    "tasks",
    "Linear quadratic regulator tasks",
    _OF_ALL,
    OF_CASE,
    violation=_violation,
    optional=_MATRICES | _OPTIONAL | _NOISE,
)


def save_tasks(path: PathLike, tasks: LQRTasks, K0: ArrayLike, settings: Mapping[str, Any], *, case: str) -> None:
    """Write the tasks and the initial gain K0 (k, d), with the settings that they were made from."""
    names = [*_MATRICES, "p", *(name for name in _OPTIONAL if np.any(getattr(tasks, name)))]
    arrays = {name: getattr(tasks, name) for name in names} | {"K0": np.asarray(K0)}
    if tasks.noise != "process":
        arrays["noise"] = tasks.noise
    save(path, dataset_of(TASKS, arrays, case=case, settings=settings))


def save_simulated(path: PathLike, K0: ArrayLike, p: ArrayLike, settings: Mapping[str, Any], *, case: str) -> None:
    """Write tasks that only a simulator knows: the initial gain, the probabilities, and what they were made from."""
    arrays = {"K0": np.asarray(K0), "p": np.asarray(p)}
    save(path, dataset_of(TASKS, arrays, case=case, settings={**settings, "simulated": True}))


def load_initial_gain(path: PathLike, case: str | None = None) -> FloatArray:
    """Read the initial gain K0 (k, d) alone, of any tasks."""
    gain: FloatArray = load(path, TASKS, case)["K0"].values
    return gain


def load_problem(path: PathLike, case: str | None = None) -> tuple[LQRTasks, FloatArray]:
    """Read the tasks and the initial gain K0 (k, d)."""
    dataset = load(path, TASKS, case)
    if _is_simulated(dataset):
        raise unusable(path, "tasks", "it holds no matrices, since its case has a simulator in place of a model")
    try:
        names = (*_MATRICES, "p", *_OPTIONAL)
        arrays: dict[str, Any] = {name: dataset[name].values for name in names if name in dataset}
        noise = {"noise": str(dataset["noise"].item())} if "noise" in dataset else {}
        return LQRTasks(**arrays, **noise), dataset["K0"].values
    except ValueError as error:
        raise unusable(path, "tasks", f"it holds impossible tasks ({error})") from error


def load_origin(path: PathLike, case: str | None = None) -> dict[str, Any]:
    """Read what the tasks were made from: dimensions, family with its settings, initial gain and seed."""
    origin: dict[str, Any] = json.loads(load(path, TASKS, case).attrs["settings"])
    return origin


def load_tasks(path: PathLike, case: str | None = None) -> LQRTasks:
    """Read the tasks alone; see :func:`load_problem`."""
    return load_problem(path, case)[0]

"""The files of experiments: many runs as one dataset, with the experiment's axes and the seed as dimensions."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.config.algorithm import setting_declaration
from metalqr.config.experiments import TASKS, VARIANT, Experiment, Point
from metalqr.config.registries import methods
from metalqr.results.files import PathLike, load_tree, provenance, save, unusable
from metalqr.results.layout import (
    ITERATION,
    PER_RUN,
    RATIO,
    STATUSES,
    TASK_COSTS,
    Kind,
    Layout,
    Special,
    Variable,
    with_gain_dims,
)
from metalqr.results.runs import load_optima, load_run

#: What each run adds, without the dimensions of the experiment. After its end a run is NaN, counts too.
RUN_PARTS = {
    **{name: spec._replace(kind=Kind.REAL, may_be=frozenset(Special)) for name, spec in PER_RUN.items()},
    "ratio": RATIO._replace(may_be=frozenset(Special)),
    "K_last": Variable(("action", "state"), "last gain of the run"),
    "perturbed_policies": Variable((), "perturbed policies that an iteration tries", kind=Kind.WHOLE),
    "status": Variable((), "how the run ended: completed, tolerance or diverged", kind=Kind.TEXT, choices=STATUSES),
    "status_iteration": Variable((), "last iteration of the run", kind=Kind.WHOLE),
}

#: What the file of an experiment holds in each of its groups; what each run adds has the experiment's axes before.
DATASETS = Layout(
    "datasets",
    "An experiment: runs by case, axis and seed",
    {**RUN_PARTS, **TASK_COSTS},
    ("settings", "state_dim", "action_dim"),
)


def coordinate(name: str) -> Variable | None:
    """What the coordinate of that name in a dataset must look like, without its dimensions; None if there is none."""
    if name == "iteration":
        return ITERATION
    if name == "seed":
        return Variable(("seed",), "seed of the run's random numbers", kind=Kind.WHOLE)
    if name == VARIANT:
        return Variable((VARIANT,), "named settings, the experiment's variants", kind=Kind.TEXT)
    declared = setting_declaration(name)
    if declared is None:
        return None
    return Variable((name,), f"{declared.label} ({declared.about})", declared.unit or None, kind=Kind.SETTING)


def combine_runs(
    runs: Iterable[PathLike], optima: Mapping[str, PathLike], experiment: Experiment, case: str
) -> xr.Dataset:
    """One case of an experiment: its runs with the experiment's axes and the seed as dimensions.

    A run that ended early is NaN from its end on; that makes its counts real numbers. ``status`` and
    ``status_iteration`` say how and when each run ended. Every setting that differs between runs is a coordinate, along
    the axes on which it depends, and NaN or empty where a run's method does not have it. Where a method has a gain for
    each task, ``K_last`` has a dimension more, and a gain that all tasks share stands there for each.

    Parameters
    ----------
    runs : iterable of path
        Files of :func:`save_run`: by point, the last axis fastest, then by seed.
    optima : mapping of str to path
        Files of :func:`save_optima` by the name of the set of tasks.
    experiment : Experiment
    case : str

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    StorageError
        If a file is unusable, or is of other tasks, other settings, another seed or other dimensions than
        its place asks for.
    """
    points = experiment.points(case)
    exact = {name: load_optima(optima[name], name) for name in dict.fromkeys(point.tasks for point in points)}
    grid = _Grid(experiment, points, exact)
    runs = iter(runs)
    for index, point in zip(np.ndindex(grid.shape), points, strict=True):
        for place, seed in enumerate(experiment.seeds):
            path = next(runs)
            grid.fill((*index, place), _checked_run(path, point, seed, exact[point.tasks], optima[point.tasks]))
    if next(runs, None) is not None:
        raise ValueError(f"{case}: more files of runs than the experiment has runs")
    return grid.dataset()


def _checked_run(path: PathLike, point: Point, seed: int, exact: xr.Dataset, optima: PathLike) -> xr.Dataset:
    """A run, after a check that it is the one that belongs to its place."""
    run = load_run(path, point.tasks, point.settings.as_dict())
    if run.attrs["seed"] != seed:
        raise unusable(path, "runs", f"it is a run of seed {run.attrs['seed']}, not {seed}")
    # Checked, because NumPy would spread a smaller array over a larger one without a word.
    for name in ("action", "state", "task"):
        if run.sizes[name] != exact.sizes[name]:
            reason = f"its dimension {name} is {run.sizes[name]}, but {exact.sizes[name]} in {os.fspath(optima)}"
            raise unusable(path, "runs", reason)
    if run.sizes["iteration"] > point.settings.iterations + 1:
        found, allowed = run.sizes["iteration"], point.settings.iterations + 1
        raise unusable(path, "runs", f"it holds {found} iterations where its settings allow {allowed}")
    return run


class _Grid:
    """The arrays of one case in the making; each begins with the experiment's axes and the seed."""

    def __init__(self, experiment: Experiment, points: Sequence[Point], exact: Mapping[str, xr.Dataset]) -> None:
        self._experiment, self._points, self._exact = experiment, points, exact
        self.axes = tuple(experiment.axes)
        self.shape = tuple(len(values) for values in experiment.axes.values())
        first = next(iter(exact.values()))
        self._sizes = {
            "iteration": 1 + max(point.settings.iterations for point in points),
            "task": max(each.sizes["task"] for each in exact.values()),
            "action": first.sizes["action"],
            "state": first.sizes["state"],
        }
        per_task = any(methods.get(point.settings.method).gain_per_task for point in points)
        layout = with_gain_dims(DATASETS, ("task",) if per_task else ())
        self._parts = {name: layout.variables[name] for name in RUN_PARTS}
        self._arrays = {name: self._empty(spec) for name, spec in self._parts.items()}

    def _empty(self, spec: Variable) -> NDArray[Any]:
        shape = (*self.shape, len(self._experiment.seeds), *(self._sizes[dim] for dim in spec.dims))
        if spec.kind is Kind.TEXT:
            return np.full(shape, "", dtype=object)
        return np.zeros(shape, dtype=np.int64) if spec.kind is Kind.WHOLE else np.full(shape, np.nan)

    def fill(self, index: tuple[int, ...], run: xr.Dataset) -> None:
        """Take over a run at its place."""
        count, tasks = run.sizes["iteration"], run.sizes["task"]
        for name in PER_RUN:
            part = self._arrays[name][index][:count]
            (part[:, :tasks] if part.ndim > 1 else part)[:] = run[name].values
        gain = run["K"].values[-1]
        per_task = "task" in self._parts["K_last"].dims
        self._arrays["K_last"][index][: tasks if per_task else None] = gain
        J_star = self._exact[run.attrs["case"]]["J_star"].values
        self._arrays["ratio"][index][:count] = run["cost"].values.sum(axis=-1) / J_star.sum() - 1.0
        for name in ("status", "status_iteration", "perturbed_policies"):
            self._arrays[name][index] = run.attrs[name]

    def dataset(self) -> xr.Dataset:
        """The case as its group of a file."""
        variables: dict[str, Any] = {
            name: ((*self.axes, "seed", *spec.dims), self._arrays[name]) for name, spec in self._parts.items()
        }
        variables |= {name: self._costs(name) for name in TASK_COSTS}
        differing, common = self._settings()
        coordinates: dict[str, Any] = {
            **differing,
            "seed": (("seed",), np.array(self._experiment.seeds)),
            "iteration": (("iteration",), np.arange(self._sizes["iteration"])),
        }
        dataset = xr.Dataset(variables, coordinates)
        for key, variable in dataset.variables.items():
            described = coordinate(str(key)) or DATASETS.variables[str(key)]
            variable.attrs.update(described.attributes)
        dataset.attrs = {
            "settings": json.dumps(common),
            "state_dim": self._sizes["state"],
            "action_dim": self._sizes["action"],
        }
        return dataset

    def _costs(self, name: str) -> tuple[tuple[str, ...], NDArray[Any]]:
        """Costs of the tasks, along the axes that move the tasks."""
        array = np.full((*self.shape, self._sizes["task"]), np.nan)
        for index, point in zip(np.ndindex(self.shape), self._points, strict=True):
            values = self._exact[point.tasks][name].values
            array[index][: len(values)] = values
        moving = [axis for axis in self.axes if _moves_tasks(self._experiment, axis)]
        kept = tuple(slice(None) if axis in moving else 0 for axis in self.axes)
        return (*moving, "task"), array[kept]

    def _settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings that differ between runs, as coordinates, and the values of all others."""
        rows = [{**point.settings.as_dict(), **point.values} for point in self._points]
        coordinates: dict[str, Any] = {}
        common: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            flat = np.empty(len(rows), dtype=object)
            for place, row in enumerate(rows):
                flat[place] = row.get(name)  # one by one: NumPy would spread a list
            values = flat.reshape(self.shape)
            axes = (
                [name] if name in self.axes else [axis for axis in self.axes if _varies(values, self.axes.index(axis))]
            )
            if axes:
                kept = tuple(slice(None) if axis in axes else 0 for axis in self.axes)
                coordinates[name] = (axes, _setting_values(values[kept]))
            else:
                common[name] = rows[0].get(name)
        return coordinates, common


def _moves_tasks(experiment: Experiment, axis: str) -> bool:
    linked = [name for name, other in experiment.linked.items() if other == axis]
    return any(name.startswith(TASKS) for name in (axis, *linked))


def _varies(values: NDArray[Any], axis: int) -> bool:
    first = np.take(values, [0], axis=axis)
    return bool((values != first).any())


def _setting_values(values: NDArray[Any]) -> NDArray[Any]:
    """The values of a setting that differs; all as text if one is text or a list, else absent ones as NaN."""
    lists = (list, tuple)
    if any(isinstance(value, (str, *lists)) for value in values.flat):
        words = [
            json.dumps(value) if isinstance(value, lists) else ("" if value is None else str(value))
            for value in values.flat
        ]
        return np.array(words).reshape(values.shape)
    return np.array([np.nan if value is None else value for value in values.flat]).reshape(values.shape)


def save_experiment(path: PathLike, experiment: str, cases: Mapping[str, xr.Dataset]) -> None:
    """Write an experiment: a tree with one group for each case of :func:`combine_runs`.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    root = xr.Dataset(attrs={**provenance(DATASETS), "experiment": experiment})
    save(path, xr.DataTree.from_dict({"/": root, **cases}))


def load_experiment(path: PathLike, experiment: str | None = None) -> xr.DataTree:
    """Read an experiment of :func:`save_experiment`; with `experiment`, check that it is of this name.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another experiment.
    """
    tree = load_tree(path, DATASETS.stage, _layout_of)
    name = tree.attrs.get("experiment")
    if not isinstance(name, str) or (experiment is not None and name != experiment):
        raise unusable(path, DATASETS.stage, f"it belongs to the experiment {name!r}, not {experiment!r}")
    for case, group in tree.children.items():
        for dim in ("state", "action"):
            wanted = group.attrs[f"{dim}_dim"]
            if group.sizes[dim] != wanted:
                reason = f"its dimension {dim} is {group.sizes[dim]}, but its attribute {dim}_dim is {wanted}"
                raise unusable(path, DATASETS.stage, f"{reason} in its case {case!r}")
    return tree


def _layout_of(case: xr.Dataset) -> Layout:
    """The layout of one case: its axes, as far as they are known, and the coordinates along these."""
    found = tuple(map(str, case["ratio"].dims)) if "ratio" in case else ()
    axes = tuple(dim for dim in found if dim not in ("iteration", "seed") and coordinate(dim))
    layout = with_gain_dims(DATASETS, tuple(map(str, case["K_last"].dims)) if "K_last" in case else ())
    variables = {name: spec for name, spec in layout.variables.items() if name not in TASK_COSTS}
    variables = {name: spec._replace(dims=(*axes, "seed", *spec.dims)) for name, spec in variables.items()}
    costs = {name: _task_costs(spec, case, name, axes) for name, spec in TASK_COSTS.items()}
    gain = variables["K_last"]
    if "task" in gain.dims:  # where there are fewer tasks, some have none
        variables["K_last"] = gain._replace(may_be=gain.may_be | (costs["J_star"].may_be & {Special.NAN}))
    names = dict.fromkeys([*axes, "seed", "iteration", *map(str, case.coords)])
    described = {name: spec for name in names if (spec := coordinate(name))}
    coordinates = {name: _along(spec, case, name, axes) for name, spec in described.items()}
    return DATASETS._replace(variables={**variables, **costs}, coordinates=coordinates)


def _task_costs(spec: Variable, case: xr.Dataset, name: str, axes: tuple[str, ...]) -> Variable:
    """Costs of the tasks; a sweep may move these, and then some places may have fewer tasks, with NaN for the rest."""
    moving = tuple(axis for axis in axes if name in case and axis in case[name].dims)
    may_be = spec.may_be | {Special.NAN} if moving else spec.may_be
    return spec._replace(dims=(*moving, "task"), may_be=may_be)


def _along(spec: Variable, case: xr.Dataset, name: str, axes: tuple[str, ...]) -> Variable:
    """A coordinate: an axis itself, or a setting along some axes, which not every run need have."""
    if name in (*axes, "seed", "iteration") or name not in case.coords:
        return spec
    return spec._replace(dims=tuple(map(str, case.coords[name].dims)), may_be=frozenset({Special.NAN}))

"""Files of experiments: many runs as one dataset, with the experiment's axes and the seed as dimensions."""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.config.algorithm import setting_declaration
from metalqr.config.experiments import TASKS, VARIANT, Experiment, Point
from metalqr.config.registries import methods
from metalqr.results.checks import wrong_size
from metalqr.results.files import PathLike, load_tree, provenance, save, unusable
from metalqr.results.layout import ITERATION, SEEDS, SIZES, Attribute, Kind, Layout, NonFinite, Variable
from metalqr.results.optima import TASK_COSTS, load_optima
from metalqr.results.runs import (
    ENDED,
    OF_AVERAGE,
    OF_MEASURED,
    OF_RESAMPLING,
    PER_RUN,
    cost_difference_ratio,
    load_run,
)
from metalqr.results.tuned import choice, load_tuned
from metalqr.systems.family import Family

#: The variables of each run, without the dimensions of the experiment. After its end a run is NaN, including counts.
RUN_PARTS = {
    **{name: spec._replace(kind=Kind.REAL, may_be=NonFinite.ANY) for name, spec in PER_RUN.items()},
    "ratio": Variable(
        ("iteration",),
        "average cost difference ratio sum_i (J_i(K_n) - J_i*) / sum_i J_i*",
        "1",
        may_be=NonFinite.ANY,
    ),
    "K_last": Variable(("task", "action", "state"), "last gain of the run", optional="task"),
    "perturbed_policies": Variable((), "perturbed policies that an iteration tries", kind=Kind.WHOLE),
    "status": Variable((), "how the run ended: completed, tolerance or diverged", kind=Kind.TEXT, choices=ENDED),
    "status_iteration": Variable((), "last iteration of the run", kind=Kind.WHOLE),
}
#: The same of a case where a run has ``average_last``; of its other runs they are NaN.
AVERAGE_PARTS = {
    **{name: spec._replace(may_be=NonFinite.ANY) for name, spec in OF_AVERAGE.items()},
    "ratio_average": Variable(
        (), "average cost difference ratio sum_i (J_i(K_average) - J_i*) / sum_i J_i*", "1", may_be=NonFinite.ANY
    ),
}
#: The same of a case where a run is tuned.
TUNING_PARTS = {
    "tuning_steps": Variable(
        (), "simulated steps of all runs that tuned this one, not among its own", "steps", may_be=NonFinite.NAN
    ),
    "tuning_reached": Variable((), "1 if the tuning reached its target, otherwise 0", may_be=NonFinite.NAN),
}

#: The same of a case where the tasks of a run are resampled.
RESAMPLING_PARTS = {name: spec._replace(kind=Kind.REAL, may_be=NonFinite.NAN) for name, spec in OF_RESAMPLING.items()}

#: The same of a case with a simulator in place of a model, whose costs are measured.
MEASURED_PARTS = {name: spec._replace(may_be=NonFinite.ANY) for name, spec in OF_MEASURED.items()}
#: What it lacks: all that the optima give.
OF_OPTIMA = ("ratio", "ratio_average", *TASK_COSTS)

#: The layout of each group of a file; the variables of a run have the experiment's axes before their own dimensions.
DATASETS = Layout(
    "datasets",
    "An experiment: runs by case, axis and seed",
    {**RUN_PARTS, **TASK_COSTS},
    {"settings": Attribute(Kind.JSON), **SIZES},
    optional={**AVERAGE_PARTS, **TUNING_PARTS, **RESAMPLING_PARTS, **MEASURED_PARTS},
)


def coordinate(name: str) -> Variable | None:
    """Return the coordinate of that name in a dataset, with its own dimension alone; None if there is none."""
    known = {
        "iteration": ITERATION,
        "seed": SEEDS,
        VARIANT: Variable((VARIANT,), "named settings, the experiment's variants", kind=Kind.TEXT),
    }
    declared = setting_declaration(name)
    if declared is None:
        return known.get(name)
    return Variable((name,), f"{declared.label} ({declared.about})", declared.unit or None, kind=Kind.SETTING)


def combine_runs(
    runs: Iterable[PathLike],
    optima: Mapping[str, PathLike],
    experiment: Experiment,
    case: str,
    tuned: Mapping[tuple[str, str], PathLike] | None = None,
) -> xr.Dataset:
    """Combine the files of the runs of one case, with the experiment's axes and the seed as dimensions.

    The runs are in the order of the points, the last axis fastest, then of the seeds; the files of the optima are by
    the name of the set of tasks. The files of tunings are by the name of the set of tasks and the digest of the
    configuration. A setting that was tuned is a coordinate with the value that was chosen.

    A run that ended early is NaN from its end on; that makes its counts real numbers. ``status`` and
    ``status_iteration`` say how and when each run ended. Every setting that differs between runs is a coordinate, along
    the axes on which it depends, and NaN or empty where a run's method does not have it. Where a method has a gain for
    each task, ``K_last`` has a dimension more, and a gain that all tasks share is repeated along it.

    A case with a simulator has no optima: neither a ratio nor the costs of the optima, but the standard errors of its
    measured costs.
    """
    points, families = experiment.points(case), experiment.families(case)
    modelled = [name for name, family in families.items() if family.has_model]
    exact = {name: load_optima(optima[name], name) for name in modelled}
    sizes: list[Mapping[Any, int]] = [each.sizes for each in exact.values()]
    sizes += [_sizes_of(family) for family in families.values() if not family.has_model]
    grid = _Grid(experiment, case, exact, sizes)
    runs = iter(runs)
    for number, (index, point) in enumerate(zip(np.ndindex(grid.shape), points, strict=True)):
        tuning = grid.tune(number, (tuned or {})[_key(point)]) if point.tune else {}
        for place, seed in enumerate(experiment.seeds):
            path = next(runs)
            known = (
                (exact[point.tasks].sizes, os.fspath(optima[point.tasks]))
                if point.tasks in exact
                else (_sizes_of(families[point.tasks]), "the config")
            )
            run = _checked_run(path, point, seed, *known)
            _require_choice(path, run, grid.chosen[number])
            grid.fill((*index, place), run, tuning)
    if next(runs, None) is not None:
        raise ValueError(f"{case}: more run files than the experiment has runs")
    return grid.dataset()


def _key(point: Point) -> tuple[str, str]:
    """The name under which the tuning of a point's runs is given."""
    return point.tasks, point.configuration


def _require_choice(path: PathLike, run: xr.Dataset, chosen: Mapping[str, Any]) -> None:
    """Refuse a run of an older tuning, which chose another value."""
    settings = json.loads(run.attrs["settings"])
    for name, value in chosen.items():
        if settings[name] != value:
            raise unusable(path, "runs", f"it was run with {name}: {settings[name]!r}, but tuning chose {value!r}")


def _sizes_of(family: Family) -> dict[str, int]:
    """The dimensions of tasks without a model."""
    state_dim, action_dim = family.dimensions or (0, 0)
    return {"task": family.count, "state": state_dim, "action": action_dim}


def _checked_run(path: PathLike, point: Point, seed: int, sizes: Mapping[Any, int], origin: str) -> xr.Dataset:
    """A run, after a check that it is the one that belongs to its place."""
    run = load_run(path, point.tasks, point.stated)
    found, allowed = run.sizes["iteration"], point.settings.iterations + 1
    # NumPy would broadcast a smaller array to a larger one without an error.
    reason = wrong_size(run, {dim: sizes[dim] for dim in ("action", "state", "task")}, origin)
    if run.attrs["seed"] != seed:
        reason = f"it is a run of seed {run.attrs['seed']}, not {seed}"
    elif not reason and found > allowed:
        reason = f"it holds {found} iterations where its settings allow {allowed}"
    if reason:
        raise unusable(path, "runs", reason)
    return run


class _Grid:
    """The arrays of one case while they are filled; each begins with the experiment's axes and the seed."""

    def __init__(
        self,
        experiment: Experiment,
        case: str,
        exact: Mapping[str, xr.Dataset],
        sizes: Iterable[Mapping[Any, int]],
    ) -> None:
        self._experiment, self._points, self._exact = experiment, experiment.points(case), exact
        self.axes = tuple(experiment.axes)
        self.shape = tuple(map(len, experiment.axes.values()))
        every = list(sizes)
        self._sizes = {dim: max(each[dim] for each in every) for dim in ("task", "action", "state")}
        self._sizes["iteration"] = 1 + max(point.settings.iterations for point in self._points)
        per_task = any(methods.get(point.settings.method).gain_per_task for point in self._points)
        averaged = any(point.settings.average_last for point in self._points)
        tuned = any(point.tune for point in self._points)
        resampled = experiment.resamples(case)
        measured = not exact
        optional = (
            (AVERAGE_PARTS, averaged),
            (TUNING_PARTS, tuned),
            (RESAMPLING_PARTS, resampled),
            (MEASURED_PARTS, measured),
        )
        parts = RUN_PARTS | {name: spec for each, has_it in optional if has_it for name, spec in each.items()}
        if measured:
            parts = {name: spec for name, spec in parts.items() if name not in OF_OPTIMA}
        #: By point, the settings that a tuning chose.
        self.chosen: list[dict[str, Any]] = [{} for _ in self._points]
        self._parts = {name: spec.fitted(("task",) if per_task else ()) for name, spec in parts.items()}
        self._arrays = {name: self._empty(spec) for name, spec in self._parts.items()}

    def _empty(self, spec: Variable) -> NDArray[Any]:
        shape = (*self.shape, len(self._experiment.seeds), *(self._sizes[dim] for dim in spec.dims))
        if spec.kind is Kind.TEXT:
            return np.full(shape, "", dtype=object)
        return np.zeros(shape, dtype=np.int64) if spec.kind is Kind.WHOLE else np.full(shape, np.nan)

    def tune(self, number: int, path: PathLike) -> dict[str, float]:
        """Note the choice for a point; what its runs say of their tuning."""
        point = self._points[number]
        tuning = load_tuned(path, point.tasks, point.stated)
        self.chosen[number] = choice(tuning)
        return {
            "tuning_steps": float(tuning["rollout_steps"].sum()),
            "tuning_reached": float(tuning["target_reached"]),
        }

    def fill(self, index: tuple[int, ...], run: xr.Dataset, tuning: Mapping[str, float]) -> None:
        """Enter a run at its place, with what is known of its tuning."""
        values: dict[str, Any] = {
            name: run[name].values if name in run else run.attrs[name]
            for name in self._parts
            if name in run or name in run.attrs
        }
        values |= {**tuning, "K_last": run["K"].values[-1]}
        if self._exact:
            J_star, J0 = (self._exact[run.attrs["case"]][name].values for name in ("J_star", "J0"))
            values["ratio"] = cost_difference_ratio(run["cost"].values, J_star, J0)
            if "cost_average" in values:
                values["ratio_average"] = cost_difference_ratio(values["cost_average"], J_star, J0)
        for name in values.keys() & {"K_last", "K_average"}:
            if "task" in self._parts[name].dims:
                values[name] = np.broadcast_to(values[name], (run.sizes["task"], *values[name].shape[-2:]))
        for name, value in values.items():
            place: tuple[Any, ...] = (*index, *map(slice, np.shape(value)))
            self._arrays[name][place] = value

    def dataset(self) -> xr.Dataset:
        """Return the group of the case."""
        variables: dict[str, Any] = {
            name: ((*self.axes, "seed", *spec.dims), self._arrays[name]) for name, spec in self._parts.items()
        }
        variables |= {name: self._costs(name) for name in TASK_COSTS if self._exact}
        differing, common = self._settings()
        coordinates: dict[str, Any] = {
            **differing,
            "seed": (("seed",), np.array(self._experiment.seeds)),
            "iteration": (("iteration",), np.arange(self._sizes["iteration"])),
        }
        sizes = {"state_dim": self._sizes["state"], "action_dim": self._sizes["action"]}
        dataset = xr.Dataset(variables, coordinates, {"settings": json.dumps(common), **sizes})
        for key, variable in dataset.variables.items():
            described = coordinate(str(key)) or {**DATASETS.variables, **DATASETS.optional}[str(key)]
            variable.attrs.update(described.attributes)
        return dataset

    def _costs(self, name: str) -> tuple[tuple[str, ...], NDArray[Any]]:
        """Costs of the tasks, along the axes that change the tasks."""
        array = np.full((*self.shape, self._sizes["task"]), np.nan)
        for index, point in zip(np.ndindex(self.shape), self._points, strict=True):
            values = self._exact[point.tasks][name].values
            array[index][: len(values)] = values
        moving = [axis for axis in self.axes if _moves_tasks(self._experiment, axis)]
        return (*moving, "task"), self._along(moving, array)

    def _along(self, axes: Collection[str], values: NDArray[Any]) -> NDArray[Any]:
        """The values along these axes alone, on which all depends."""
        return values[tuple(slice(None) if axis in axes else 0 for axis in self.axes)]

    def _settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings that differ between runs, as coordinates, and the values of all others."""
        rows = [
            {**point.settings.as_dict(), **point.values, **chosen}
            for point, chosen in zip(self._points, self.chosen, strict=True)
        ]
        coordinates: dict[str, Any] = {}
        common: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            flat = np.empty(len(rows), dtype=object)
            for place, row in enumerate(rows):
                flat[place] = row.get(name)  # one by one: NumPy would make an array of a list
            values = flat.reshape(self.shape)
            axes = (
                [name] if name in self.axes else [axis for axis in self.axes if _varies(values, self.axes.index(axis))]
            )
            if axes:
                coordinates[name] = (axes, _setting_values(self._along(axes, values)))
            else:
                common[name] = rows[0].get(name)
        return coordinates, common


def _moves_tasks(experiment: Experiment, axis: str) -> bool:
    linked = [name for name, other in experiment.linked.items() if other == axis]
    return any(name.startswith(TASKS) for name in (axis, *linked))


def _varies(values: NDArray[Any], axis: int) -> bool:
    return bool((values != np.take(values, [0], axis=axis)).any())


def _setting_values(values: NDArray[Any]) -> NDArray[Any]:
    """The values of a setting that differs; all as text if one is text, a list or a range, else absent ones as NaN."""
    several = (list, tuple, dict)
    if any(isinstance(value, (str, *several)) for value in values.flat):
        words = [
            json.dumps(value) if isinstance(value, several) else ("" if value is None else str(value))
            for value in values.flat
        ]
        return np.array(words).reshape(values.shape)
    return np.array([np.nan if value is None else value for value in values.flat]).reshape(values.shape)


def save_experiment(path: PathLike, experiment: str, cases: Mapping[str, xr.Dataset]) -> None:
    """Write an experiment: a tree with one group for each case of :func:`combine_runs`."""
    root = xr.Dataset(attrs={**provenance(DATASETS), "experiment": experiment})
    save(path, xr.DataTree.from_dict({"/": root, **cases}))


def load_experiment(path: PathLike, experiment: str | None = None) -> xr.DataTree:
    """Read an experiment."""
    tree = load_tree(path, DATASETS.stage, _layout_of)
    name = tree.attrs.get("experiment")
    if not isinstance(name, str) or (experiment is not None and name != experiment):
        raise unusable(path, DATASETS.stage, f"it belongs to the experiment {name!r}, not {experiment!r}")
    return tree


def _layout_of(case: xr.Dataset) -> Layout:
    """The layout of one case: its axes, as far as they are known, and the coordinates along these."""
    dims = {str(name): tuple(map(str, variable.dims)) for name, variable in case.variables.items()}
    axes = tuple(dim for dim in dims.get("status", ()) if dim not in ("iteration", "seed") and coordinate(dim))

    def placed(name: str, spec: Variable) -> Variable:
        # A sweep may change the number of tasks; where there are fewer, the rest is NaN.
        moving = tuple(axis for axis in axes if axis in dims.get("J_star" if name == "K_last" else name, ()))
        before = moving if name in TASK_COSTS else (*axes, "seed")
        some_missing = moving and "task" in dims.get(name, ()) and name in ("K_last", *TASK_COSTS)
        may_be = spec.may_be | NonFinite.NAN if some_missing else spec.may_be
        return spec._replace(dims=(*before, *spec.dims), may_be=may_be)

    coordinates = {}
    for name in dict.fromkeys([*axes, "seed", "iteration", *map(str, case.coords)]):
        if described := coordinate(name):
            is_setting = name in case.coords and name not in (*axes, "seed", "iteration")
            # Not every run need have a setting.
            coordinates[name] = described._replace(dims=dims[name], may_be=NonFinite.NAN) if is_setting else described
    variables, optional = (
        {name: placed(name, spec) for name, spec in each.items()} for each in (DATASETS.variables, DATASETS.optional)
    )
    if "cost_error" in dims:  # of a simulator
        required = {**variables, "cost_error": optional["cost_error"]}
        variables, optional = (
            {name: spec for name, spec in each.items() if name not in OF_OPTIMA} for each in (required, optional)
        )
    return DATASETS._replace(variables=variables, coordinates=coordinates, optional=optional)

"""The files of experiments: many runs as one dataset, with the swept settings and the seed as dimensions."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.storage.files import PathLike, load_tree, provenance, save, unusable
from metalqr.storage.layout import ITERATION, PER_RUN, STATUSES, TASK_COSTS, Kind, Layout, Special, Variable
from metalqr.storage.runs import load_optima, load_run

#: What each run adds, without the dimensions of the experiment. After its end a run is NaN, counts too.
RUN_PARTS = {
    **{name: spec._replace(kind=Kind.REAL, may_be=frozenset(Special)) for name, spec in PER_RUN.items()},
    "K_last": Variable(("action", "state"), "last gain of the run"),
    "status": Variable((), "how the run ended: completed, tolerance or diverged", kind=Kind.TEXT, choices=STATUSES),
    "status_iteration": Variable((), "last iteration of the run", kind=Kind.WHOLE),
}

#: What the file of an experiment holds in each of its groups; what each run adds has the experiment's axes before.
DATASETS = Layout(
    "datasets",
    "An experiment: runs by case, swept settings and seed",
    {**RUN_PARTS, **TASK_COSTS},
    ("settings", "state_dim", "action_dim"),
)

#: The coordinates of datasets.
COORDINATES = {
    "iteration": ITERATION,
    "seed": Variable(("seed",), "seed of the run's random numbers", kind=Kind.WHOLE),
    "learning_rate": Variable(("learning_rate",), "learning rate alpha of the outer loop", kind=Kind.SETTING),
    "adaptation_rate": Variable(("adaptation_rate",), "adaptation rate eta", kind=Kind.SETTING),
    "perturbations": Variable(("perturbations",), "perturbed policies per task (outer M)", kind=Kind.SETTING),
    "inner_perturbations": Variable(
        ("inner_perturbations",), "perturbations of each perturbed policy (inner M)", kind=Kind.SETTING
    ),
    "smoothing_radius": Variable(("smoothing_radius",), "smoothing radius r", kind=Kind.SETTING),
    "rollout_length": Variable(("rollout_length",), "length of a roll-out", "steps", kind=Kind.SETTING),
    "iterations": Variable(("iterations",), "largest number of iterations N", kind=Kind.SETTING),
    "tolerance": Variable(
        ("tolerance",), "norm of the estimated meta-gradient at which training stops", kind=Kind.SETTING
    ),
    "task_batch": Variable(("task_batch",), "tasks drawn at every iteration", kind=Kind.SETTING),
    "precision": Variable(("precision",), "precision of the simulated roll-outs", kind=Kind.SETTING),
}


def combine_runs(
    runs: Iterable[PathLike],
    optima: PathLike,
    *,
    case: str,
    common: Mapping[str, Any],
    sweep: Mapping[str, Sequence[Any]],
    linked: Mapping[str, str],
    seeds: Sequence[int],
) -> xr.Dataset:
    """One case of an experiment: its runs with the swept settings and the seed as dimensions.

    A run that ended early is NaN from its end on; that makes its counts real numbers. ``status`` and
    ``status_iteration`` say how and when each run ended.

    Parameters
    ----------
    runs : iterable of path
        Files of :func:`save_run`, the last swept setting slower than the seed, the first the slowest.
    optima : path
        File of :func:`save_optima`.
    case : str
        Name of the case, which every file must have.
    common : mapping
        The algorithm's settings that are not swept.
    sweep : mapping of str to sequence
        Values of the swept settings: the dimensions.
    linked : mapping of str to str
        Settings that move together with a swept one, with its name: further coordinates of its dimension.
    seeds : sequence of int

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    StorageError
        If a file is unusable, or is of another case, other settings, another seed or other dimensions than
        its place asks for.
    """
    exact = load_optima(optima, case)
    shape = (*(len(values) for values in sweep.values()), len(seeds))
    dims = (*sweep, "seed")
    length = 1 + max(sweep.get("iterations", [common.get("iterations", 0)]))
    if linked.get("iterations"):
        length = 1 + max(sweep[linked["iterations"]])
    sizes = {
        "iteration": length,
        "task": exact.sizes["task"],
        **{name: exact.sizes[name] for name in ("action", "state")},
    }
    table = {name: DATASETS.variables[name] for name in (*PER_RUN, "K_last")}
    arrays = {name: np.full((*shape, *(sizes[dim] for dim in table[name].dims)), np.nan) for name in table}
    status = np.full(shape, "", dtype=object)
    last = np.zeros(shape, dtype=np.int64)

    for index, path in zip(np.ndindex(shape), runs, strict=True):
        run = load_run(path, case)
        point = {name: values[place] for (name, values), place in zip(sweep.items(), index, strict=False)}
        wanted = {**common, **point, **{name: point[axis] for name, axis in linked.items()}}
        if json.loads(run.attrs["settings"]) != wanted or run.attrs["seed"] != seeds[index[-1]]:
            raise unusable(path, "runs", "it is a run of other settings or another seed")
        # Checked, because NumPy would spread a smaller array over a larger one without a word.
        for name in ("action", "state", "task"):
            if run.sizes[name] != sizes[name]:
                reason = f"its dimension {name} is {run.sizes[name]}, but {sizes[name]} in {os.fspath(optima)}"
                raise unusable(path, "runs", reason)
        if run.sizes["iteration"] > length:
            reason = f"it holds {run.sizes['iteration']} iterations where its settings allow {length}"
            raise unusable(path, "runs", reason)
        for name in PER_RUN:
            arrays[name][index][: run.sizes["iteration"]] = run[name].values
        arrays["K_last"][index] = run["K"].values[-1]
        status[index], last[index] = run.attrs["status"], run.attrs["status_iteration"]

    variables = {name: (dims + table[name].dims, array) for name, array in arrays.items()}
    variables |= {"status": (dims, status), "status_iteration": (dims, last)}
    variables |= {name: (("task",), exact[name].values) for name in TASK_COSTS}
    coordinates: dict[str, Any] = {
        "seed": (("seed",), np.array(seeds)),
        "iteration": (("iteration",), np.arange(length)),
    }
    for name, axis in {**{name: name for name in sweep}, **linked}.items():
        coordinates[name] = ((axis,), _coordinate(sweep[axis]))
    dataset = xr.Dataset(variables, coordinates)
    described = {**COORDINATES, **DATASETS.variables}
    for key, variable in dataset.variables.items():
        variable.attrs.update(described[str(key)].attributes)
    dataset.attrs = {
        "settings": json.dumps(common),
        "state_dim": exact.sizes["state"],
        "action_dim": exact.sizes["action"],
    }
    return dataset


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
    """The layout of one case: its axes, as far as they are settings, and a coordinate for each."""
    found = case["ratio"].dims if "ratio" in case else ()
    axes = tuple(str(dim) for dim in found if dim in COORDINATES and dim not in ("iteration", "seed"))
    variables = {name: spec._replace(dims=(*axes, "seed", *spec.dims)) for name, spec in RUN_PARTS.items()}
    coordinates = {name: COORDINATES[name] for name in (*axes, "seed", "iteration")}
    return DATASETS._replace(variables={**variables, **TASK_COSTS}, coordinates=coordinates)


def _coordinate(values: Sequence[Any]) -> NDArray[Any]:
    """The values of a swept setting; all as text if one is (task_batch: all, precision)."""
    return np.array([str(value) for value in values] if any(isinstance(value, str) for value in values) else values)

"""The files of experiments: many runs as one dataset, with the swept settings and the seed as dimensions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.storage.files import PathLike, load_tree, provenance, save, unusable
from metalqr.storage.layout import COORDINATES, PER_RUN, TASK_COSTS, VARIABLES
from metalqr.storage.runs import load_optima, load_run


def combine_runs(
    runs: Iterable[PathLike],
    optima: PathLike,
    *,
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
        If a file is unusable, or is a run of other settings or another seed than its place asks for.
    """
    exact = load_optima(optima)
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
    table = {name: VARIABLES["datasets"][name] for name in (*PER_RUN, "K_last")}
    arrays = {name: np.full((*shape, *(sizes[dim] for dim in table[name].dims)), np.nan) for name in table}
    status = np.full(shape, "", dtype=object)
    last = np.zeros(shape, dtype=np.int64)

    for index, path in zip(np.ndindex(shape), runs, strict=True):
        run = load_run(path)
        point = {name: values[place] for (name, values), place in zip(sweep.items(), index, strict=False)}
        wanted = {**common, **point, **{name: point[axis] for name, axis in linked.items()}}
        if json.loads(run.attrs["settings"]) != wanted or run.attrs["seed"] != seeds[index[-1]]:
            raise unusable(path, "runs", "it is a run of other settings or another seed")
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
    described = {**COORDINATES, **VARIABLES["datasets"]}
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
    root = xr.Dataset(attrs={**provenance("datasets"), "experiment": experiment})
    save(path, xr.DataTree.from_dict({"/": root, **cases}))


def load_experiment(path: PathLike) -> xr.DataTree:
    """Read an experiment of :func:`save_experiment`.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign or incomplete.
    """
    return load_tree(path, "datasets")


def _coordinate(values: Sequence[Any]) -> NDArray[Any]:
    """The values of a swept setting; all as text if one is (task_batch: all)."""
    return np.array([str(value) for value in values] if any(isinstance(value, str) for value in values) else values)

"""The files of what the theory promises of the runs of a case: dimensions seed, iteration, task and promise."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.results.files import PathLike, load, save, unusable
from metalqr.results.layout import ITERATION, Kind, Layout, Special, Variable
from metalqr.results.runs import dataset_of

if TYPE_CHECKING:  # for annotations only, as in `runs.py`
    from metalqr.evaluation.guarantees import Stability

#: The promises in the order of a file; the values of metalqr.evaluation.guarantees.Promise, a test compares the two.
PROMISES = (
    "stabilising",
    "perturbed_stabilising",
    "maml_stabilising",
    "adapted_stabilising",
    "in_sublevel_set",
    "adapted_in_sublevel_set",
    "mean_cost_falls",
    "objective_falls",
    "every_cost_falls",
)

_NAN = frozenset({Special.NAN})
_INFINITE = frozenset({Special.INFINITE})
# After its end a run is NaN; where a policy does not stabilise a task its cost is infinite.
_ANYTHING = frozenset(Special)
_PER_TASK = ("seed", "iteration", "task")

#: What a file holds along the iterations, under the names of Stability.
_COURSE = {
    "spectral_radius": Variable(_PER_TASK, "spectral radius of A_i - B_i K_n", "1", may_be=_ANYTHING),
    "cost": Variable(_PER_TASK, "exact cost J_i(K_n)", may_be=_ANYTHING),
    "exactly_adapted_cost": Variable(_PER_TASK, "exact cost J_i(K_n - eta grad J_i(K_n))", may_be=_ANYTHING),
    "adapted_cost": Variable(
        _PER_TASK, "exact cost of K_n adapted to task i by an estimate of Algorithm 1", may_be=_ANYTHING
    ),
    "mean_cost": Variable(("seed", "iteration"), "mean cost sum_i p_i J_i(K_n)", may_be=_ANYTHING),
    "objective": Variable(("seed", "iteration"), "meta-objective L(K_n)", may_be=_ANYTHING),
    "unstable_share": Variable(
        ("seed", "iteration"), "share of the perturbed policies that do not stabilise their task", "1", may_be=_NAN
    ),
}
_RISES = {
    "mean_cost_rise": Variable(("seed",), "largest relative rise of the mean cost in one step", "1", may_be=_INFINITE),
    "objective_rise": Variable(
        ("seed",), "largest relative rise of the meta-objective in one step", "1", may_be=_INFINITE
    ),
    "cost_rise": Variable(
        ("seed", "task"), "largest relative rise of each task's cost in one step", "1", may_be=_INFINITE
    ),
}

STABILITY = Layout(
    "stability",
    "What the theory promises of the runs at a case's own settings",
    {
        **_COURSE,
        **_RISES,
        "checked": Variable(("seed", "promise"), "iterations at which the promise could be looked at", kind=Kind.WHOLE),
        "kept": Variable(("seed", "promise"), "share of these iterations at which it was kept", "1", may_be=_NAN),
        "first_broken": Variable(
            ("seed", "promise"), "first iteration at which it was not kept; -1 if there is none", kind=Kind.WHOLE
        ),
        "last_iteration": Variable(("seed",), "last iteration of the run", kind=Kind.WHOLE),
    },
    ("case", "settings"),
    {
        "seed": Variable(("seed",), "seed of the run's random numbers", kind=Kind.WHOLE),
        "iteration": ITERATION,
        "promise": Variable(("promise",), "what is promised", kind=Kind.TEXT, choices=PROMISES),
    },
)


def save_stability(path: PathLike, runs: "Mapping[int, Stability]", settings: Mapping[str, Any], *, case: str) -> None:
    """Write what was found along the runs of a case, by their seeds. A run that ended early is NaN from its end on.

    Parameters
    ----------
    path : path
    runs : mapping of int to metalqr.evaluation.guarantees.Stability
    settings : mapping
        Every setting of the runs by name.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written.
    ValueError
        If there is no run.
    """
    if not runs:
        raise ValueError("there is no run to write; give at least one")
    lengths = [len(run.cost) for run in runs.values()]
    records = [run.records for run in runs.values()]
    arrays: dict[str, Any] = {
        **{name: _padded([getattr(run, name) for run in runs.values()], max(lengths)) for name in _COURSE},
        **{name: [getattr(run, name) for run in runs.values()] for name in _RISES},
        "checked": [[record.checked for record in row] for row in records],
        "kept": [[record.share for record in row] for row in records],
        "first_broken": [
            [-1 if record.first_broken is None else record.first_broken for record in row] for row in records
        ],
        "last_iteration": [length - 1 for length in lengths],
    }
    coordinates: dict[str, Any] = {
        "seed": np.array(list(runs)),
        "iteration": np.arange(max(lengths)),
        "promise": list(PROMISES),
    }
    dataset = dataset_of(STABILITY, arrays, {"case": case, "settings": json.dumps(settings)}).assign_coords(
        {name: ((name,), values, STABILITY.coordinates[name].attributes) for name, values in coordinates.items()}
    )
    save(path, dataset)


def load_stability(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the file of :func:`save_stability`; with `case`, check that it is of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case.
    """
    dataset = load(path, STABILITY, case)
    if (found := tuple(dataset["promise"].values.tolist())) != PROMISES:
        raise unusable(path, STABILITY.stage, f"its promises are {', '.join(found)}, not {', '.join(PROMISES)}")
    length, last = dataset.sizes["iteration"], int(dataset["last_iteration"].max())
    if length != last + 1:
        raise unusable(path, STABILITY.stage, f"it holds {length} iterations where its longest run has {last + 1}")
    return dataset


def _padded(courses: list[NDArray[np.float64]], length: int) -> NDArray[np.float64]:
    """The courses (n + 1, ...) of the runs as one array, NaN after the end of each."""
    padded = np.full((len(courses), length, *courses[0].shape[1:]), np.nan)
    for place, course in enumerate(courses):
        padded[place, : len(course)] = course
    return padded

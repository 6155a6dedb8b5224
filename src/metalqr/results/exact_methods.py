"""The files of the first-order methods with exact gradients, one for each case."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from metalqr.results.files import PathLike, load, save, unusable
from metalqr.results.layout import ITERATION, Kind, Layout, Special, Variable
from metalqr.results.runs import dataset_of

if TYPE_CHECKING:  # for annotations only, as in `runs.py`
    from metalqr.evaluation.exact_methods import Descent, MetaDescent

#: The methods in the order of a file; the values of metalqr.evaluation.exact_methods.Method, a test compares the two.
METHODS = ("gradient_descent", "natural_gradient", "gauss_newton")

_NAN = frozenset({Special.NAN})

#: What a file holds of each method, under the names of Descent.
_PER_TASK = {
    "gap": Variable(("descent", "task", "iteration"), "gap J_i(K_n) - J_i* of the method on each task by itself"),
    "step": Variable(("descent", "task"), "step size eta"),
    "curvature": Variable(("descent", "task"), "largest curvature of the cost met on the way"),
    "guaranteed_rate": Variable(
        ("descent", "task"), "bound on the ratio of successive gaps, at every iteration", "1", may_be=_NAN
    ),
    "asymptotic_rate": Variable(
        ("descent", "task"), "limit of the ratio of successive gaps, from the spectrum at the optimum", "1"
    ),
    "linearised_rate": Variable(
        ("descent", "task"),
        "ratio that the linearisation at the optimum predicts for the measurement",
        "1",
        may_be=_NAN,
    ),
    "measured_rate": Variable(("descent", "task"), "measured ratio of successive gaps", "1", may_be=_NAN),
}
#: What it holds of gradient descent on the meta-objective, with `meta_` before the names of MetaDescent.
#: All of it is NaN where the initial gain is not MAML-stabilising.
_META = {
    "gap": Variable(("iteration",), "gap L(K_n) - L(K*) of gradient descent on the meta-objective", may_be=_NAN),
    "step": Variable((), "learning rate alpha of gradient descent on the meta-objective", may_be=_NAN),
    **{
        name: _PER_TASK[name]._replace(dims=(), may_be=_NAN)
        for name in ("curvature", "asymptotic_rate", "linearised_rate", "measured_rate")
    },
}

EXACT_METHODS = Layout(
    "exact_methods",
    "First-order methods with exact gradients, and their rates",
    {**_PER_TASK, **{f"meta_{name}": spec for name, spec in _META.items()}},
    ("case", "settings", "state_dim", "action_dim"),
    {
        # Not named `method`: xarray's `sel` has a parameter of that name, and would take `sel(method=...)` for it.
        "descent": Variable(("descent",), "first-order method", kind=Kind.TEXT, choices=METHODS),
        "iteration": ITERATION,
    },
)


def save_exact_methods(
    path: PathLike,
    descents: "Sequence[Descent]",
    meta: "MetaDescent | None",
    settings: Mapping[str, Any],
    *,
    case: str,
) -> None:
    """Write the paths of all methods, from the same gain and of the same number of iterations.

    Parameters
    ----------
    path : path
    descents : sequence of metalqr.evaluation.exact_methods.Descent
        One of each method, in the order of METHODS.
    meta : metalqr.evaluation.exact_methods.MetaDescent or None
        None if the initial gain is not MAML-stabilising, so that there is no such descent from it.
    settings : mapping
        What the numbers depend on beside the tasks; kept as JSON in the attribute ``settings``.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written.
    ValueError
        If the descents are not one of each method, or differ in the number of iterations.
    """
    if (found := tuple(str(descent.method) for descent in descents)) != METHODS:
        raise ValueError(
            f"the descents are of {', '.join(found) or 'no method'}; give one of {', '.join(METHODS)} each"
        )
    lengths = [len(descent.gap) for descent in descents] + ([len(meta.gap)] if meta else [])
    if len(set(lengths)) > 1:
        raise ValueError(f"the descents have {', '.join(str(n - 1) for n in lengths)} iterations; give them the same")
    # The methods keep the iterations first, a file the tasks.
    arrays: dict[str, Any] = {name: np.stack([getattr(each, name).T for each in descents]) for name in _PER_TASK}
    for name, spec in _META.items():
        arrays[f"meta_{name}"] = getattr(meta, name) if meta else np.full([lengths[0]] * len(spec.dims), np.nan)
    gains = descents[0].K
    attributes = {
        "case": case,
        "settings": json.dumps(settings),
        "state_dim": gains.shape[-1],
        "action_dim": gains.shape[-2],
    }
    coordinates = EXACT_METHODS.coordinates
    dataset = dataset_of(EXACT_METHODS, arrays, attributes).assign_coords(
        descent=("descent", list(METHODS), coordinates["descent"].attributes),
        iteration=("iteration", np.arange(lengths[0]), coordinates["iteration"].attributes),
    )
    save(path, dataset)


def load_exact_methods(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the file of :func:`save_exact_methods`; with `case`, check that it is of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case, or does not hold every method once.
    """
    dataset = load(path, EXACT_METHODS, case)
    found = tuple(dataset["descent"].values.tolist())
    if found != METHODS:
        raise unusable(path, EXACT_METHODS.stage, f"its methods are {', '.join(found)}, not {', '.join(METHODS)}")
    return dataset

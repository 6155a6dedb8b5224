"""Files of the first-order methods with exact gradients, one for each case."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from metalqr.evaluation.exact_methods.descent import ExactDescent
from metalqr.evaluation.exact_methods.rates import RATES
from metalqr.results import dataset_of, load
from metalqr.results.files import PathLike
from metalqr.results.layout import ITERATION, OF_CASE, SIZES, Kind, Layout, NonFinite, Variable

_PER_TASK = ("descent", "task")

#: Of each method, under the names of ExactDescent.
_OF_METHODS = {
    "gap": Variable((*_PER_TASK, "iteration"), "gap J_i(K_n) - J_i* of the method on each task by itself"),
    "step": Variable(_PER_TASK, "step size eta"),
    "curvature": Variable(_PER_TASK, "largest curvature of the cost met on the way"),
    "guaranteed_rate": Variable(
        _PER_TASK, "bound on the ratio of successive gaps, at every iteration", "1", may_be=NonFinite.NAN
    ),
    "asymptotic_rate": Variable(
        _PER_TASK, "limit of the ratio of successive gaps, from the spectrum at the optimum", "1"
    ),
    "linearised_rate": Variable(
        _PER_TASK, "ratio that the linearisation at the optimum predicts for the measurement", "1", may_be=NonFinite.NAN
    ),
    "measured_rate": Variable(_PER_TASK, "measured ratio of successive gaps", "1", may_be=NonFinite.NAN),
}
#: Of the descent on the meta-objective, with `meta_` before the names; NaN where there is none.
_OF_META = {
    **{
        name: spec._replace(dims=(), may_be=NonFinite.NAN)
        for name, spec in _OF_METHODS.items()
        if name != "guaranteed_rate"
    },
    "gap": Variable(
        ("iteration",), "gap L(K_n) - L(K*) of gradient descent on the meta-objective", may_be=NonFinite.NAN
    ),
    "step": Variable((), "learning rate alpha of gradient descent on the meta-objective", may_be=NonFinite.NAN),
}

EXACT_METHODS = Layout(
    "exact_methods",
    "First-order methods with exact gradients, and their rates",
    {**_OF_METHODS, **{f"meta_{name}": spec for name, spec in _OF_META.items()}},
    {**OF_CASE, **SIZES},
    {
        # Not named `method`: xarray's `sel` has a parameter of that name.
        "descent": Variable(("descent",), "first-order method", kind=Kind.TEXT, choices=tuple(RATES), has_all=True),
        "iteration": ITERATION,
    },
)


def exact_methods_dataset(
    descents: Sequence[ExactDescent], meta: ExactDescent | None, settings: Mapping[str, Any], *, case: str
) -> xr.Dataset:
    """Return what the file of a case holds: descents from the same gain and of the same number of iterations.

    Parameters
    ----------
    descents : sequence of ExactDescent
        Those on the tasks, one of each method in the order of RATES.
    meta : ExactDescent or None
        That on the meta-objective; None if the initial gain is not MAML-stabilising.
    settings : mapping
        What the numbers depend on beside the tasks.
    case : str

    Raises
    ------
    ValueError
        If the descents are not one of each method, or differ in the number of iterations.
    """
    if (found := [descent.method for descent in descents]) != list(RATES):
        raise ValueError(f"the descents are of {', '.join(found) or 'no method'}; give one of {', '.join(RATES)} each")
    lengths = [len(descent.gap) for descent in [*descents, *([meta] if meta else [])]]
    if len(set(lengths)) > 1:
        raise ValueError(f"the descents have {', '.join(str(n - 1) for n in lengths)} iterations; give them the same")
    # A descent has the iterations first, a file the tasks.
    arrays: dict[str, Any] = {name: [getattr(each, name).T for each in descents] for name in _OF_METHODS}
    for name, spec in _OF_META.items():
        missing = np.full(lengths[0] if spec.dims else (), np.nan)
        arrays[f"meta_{name}"] = getattr(meta, name)[..., 0] if meta else missing
    action_dim, state_dim = descents[0].K.shape[-2:]
    arrays |= {"descent": found, "iteration": np.arange(lengths[0])}
    return dataset_of(EXACT_METHODS, arrays, case=case, settings=settings, state_dim=state_dim, action_dim=action_dim)


def load_exact_methods(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the exact methods of a case; see :func:`metalqr.results.load`."""
    return load(path, EXACT_METHODS, case)

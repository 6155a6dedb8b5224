"""Files of the meta-objective's optima: one for each case and adaptation rate."""

import json

import numpy as np
import xarray as xr

from metalqr.lqr import LQRTasks
from metalqr.objectives.adaptation import BIASED
from metalqr.optimal.learnability import Verdict
from metalqr.results.files import PathLike, load, unusable
from metalqr.results.layout import OF_CASE, Kind, Layout, NonFinite, Variable

#: NaN where no optimum is known, and then all of them.
_OPTIMUM = {
    "K_meta": Variable(("action", "state"), "optimal gain K* of the meta-objective L", may_be=NonFinite.NAN),
    "J_meta": Variable(("task",), "cost of each task after adapting K*", may_be=NonFinite.NAN),
    "objective_meta": Variable((), "meta-objective L(K*)", may_be=NonFinite.NAN),
}
#: The gains at which directions are compared with the meta-gradient.
COMPARED_GAINS = ("K0", "K_shared")
_COMPARED = ("gain", "method")


def _violation(dataset: xr.Dataset) -> str | None:
    unknown = [np.isnan(dataset[name].values) for name in _OPTIMUM]
    if any(where.any() for where in unknown) and not all(where.all() for where in unknown):
        return f"it holds only some of {', '.join(_OPTIMUM)}"
    return None


META_OPTIMA = Layout(
    "meta_optima",
    "Optimum of the meta-objective at an adaptation rate",
    {
        **_OPTIMUM,
        **{
            name: Variable(dims, long_name, may_be=NonFinite.INFINITE)
            for name, dims, long_name in (
                ("J0_adapted", ("task",), "cost of each task after adapting the initial gain"),
                ("objective_K0", (), "meta-objective of the initial gain"),
                ("objective_shared", (), "meta-objective of the best single gain"),
                ("largest_adaptation_rate", (), "up to this adaptation rate the initial gain is MAML-stabilising"),
            )
        },
        **{
            name: Variable(_COMPARED, long_name, "1", may_be=NonFinite.NAN)
            for name, long_name in (
                ("bias", "norm of exact direction less meta-gradient, relative to the meta-gradient"),
                ("bias_cosine", "cosine of the angle between exact direction and meta-gradient"),
            )
        },
        "verdict": Variable((), "whether the tasks are MAML-learnable", kind=Kind.TEXT, choices=tuple(Verdict)),
        "certificate": Variable((), "why", kind=Kind.TEXT),
    },
    OF_CASE,
    {
        "gain": Variable(("gain",), "gain of the comparison", kind=Kind.TEXT, choices=COMPARED_GAINS, has_all=True),
        "method": Variable(
            ("method",), "method, of reptile with its steps", kind=Kind.TEXT, choices=BIASED, has_all=True
        ),
    },
    violation=_violation,
)


def load_meta_optimum_at(path: PathLike, name: str) -> xr.Dataset:
    """Read the optimum that a case and an adaptation rate name together, as in ``d1k1/1e-05``."""
    case, _, rate = name.partition("/")
    return load_meta_optimum(path, case, adaptation_rate=float(rate))


def load_meta_optimum(
    path: PathLike, case: str | None = None, tasks: LQRTasks | None = None, adaptation_rate: float | None = None
) -> xr.Dataset:
    """Read the optimum of a case and an adaptation rate."""
    dataset = load(path, META_OPTIMA, case, tasks)
    found = json.loads(dataset.attrs["settings"]).get("adaptation_rate")
    if adaptation_rate is not None and found != adaptation_rate:
        raise unusable(path, META_OPTIMA.stage, f"it is of the adaptation rate {found}, not {adaptation_rate}")
    return dataset

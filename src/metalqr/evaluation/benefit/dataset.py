"""Files of the benefit of meta-learning: one for each case."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import xarray as xr

from metalqr.config.benefit import Difference
from metalqr.evaluation.benefit.comparison import Comparison
from metalqr.evaluation.heterogeneity import MATRICES
from metalqr.evaluation.meta_benefit import STARTS, STEPS
from metalqr.results.files import PathLike, dataset_of, load
from metalqr.results.layout import OF_CASE, SIZES, Kind, Layout, NonFinite, Variable

_LEVEL = ("difference", "heterogeneity", "draw")
_RATE = (*_LEVEL, "share")
_GAP = (*_RATE, "start", "step")

#: Not a number only where a draw or a rate has no result; `failure` has the reason.
_OF_RATES = {
    "training_gap": Variable(
        (*_GAP, "task"), "gap (J_i(K) - J_i*) / J_i* on the training tasks; infinite where unstable", "1"
    ),
    "unseen_gap": Variable((*_GAP, "unseen"), "the same on unseen tasks", "1"),
    "objective": Variable(_RATE, "meta-objective L of its optimum"),
    "K_meta": Variable((*_RATE, "action", "state"), "optimum of the meta-objective"),
}
_OF_DRAWS = {
    "largest_rate": Variable(_LEVEL, "largest adaptation rate eta_max of the draw"),
    "K_shared": Variable((*_LEVEL, "action", "state"), "best single gain of the training tasks"),
    "matrix_distance": Variable(
        (*_LEVEL, "matrix"), "largest distance of two training tasks in a matrix, spectral norm"
    ),
    "gradient_distance": Variable(
        _LEVEL, "largest gradient of a training task at the best single gain, Frobenius norm"
    ),
    "bisimulation_distance": Variable(
        _LEVEL, "largest bisimulation distance of two training tasks under the best single gain, root of cost units"
    ),
}
_COUNTS = {
    "restarts": Variable(_RATE, "descents on L that began again from a better gain", kind=Kind.WHOLE),
    "better_seen": Variable(_RATE, "1 where a better gain is known than the optimum found", kind=Kind.WHOLE),
    "redrawn": Variable(_LEVEL, "training tasks that no gain stabilises, drawn again", kind=Kind.WHOLE),
    "unseen_redrawn": Variable(_LEVEL, "unseen tasks that no gain stabilises, drawn again", kind=Kind.WHOLE),
}


def _violation(dataset: xr.Dataset) -> str | None:
    failed = dataset["failure"].values != ""
    for name in _OF_RATES:
        unknown = np.isnan(dataset[name].values).reshape(*failed.shape, -1)
        if (unknown.any(axis=-1) != failed).any() or (unknown.all(axis=-1) != failed).any():
            return f"its variable {name} is not a number in other places than those that failure names"
    return None


META_BENEFIT = Layout(
    "meta_benefit",
    "Benefit of meta-learning and distances between tasks, by heterogeneity",
    {
        **{name: each._replace(may_be=NonFinite.ANY) for name, each in _OF_RATES.items()},
        **{name: each._replace(may_be=NonFinite.NAN) for name, each in _OF_DRAWS.items()},
        **_COUNTS,
        "failure": Variable(_RATE, "why there is no result; empty where there is one", kind=Kind.TEXT),
    },
    {**OF_CASE, **SIZES},
    {
        "difference": Variable(
            ("difference",), "what differs between tasks", kind=Kind.TEXT, choices=get_args(Difference)
        ),
        "heterogeneity": Variable(("heterogeneity",), "factor of the differences between tasks of the case", "1"),
        "draw": Variable(("draw",), "draw of training tasks; 0 are those of the case", kind=Kind.WHOLE),
        "share": Variable(("share",), "adaptation rate as a share of the largest", "1"),
        "start": Variable(("start",), "starting gain", kind=Kind.TEXT, choices=STARTS, has_all=True),
        "step": Variable(("step",), "exact adaptation steps taken", kind=Kind.WHOLE),
        "matrix": Variable(("matrix",), "matrix of a task", kind=Kind.TEXT, choices=MATRICES, has_all=True),
    },
    violation=_violation,
)


def meta_benefit_dataset(
    found: Mapping[str, Any],
    comparison: Comparison,
    settings: Mapping[str, Any],
    *,
    case: str,
    state_dim: int,
    action_dim: int,
) -> xr.Dataset:
    """Return what the file of a case holds: what :func:`metalqr.evaluation.benefit.comparison.compare` has found."""
    coordinates = {
        "difference": list(comparison.differences),
        "heterogeneity": np.array(comparison.heterogeneity, dtype=np.float64),
        "draw": np.arange(comparison.draws),
        "share": np.array(comparison.adaptation_rates, dtype=np.float64),
        "start": list(STARTS),
        "step": list(STEPS),
        "matrix": list(MATRICES),
    }
    sizes = {"state_dim": state_dim, "action_dim": action_dim}
    return dataset_of(META_BENEFIT, {**found, **coordinates}, case=case, settings=settings, **sizes)


def load_meta_benefit(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the benefit of meta-learning of a case."""
    return load(path, META_BENEFIT, case)

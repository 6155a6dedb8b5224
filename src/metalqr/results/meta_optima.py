"""The files of the meta-objective's optima: one for each case and adaptation rate."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from metalqr.lqr import LQRTasks
from metalqr.results.files import PathLike, load, save, unusable
from metalqr.results.layout import Kind, Layout, Special, Variable
from metalqr.results.runs import dataset_of, require_sizes

#: The values of metalqr.optimal.learnability.Verdict; a test compares the two.
VERDICTS = ("learnable", "not learnable", "not found")

_NAN, _INFINITE = frozenset({Special.NAN}), frozenset({Special.INFINITE})
#: Not a number, all of them, where no optimum is known.
_OPTIMUM = {
    "K_meta": Variable(("action", "state"), "optimal gain K* of the meta-objective L", may_be=_NAN),
    # A task of probability zero takes no part, and may be unstable.
    "J_meta": Variable(("task",), "cost of each task after adapting K*", may_be=_NAN | _INFINITE),
    "objective_meta": Variable((), "meta-objective L(K*)", may_be=_NAN),
}

META_OPTIMA = Layout(
    "meta_optima",
    "Optimum of the meta-objective at an adaptation rate",
    {
        **_OPTIMUM,
        "J0_adapted": Variable(("task",), "cost of each task after adapting the initial gain", may_be=_INFINITE),
        "objective_K0": Variable((), "meta-objective of the initial gain", may_be=_INFINITE),
        "objective_shared": Variable((), "meta-objective of the best single gain", may_be=_INFINITE),
        "largest_adaptation_rate": Variable(
            (), "up to this adaptation rate the initial gain is MAML-stabilising", may_be=_INFINITE
        ),
        "verdict": Variable((), "whether the tasks are MAML-learnable", kind=Kind.TEXT, choices=VERDICTS),
        "certificate": Variable((), "why", kind=Kind.TEXT),
    },
    ("case", "settings"),
)


def save_meta_optimum(path: PathLike, settings: Mapping[str, Any], *, case: str, **arrays: Any) -> None:
    """Write the optimum of a case at the ``adaptation_rate`` of the settings, under ``META_OPTIMA.variables``' names.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    save(path, dataset_of(META_OPTIMA, arrays, {"case": case, "settings": json.dumps(settings)}))


def load_meta_optimum_at(path: PathLike, name: str) -> xr.Dataset:
    """As :func:`load_meta_optimum`, of tasks at an adaptation rate that are named together, such as ``d1k1/1e-05``."""
    case, _, rate = name.partition("/")
    return load_meta_optimum(path, case, adaptation_rate=float(rate))


def load_meta_optimum(
    path: PathLike, case: str | None = None, tasks: LQRTasks | None = None, adaptation_rate: float | None = None
) -> xr.Dataset:
    """Read the file of :func:`save_meta_optimum`; check that it is of the case, tasks and adaptation rate, if given.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong, of another case, of tasks of other dimensions, or of another
        adaptation rate.
    """
    dataset = load(path, META_OPTIMA, case)
    unknown = [np.isnan(dataset[name].values) for name in _OPTIMUM]
    if any(where.any() for where in unknown) and not all(where.all() for where in unknown):
        raise unusable(path, META_OPTIMA.stage, f"it holds a part of an optimum in {', '.join(_OPTIMUM)}")
    if tasks is not None:
        require_sizes(path, META_OPTIMA, dataset, tasks)
    found = json.loads(dataset.attrs["settings"]).get("adaptation_rate")
    if adaptation_rate is not None and found != adaptation_rate:
        reason = f"it is of the adaptation rate {found}, not {adaptation_rate}"
        raise unusable(path, META_OPTIMA.stage, reason)
    return dataset

"""The files of the true error of Algorithms 1 and 2, one for each case."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from metalqr.results.files import PathLike, load, save, unusable
from metalqr.results.layout import Kind, Layout, Special, Variable
from metalqr.results.runs import dataset_of

if TYPE_CHECKING:  # for annotations only, as in `runs.py`
    from metalqr.evaluation.estimation_error import EstimationError

#: The swept parameters and the curves along them; a test compares them with those of the measurement.
PARAMETERS = ("perturbations", "smoothing_radius", "rollout_length")
CURVES = ("error", "noise", "bias")

_NAN = frozenset({Special.NAN})
_INFINITE = frozenset({Special.INFINITE})  # where roll-outs overflowed, or perturbed policies are unstable


def _along(parameter: str) -> dict[str, Variable]:
    """What a file holds along one parameter."""
    dims = ("target", parameter)
    described = {
        "error_mean": "mean error, Frobenius norm",
        "error_standard_error": "standard error of the mean error",
        "error_quantile": "90 % quantile of the error",
        "noise": "root mean square deviation of the estimates from their mean",
        "noise_standard_error": "standard error of the noise",
        "bias": "bias, Frobenius norm; of Algorithm 2 with the exact gradient in place of its inner estimate",
        "bias_standard_error": "standard error of the bias; 0 where it is exact",
    }
    variables = {
        f"{name}_{parameter}": Variable(dims, long_name, may_be=_INFINITE) for name, long_name in described.items()
    }
    return {f"repeats_{parameter}": Variable(dims, "number of estimates", kind=Kind.WHOLE), **variables}


ESTIMATION_ERROR = Layout(
    "estimation_error",
    "True error of Algorithms 1 and 2 at the initial gain",
    {
        "K": Variable(("action", "state"), "gain at which the errors were measured"),
        "exact_norm": Variable(("target",), "Frobenius norm of the exact gradient"),
        **{name: spec for parameter in PARAMETERS for name, spec in _along(parameter).items()},
        "slope": Variable(
            ("target", "parameter", "curve"), "slope of log curve against log parameter", "1", may_be=_NAN
        ),
        "slope_standard_error": Variable(
            ("target", "parameter", "curve"), "standard error of the slope", "1", may_be=_NAN
        ),
        "predicted_slope": Variable(("parameter", "curve"), "slope that theory predicts", "1"),
    },
    ("case", "settings", "seed", "state_dim", "action_dim"),
    {
        "target": Variable(("target",), "what is estimated", kind=Kind.TEXT),
        "algorithm": Variable(("target",), "number of the algorithm that estimates it", kind=Kind.WHOLE),
        "perturbations": Variable(("perturbations",), "perturbations M, outer and inner", kind=Kind.WHOLE),
        "smoothing_radius": Variable(("smoothing_radius",), "smoothing radius r"),
        "rollout_length": Variable(("rollout_length",), "length of a roll-out", "steps", kind=Kind.WHOLE),
        "parameter": Variable(("parameter",), "swept parameter", kind=Kind.TEXT, choices=PARAMETERS),
        "curve": Variable(("curve",), "mean error, its noise, its bias", kind=Kind.TEXT, choices=CURVES),
    },
)


def save_estimation_error(
    path: PathLike, found: "EstimationError", settings: Mapping[str, Any], seed: int, *, case: str
) -> None:
    """Write the errors along the three parameters, with their slopes.

    Parameters
    ----------
    path : path
    found : metalqr.evaluation.estimation_error.EstimationError
    settings : mapping
        Every setting of the algorithm by name: those of the case, which the swept one leaves.
    seed : int
        Of the measurement.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    sweeps = [getattr(found, parameter) for parameter in PARAMETERS]
    curves = [[getattr(sweep, curve) for curve in CURVES] for sweep in sweeps]
    arrays = {
        "K": found.K,
        "exact_norm": found.exact_norm,
        **{name: array for sweep in sweeps for name, array in _arrays(sweep)},
        "predicted_slope": [[curve.predicted_slope for curve in row] for row in curves],
    }
    for name in ("slope", "slope_standard_error"):
        arrays[name] = np.moveaxis(np.array([[getattr(curve, name) for curve in row] for row in curves]), -1, 0)
    attributes = {
        "case": case,
        "settings": json.dumps(settings),
        "seed": seed,
        "state_dim": found.K.shape[1],
        "action_dim": found.K.shape[0],
    }
    tasks = len(found.exact_norm) - 1
    coordinates = {
        "target": _targets(tasks),
        "algorithm": [1] * tasks + [2],
        **{sweep.parameter: sweep.values for sweep in sweeps},
        "parameter": list(PARAMETERS),
        "curve": list(CURVES),
    }
    table = ESTIMATION_ERROR.coordinates
    dataset = dataset_of(ESTIMATION_ERROR, arrays, attributes).assign_coords(
        {
            name: (table[name].dims, _of_kind(values, table[name].kind), table[name].attributes)
            for name, values in coordinates.items()
        }
    )
    save(path, dataset)


def load_estimation_error(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the file of :func:`save_estimation_error`; with `case`, check that it is of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case.
    """
    dataset = load(path, ESTIMATION_ERROR, case)
    tasks = dataset.sizes["target"] - 1
    found = (dataset["target"].values.tolist(), dataset["algorithm"].values.tolist())
    if found != (_targets(tasks), [1] * tasks + [2]):
        raise unusable(
            path, ESTIMATION_ERROR.stage, "its targets are not the gradient of each task and the meta-gradient"
        )
    for dim in ("state", "action"):
        if dataset.sizes[dim] != (size := dataset.attrs[f"{dim}_dim"]):
            reason = f"its dimension {dim} is {dataset.sizes[dim]}, but its attribute {dim}_dim is {size}"
            raise unusable(path, ESTIMATION_ERROR.stage, reason)
    for name, wanted in (("parameter", PARAMETERS), ("curve", CURVES)):
        if (present := tuple(dataset[name].values.tolist())) != wanted:
            reason = f"its coordinate {name} is {', '.join(present)}, not {', '.join(wanted)}"
            raise unusable(path, ESTIMATION_ERROR.stage, reason)
    return dataset


def _arrays(sweep: Any) -> Iterator[tuple[str, Any]]:
    """What a file holds along the parameter of a sweep."""
    yield f"repeats_{sweep.parameter}", sweep.repeats
    yield f"error_quantile_{sweep.parameter}", sweep.error_quantile
    for curve, name in (("error", "error_mean"), ("noise", "noise"), ("bias", "bias")):
        yield f"{name}_{sweep.parameter}", getattr(sweep, curve).values
        yield f"{curve}_standard_error_{sweep.parameter}", getattr(sweep, curve).standard_error


def _targets(tasks: int) -> list[str]:
    return [*(f"gradient of task {task}" for task in range(tasks)), "meta-gradient"]


def _of_kind(values: Any, kind: Kind) -> Any:
    """Whole numbers as such, though a sweep has all its values as real ones."""
    return np.array(values, dtype=np.int64) if kind is Kind.WHOLE else values

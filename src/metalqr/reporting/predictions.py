"""Predicted learning curves beside those of an experiment's runs: the file, and the comparison that it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.config.experiments import VARIANT, Experiment
from metalqr.lqr import FloatArray
from metalqr.prediction.result import PREDICTIONS
from metalqr.reporting import summaries
from metalqr.results.files import PathLike, dataset_of, load, load_tree, provenance, save, unusable
from metalqr.results.layout import SEEDS, Attribute, Kind, Layout, NonFinite, Variable

#: Iterations of a curve that are kept, at most.
KEPT = 200
_RATIO = "average cost difference ratio"
_CURVE, _OF_RUNS = ("configuration", "place"), ("configuration", "seed")


def _curve(long_name: str) -> Variable:
    return Variable(_CURVE, long_name, "1", may_be=NonFinite.ANY)


#: The layout of each group of a file.
COMPARED = Layout(
    "predictions",
    "Predicted learning curves of an experiment beside those of its runs, by case",
    {
        "iteration": Variable(_CURVE, "iterations that are kept, NaN beyond the last", may_be=NonFinite.NAN),
        "measured": _curve(f"median {_RATIO} over seeds; a diverged run counts as infinite"),
        "measured_min": _curve(f"smallest {_RATIO} over seeds"),
        "measured_max": _curve(f"largest {_RATIO} over seeds"),
        "expected": _curve(f"predicted {_RATIO}, expected if the run stays stable"),
        "path": _curve(f"{_RATIO} of the predicted mean gain, without fluctuations"),
        "median": _curve(f"predicted median of the {_RATIO}"),
        "lower": _curve(f"predicted 5 % quantile of the {_RATIO}"),
        "upper": _curve(f"predicted 95 % quantile of the {_RATIO}"),
        "final_ratio": Variable(
            _OF_RUNS, f"{_RATIO} at the end of a run, infinite if it diverged", "1", may_be=NonFinite.ANY
        ),
        "unstable_share": Variable(
            ("configuration",), "predicted share of unstable perturbed policies in a run", may_be=NonFinite.NAN
        ),
        "leaving_chance": Variable(
            ("configuration",),
            "largest predicted chance that a gain leaves a task unstable",
            may_be=NonFinite.NAN,
        ),
        "stationary_ratio": Variable(
            ("configuration",), f"predicted {_RATIO} after infinitely many iterations", "1", may_be=NonFinite.ANY
        ),
        "point": Variable(("configuration",), "place among all points of the case", kind=Kind.WHOLE),
        "valid_until": Variable(("configuration",), "last iteration of a valid prediction", kind=Kind.WHOLE),
        "iterations": Variable(("configuration",), "iterations of a run", kind=Kind.WHOLE),
        "value": Variable(("configuration",), "value on the only axis, otherwise the configuration", kind=Kind.TEXT),
        "limits": Variable(("configuration",), "what limits the prediction", kind=Kind.TEXT),
        "noise_kind": Variable(("configuration",), "how the noise of a direction is known", kind=Kind.TEXT),
    },
    # The only axis of the experiment if there is one, a setting.
    {"axis": Attribute()},
    {
        "configuration": Variable(("configuration",), "place on the axes of the experiment", kind=Kind.TEXT),
        "seed": SEEDS,
    },
)


def compare(
    experiment: Experiment,
    case: str,
    runs: xr.Dataset,
    predictions: Mapping[int, PathLike],
) -> xr.Dataset:
    """Put the predictions of one case beside its runs.

    Parameters
    ----------
    experiment : Experiment
    case : str
    runs : Dataset
        The group of the case in the experiment's dataset.
    predictions : mapping of int to path
        The files by the place of the point among all points of the case.

    Returns
    -------
    Dataset
        As :data:`COMPARED`, with at most :data:`KEPT` iterations of each curve, the first and the last among them.

    Raises
    ------
    metalqr.results.files.StorageError
        If a prediction is of other settings than its point.
    """
    points, seeds = experiment.points(case), len(experiment.seeds)
    # The axes come first and in the order of the points.
    measured = summaries.continued_ratio(runs).values.reshape(len(points), seeds, -1)
    final = summaries.final_ratio(runs).values.reshape(len(points), seeds)
    rows: list[dict[str, Any]] = []
    axis = next(iter(experiment.axes)) if len(experiment.axes) == 1 else None
    for number, path in predictions.items():
        point = points[number]
        predicted = load(path, PREDICTIONS, point.tasks, settings=point.stated)
        name = point.name or experiment.name
        value = name if axis is None else str(point.values[axis])
        of_point = {"configuration": name, "point": number, "value": value, "final_ratio": final[number]}
        rows.append(of_point | _row(predicted, measured[number]))
    length = max(len(row["iteration"]) for row in rows)
    arrays = {name: np.array([_padded(row[name], spec, length) for row in rows]) for name, spec in _of_rows()}
    arrays["seed"] = np.array(experiment.seeds)
    return dataset_of(COMPARED, arrays, axis="" if axis in (None, VARIANT) else axis)


def _of_rows() -> Iterator[tuple[str, Variable]]:
    yield from COMPARED.variables.items()
    yield "configuration", COMPARED.coordinates["configuration"]


def _row(predicted: xr.Dataset, measured: FloatArray) -> dict[str, Any]:
    """What is known of one configuration, whose measured ratios are (seed, iteration)."""
    count = predicted.sizes["iteration"]
    kept = np.unique(np.linspace(0, count - 1, min(KEPT, count)).round().astype(int))
    shown = measured[:, kept]
    curves = {"expected": "ratio", "path": "path_ratio", "median": "median", "lower": "lower", "upper": "upper"}
    leaving = predicted["leaving_chance"].values
    return {
        "iteration": kept.astype(float),
        "measured": np.median(shown, axis=0),
        "measured_min": shown.min(axis=0),
        "measured_max": shown.max(axis=0),
        **{name: predicted[source].values[kept] for name, source in curves.items()},
        # Of the iterations that a perturbation is tried in, and where the mean path is still stable.
        "unstable_share": _mean(predicted["unstable_share"].values[:-1]),
        "leaving_chance": float(np.nanmax(leaving)),
        "stationary_ratio": float(predicted["stationary_ratio"]),
        "valid_until": int(predicted["valid_until"]),
        "iterations": count - 1,
        "limits": predicted.attrs["limits"],
        "noise_kind": predicted.attrs["noise_kind"],
    }


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _padded(values: Any, spec: Variable, length: int) -> NDArray[Any] | Any:
    if spec.dims != _CURVE:
        return values
    return np.append(values, np.full(length - len(values), np.nan))


def save_compared(
    path: PathLike, experiment: str, cases: Mapping[str, xr.Dataset], left_out: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the comparison of an experiment: a tree with one group for each case of :func:`compare`.

    ``left_out`` are by case the configurations without a prediction, with the reason.
    """
    known = {"experiment": experiment, "left_out": json.dumps(left_out)}
    root = xr.Dataset(attrs={**provenance(COMPARED), **known})
    save(path, xr.DataTree.from_dict({"/": root, **cases}))


def load_compared(path: PathLike, experiment: str) -> xr.DataTree:
    """Read the comparison of an experiment."""
    tree = load_tree(path, COMPARED.stage, lambda _: COMPARED)
    if (name := tree.attrs.get("experiment")) != experiment:
        raise unusable(path, COMPARED.stage, f"it belongs to the experiment {name!r}, not {experiment!r}")
    return tree


def left_out(tree: xr.DataTree) -> dict[str, dict[str, str]]:
    """By case, the configurations of an experiment without a prediction, with the reason."""
    found: dict[str, dict[str, str]] = json.loads(tree.attrs["left_out"])
    return found


def with_predicted(
    dataset: xr.DataTree, path: PathLike, experiment: str
) -> tuple[xr.DataTree, dict[str, dict[str, str]]]:
    """An experiment's dataset with the predicted medians, and by case the configurations without, with the reason.

    The variable ``predicted`` of a case has the dimensions of ``ratio`` but for ``seed``. It is NaN at iterations that
    the comparison does not keep, beyond the last valid one, and for configurations without a prediction.
    """
    tree = load_compared(path, experiment)
    found = dataset.copy()
    for name, group in tree.children.items():
        found[name].dataset = _with_median(dataset[name].to_dataset(), group.to_dataset())
    return found, left_out(tree)


def _with_median(case: xr.Dataset, compared: xr.Dataset) -> xr.Dataset:
    dims = [name for name in case["ratio"].dims if name != "seed"]
    sizes = [case.sizes[name] for name in dims]
    medians = np.full((int(np.prod(sizes[:-1])), sizes[-1]), np.nan)
    for place in range(compared.sizes["configuration"]):
        one = compared.isel(configuration=place)
        iteration, median = one["iteration"].values, one["median"].values
        valid = (iteration <= int(one["valid_until"])) & np.isfinite(median)
        medians[int(one["point"]), iteration[valid].astype(int)] = median[valid]
    return case.assign(predicted=(dims, medians.reshape(sizes)))


def cases(datasets: Mapping[str, xr.DataTree]) -> Sequence[tuple[str, str, xr.Dataset]]:
    """The cases of all experiments: the names of both, and the comparison."""
    return [
        (name, case, group.to_dataset()) for name, tree in datasets.items() for case, group in tree.children.items()
    ]

"""The benefit of meta-learning: what its figures and its table share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metalqr.reporting import captions

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.lqr import FloatArray

#: Starting gains, by the names of the files.
SINGLE, META = "best_single_gain", "meta_optimum"
#: Tasks, by the names of the variables, with their dimension.
TASKS = {"training": "task", "unseen": "unseen"}


def details(config: Mapping[str, Any], case: str) -> list[str]:
    """The levels of the comparison, and the case."""
    block = config["evaluation"]["benefit"]
    return [
        f"draws of training tasks: {block['draws']}, unseen tasks: {block['unseen_tasks']}",
        f"heterogeneity: {captions.joined(block['heterogeneity'])}; shares of the largest adaptation rate: "
        f"{captions.joined(block['adaptation_rates'])}",
        captions.case_line(config, case, ()),
    ]


def gaps(dataset: xr.Dataset, tasks: str, start: str, step: int) -> xr.DataArray:
    """Gaps by difference, heterogeneity, draw, share and task: of ``training`` or ``unseen`` tasks."""
    chosen = dataset[f"{tasks}_gap"].sel(start=start, step=step, drop=True)
    return chosen.transpose("difference", "heterogeneity", "draw", "share", TASKS[tasks])


def medians(dataset: xr.Dataset, tasks: str, start: str, step: int) -> xr.DataArray:
    """Median gaps over tasks; infinite where half of the tasks are unstable, NaN where there is no result."""
    from metalqr.evaluation.adaptation import measures

    return gaps(dataset, tasks, start, step).reduce(measures.median, TASKS[tasks])


def differences(dataset: xr.Dataset, tasks: str) -> xr.DataArray:
    """Median over tasks of the gap after one step from the optimum of L less that from the best single gain."""
    from metalqr.evaluation.adaptation import measures

    meta, single = (gaps(dataset, tasks, start, 1) for start in (META, SINGLE))
    found = meta.copy(data=measures.difference(meta.values, single.values))
    return found.reduce(measures.lower_median, TASKS[tasks])


def ratios(dataset: xr.Dataset, tasks: str) -> xr.DataArray:
    """Median over tasks of the ratio of these gaps, which is below 1 where the median difference is below 0.

    Two gaps that are equal, or both infinite, have the ratio 1.
    """
    from metalqr.evaluation.adaptation import measures

    found = _ratio(*(gaps(dataset, tasks, start, 1) for start in (META, SINGLE)))
    return found.reduce(measures.lower_median, TASKS[tasks])


def apart(dataset: xr.Dataset, tasks: str) -> xr.DataArray:
    """The median gap after one step from the optimum of L less that from the best single gain; 0 if both are infinite.

    Medians are of the same draw, and so paired, but not of the same task: where some tasks gain much and others lose a
    little, this and the median of :func:`differences` have other signs.
    """
    from metalqr.evaluation.adaptation import measures

    meta, single = (medians(dataset, tasks, start, 1) for start in (META, SINGLE))
    return meta.copy(data=measures.difference(meta.values, single.values))


def ratios_of_medians(dataset: xr.Dataset, tasks: str) -> xr.DataArray:
    """The ratio of these medians; of two that are equal or infinite, 1."""
    return _ratio(*(medians(dataset, tasks, start, 1) for start in (META, SINGLE)))


def _ratio(values: xr.DataArray, others: xr.DataArray) -> xr.DataArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(values.values == others.values, 1.0, values.values / others.values)
    return values.copy(data=found)


def unstable(dataset: xr.Dataset, tasks: str, start: str) -> xr.DataArray:
    """Share of all tasks of all draws with a result that are unstable after one step; NaN without any."""
    found = gaps(dataset, tasks, start, 1)
    over = ("draw", TASKS[tasks])
    return found.isin([np.inf]).where(found.notnull()).mean(over)


class Spread(NamedTuple):
    """Median and ends over the draws that have a result, by difference, heterogeneity and share; NaN without any."""

    middle: xr.DataArray
    low: xr.DataArray
    high: xr.DataArray

    @classmethod
    def of(cls, values: xr.DataArray) -> Spread:
        """The spread of values by draw."""
        return cls(*(values.reduce(function, "draw") for function in (_middle, _least, _largest)))


def middle_share(dataset: xr.Dataset) -> float:
    """The share of the largest adaptation rate that a figure shows alone: the middle one, the lower of two."""
    shares: FloatArray = dataset["share"].values
    return float(shares[(shares.size - 1) // 2])


def _at(values: FloatArray, axis: int, place: Callable[[Any], Any]) -> FloatArray:
    """The value at a place that depends on the number of those that are not NaN, in ascending order."""
    counted = np.sum(~np.isnan(values), axis=axis, keepdims=True)
    places = np.maximum(place(counted), 0)  # of none, the first, which is NaN
    return np.asarray(np.take_along_axis(np.sort(values, axis=axis), places, axis=axis).squeeze(axis))


def _middle(values: FloatArray, axis: int) -> FloatArray:
    return _at(values, axis, lambda count: (count - 1) // 2)


def _least(values: FloatArray, axis: int) -> FloatArray:
    return _at(values, axis, np.zeros_like)


def _largest(values: FloatArray, axis: int) -> FloatArray:
    return _at(values, axis, lambda count: count - 1)

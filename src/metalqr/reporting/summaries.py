"""Summaries of the runs of one case: the quantities that the figures and the tables share.

A *case* is one group of an experiment's :class:`xarray.DataTree`. Its ``ratio`` has the dimensions of the swept
settings (none, one or several), then ``seed`` and ``iteration``, and is NaN after the end of a run. Where the optima
cost nothing there is no ratio: :func:`cases` then puts the absolute gap in its place, which :func:`is_gap` tells. A
case with a simulator has no known optima: in its place is the measured cost, relative to that of the initial gain, and
:func:`is_measured` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


_IS_GAP = "ratio_is_gap"


class DatasetError(ValueError):
    """A dataset is not what a figure needs; the message names the case."""


def cases(dataset: xr.DataTree, axes: int | None = None) -> dict[str, xr.Dataset]:
    """The datasets of an experiment's cases by name, in the order of the file; each must sweep `axes` settings."""
    found = {name: group.to_dataset() for name, group in dataset.children.items()}
    for name, case in found.items():
        if axes is not None and len(swept := swept_settings(case)) != axes:
            shown = f"{len(swept)} settings ({', '.join(swept) or 'none'})"
            raise DatasetError(f"case {name!r} sweeps {shown}, but this figure draws cases that sweep {axes}")
    return {name: _relative(case) if is_measured(case) else _with_gap(case) for name, case in found.items()}


def is_gap(case: xr.Dataset) -> bool:
    r"""True if ``ratio`` is :math:`\sum_i (J_i(K_n) - J_i^*)` itself, as some :math:`\sum_i J_i^*` is zero."""
    return bool(case.attrs.get(_IS_GAP, False))


def is_measured(case: xr.Dataset) -> bool:
    r"""True if ``ratio`` is :math:`\sum_i J_i(K_n) / \sum_i J_i(K_0)`, of costs measured by rollouts."""
    return "cost_error" in case


def _relative(case: xr.Dataset) -> xr.Dataset:
    """The case with a ratio of measured costs, since the optima are not known."""
    present = case["cost"].isel(iteration=0).notnull()

    def total(cost: xr.DataArray) -> xr.DataArray:
        # Only the tasks that there are: a sweep may change their number.
        return cost.where(present, 0.0).sum("task", skipna=False)

    first = total(case["cost"].isel(iteration=0, drop=True))
    ratio = total(case["cost"]) / first
    dims = [dim for dim in case["cost"].dims if dim not in ("task", "iteration")]
    parts = {"ratio": ratio.transpose(*dims, "iteration")}
    if "cost_average" in case:
        parts["ratio_average"] = (total(case["cost_average"]) / first).transpose(*dims)
    return case.assign(parts)


def _with_gap(case: xr.Dataset) -> xr.Dataset:
    """The case with the gap in place of the ratio, if a run has none at its initial gain."""
    if not case["ratio"].isel(iteration=0).isnull().any():
        return case
    optimal = case["J_star"]

    def gap(cost: xr.DataArray) -> xr.DataArray:
        # Only the tasks that there are: cases whose tasks differ in number are padded.
        return (cost - optimal).where(optimal.notnull(), 0.0).sum("task", skipna=False)

    parts = {"ratio": gap(case["cost"]).transpose(*case["ratio"].dims)}
    if "ratio_average" in case:
        parts["ratio_average"] = gap(case["cost_average"]).transpose(*case["ratio_average"].dims)
    return case.assign(parts).assign_attrs({_IS_GAP: True})


def swept_settings(case: xr.Dataset) -> tuple[str, ...]:
    """Names of the settings that the experiment sweeps: the dimensions of ``ratio`` other than seed and iteration."""
    return tuple(str(name) for name in case["status"].dims if name != "seed")


def diverged(case: xr.Dataset) -> xr.DataArray:
    """True for the runs (swept settings, seed) that left the stabilising set."""
    from metalqr.results.runs import Status

    return case["status"].astype(str) == Status.DIVERGED


def floor_ratio(case: xr.Dataset) -> float:
    r"""Average cost difference ratio of the best single gain.

    .. math:: \frac{\sum_i (J_i(K_\text{shared}) - J_i^*)}{\sum_i J_i^*}

    It is the gap alone where :func:`is_gap`. The gain is the best that :func:`metalqr.optimal.shared_gain` finds; for
    d = k = 1 and uniform probabilities no common gain has a smaller ratio. The gain minimises the mean with the tasks'
    probabilities, the ratio weights all tasks the same, so that otherwise another gain may have a smaller one.

    NaN where the costs are measured: the best gain of a simulator is not known.
    """
    if is_measured(case):
        return float("nan")
    gap = (case["J_shared"] - case["J_star"]).sum()
    return float(gap if is_gap(case) else gap / case["J_star"].sum())


def last_iteration(case: xr.Dataset) -> xr.DataArray:
    """The last iteration (swept settings, seed) whose gain has a finite ratio, that is, stabilises every task."""
    iterations = case["iteration"].where(np.isfinite(case["ratio"]), case["iteration"][0])
    return iterations.max("iteration")


def last_ratio(case: xr.Dataset) -> xr.DataArray:
    """The ratio (swept settings, seed) at :func:`last_iteration`, for diverged runs too."""
    return case["ratio"].sel(iteration=last_iteration(case)).drop_vars("iteration")


def final_ratio(case: xr.Dataset) -> xr.DataArray:
    """The ratio (swept settings, seed) at the end of every run; infinite for a diverged run.

    Infinity lets a median over seeds count a diverged run as what it is: worse than any other.
    """
    return last_ratio(case).where(~diverged(case), np.inf)


def average_ratio(case: xr.Dataset) -> xr.DataArray:
    """The ratio (swept settings, seed) of the mean of a run's last gains; NaN for a run without ``average_last``.

    It is infinite for a diverged run, as :func:`final_ratio` is, even if the mean stabilises every task.
    """
    ratio = case["ratio_average"]
    return ratio.where(ratio.isnull() | ~diverged(case), np.inf)


def continued_ratio(case: xr.Dataset) -> xr.DataArray:
    """The ratio (swept settings, seed, iteration), continued after the end of a run.

    A run that met its tolerance keeps its last gain, so its ratio is held. A diverged run has an infinite ratio, so
    that the median over seeds does not improve when the bad runs end. All else stays NaN.
    """
    from metalqr.results.runs import Status

    ratio = case["ratio"]
    has_ended = diverged(case) | (case["status"].astype(str) == Status.TOLERANCE)
    return ratio.where(np.isfinite(ratio), final_ratio(case).where(has_ended))


def perturbation_count(case: xr.Dataset) -> xr.DataArray:
    """Number of perturbed policies (swept settings, seed) that a run tried, in all its steps together."""
    return case["perturbed_policies"] * case["gradient_norm"].notnull().sum("iteration")


def unstable_count(case: xr.Dataset) -> xr.DataArray:
    """Number of perturbed policies (swept settings, seed) of a run that were unstable for their task."""
    return case["unstable_perturbations"].where(case["gradient_norm"].notnull()).sum("iteration")


def unstable_share(case: xr.Dataset) -> xr.DataArray:
    """Share of a run's perturbed policies (swept settings, seed) that were unstable; NaN where none was tried."""
    tried = perturbation_count(case)
    return unstable_count(case) / tried.where(tried > 0)

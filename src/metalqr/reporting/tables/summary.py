"""The numbers of an experiment, a row for each case and value of the swept settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import summaries
from metalqr.reporting.tables.markdown import Column, Columns, number, percent
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _unstable(row: dict[Any, Any]) -> str:
    count = f" ({row['unstable_perturbations']:,})" if "unstable_perturbations" in row else ""
    return percent(row["unstable_share"]) + count


def _diverged(row: dict[Any, Any]) -> str:
    return f"{row['diverged_runs']} of {row['runs']}" if "runs" in row else str(row["diverged_runs"])


def _range(quantity: str) -> Callable[[dict[Any, Any]], str]:
    def text(row: dict[Any, Any]) -> str:
        low, high = row[f"{quantity}_min"], row[f"{quantity}_max"]
        return "–" if math.isnan(low) else f"{number(low)} to {number(high)}"

    return text


@tables.register("summary")
class Summary(Table):
    """The outcome of an experiment: a row for each case and, within it, each combination of swept values.

    ``first_ratio`` and ``final_ratio`` are medians over seeds of the average cost difference ratio, where a diverged
    run ends at infinity; ``final_ratio_min`` and ``final_ratio_max`` are the range of the final one, ``floor_ratio`` is
    the ratio of the best single gain. Where a run has ``average_last``, ``average_ratio`` with its range is that of the
    mean of the last gains; it is infinite for a diverged run too. A case whose optima cost nothing has no ratio; where
    there is such a case, ``first_gap``, ``final_gap`` and ``floor_gap`` are its sums of costs less optimal costs. One
    with a simulator has neither: ``first_cost`` and ``final_cost``, with its range over seeds, are the means over the
    tasks of its measured costs, and ``final_cost_error`` is the standard error of the final one in the median.
    ``unstable_perturbations`` is the number of unstable perturbed policies in all runs of the row, and
    ``unstable_share`` their share of all perturbed policies. ``rollout_steps`` is the median over seeds of the
    simulated steps of a run; ``diverged_runs`` counts those of the ``runs`` that diverged.
    """

    file = "{name}"
    heading = "experiment"
    columns: ClassVar[Columns] = {
        "state_dim": Column("state dim"),
        "action_dim": Column("action dim"),
        "first_ratio": Column("first ratio", lambda row: number(row["first_ratio"])),
        "final_ratio": Column("final ratio", lambda row: number(row["final_ratio"])),
        "final_ratio_min": Column("range over seeds", _range("final_ratio")),
        "final_ratio_max": None,
        "average_ratio": Column("ratio of the average", lambda row: number(row["average_ratio"])),
        "average_ratio_min": Column("its range over seeds", _range("average_ratio")),
        "average_ratio_max": None,
        "floor_ratio": Column("best single gain", lambda row: number(row["floor_ratio"])),
        "first_gap": Column("first gap", lambda row: number(row["first_gap"])),
        "final_gap": Column("final gap", lambda row: number(row["final_gap"])),
        "floor_gap": Column("gap of the best single gain", lambda row: number(row["floor_gap"])),
        "first_cost": Column("first measured cost", lambda row: number(row["first_cost"])),
        "final_cost": Column("final measured cost", lambda row: number(row["final_cost"])),
        "final_cost_min": Column("its range over seeds", _range("final_cost")),
        "final_cost_max": None,
        "final_cost_error": Column("its standard error", lambda row: number(row["final_cost_error"])),
        "unstable_perturbations": None,
        "unstable_share": Column("unstable perturbations", _unstable),
        "rollout_steps": Column("rollout steps per run", lambda row: f"{row['rollout_steps']:,}"),
        "diverged_runs": Column("diverged runs", _diverged),
        "runs": None,
    }

    def tabulate(self, datasets: Mapping[str, xr.DataTree]) -> Iterator[dict[str, Any]]:
        """The rows of one experiment."""
        (dataset,) = datasets.values()
        found = summaries.cases(dataset)
        averaged = any("ratio_average" in case for case in found.values())
        kinds = [any(map(is_kind, found.values())) for is_kind in (summaries.is_gap, summaries.is_measured)]
        for name, case in found.items():
            swept = summaries.swept_settings(case)
            for places in itertools.product(*(range(case.sizes[setting]) for setting in swept)):
                point = case.isel(dict(zip(swept, places, strict=True)))
                yield {
                    "case": name,
                    **{setting: point[setting].item() for setting in swept},
                    **_outcome(point, averaged, *kinds),
                }


def _outcome(point: xr.Dataset, averaged: bool, absolute: bool, measured: bool) -> dict[str, Any]:
    """The columns of one row, from one case at one point of its sweep; with those of averages, gaps, measured costs."""
    final = summaries.final_ratio(point)
    unstable = int(summaries.unstable_count(point).sum())
    tried = float(summaries.perturbation_count(point).sum())
    diverged = summaries.diverged(point)
    first, floor = float(point["ratio"].isel(iteration=0).median()), summaries.floor_ratio(point)
    ratios = {
        "first_ratio": first,
        **_spread("final_ratio", final),
        **(_spread("average_ratio", _averages(point)) if averaged else {}),
        "floor_ratio": floor,
    }
    gaps = {"first_gap": first, "final_gap": ratios["final_ratio"], "floor_gap": floor} if absolute else {}
    costs = _measured(point) if measured else {}
    others = {"ratio": ratios, "gap": gaps, "cost": costs}
    kind = "cost" if summaries.is_measured(point) else "gap" if summaries.is_gap(point) else "ratio"
    missing = {name: math.nan for each, columns in others.items() if each != kind for name in columns}
    return {
        "state_dim": int(point.attrs["state_dim"]),
        "action_dim": int(point.attrs["action_dim"]),
        **ratios,
        **gaps,
        **costs,
        **missing,
        "unstable_perturbations": unstable,
        "unstable_share": unstable / tried if tried else math.nan,
        "rollout_steps": round(float(point["rollout_steps"].max("iteration").median())),
        "diverged_runs": int(diverged.sum()),
        "runs": diverged.size,
    }


def _measured(point: xr.Dataset) -> dict[str, float]:
    """Measured costs, means over the tasks, and the standard error of that at the end."""
    cost = point["cost"].mean("task", skipna=False)
    last = summaries.last_iteration(point)
    final = cost.sel(iteration=last).where(~summaries.diverged(point), math.inf)
    if summaries.is_measured(point):
        errors = point["cost_error"].sel(iteration=last)
        error = float((errors**2).sum("task").median() ** 0.5 / errors.sizes["task"])
    else:
        error = math.nan
    first = float(cost.isel(iteration=0).median())
    return {"first_cost": first, **_spread("final_cost", final), "final_cost_error": error}


def _spread(name: str, values: xr.DataArray) -> dict[str, float]:
    """Median and range over seeds; NaN if any value is."""
    found = {"": values.median(skipna=False), "_min": values.min(skipna=False), "_max": values.max(skipna=False)}
    return {f"{name}{end}": float(value) for end, value in found.items()}


def _averages(point: xr.Dataset) -> xr.DataArray:
    """The ratio of the average by seed; NaN in a case without one."""
    final = summaries.final_ratio(point)
    return summaries.average_ratio(point) if "ratio_average" in point else final.where(False)

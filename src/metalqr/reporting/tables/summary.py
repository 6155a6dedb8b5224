"""The numbers of an experiment, a row for each case and value of the swept settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
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


def _range(row: dict[Any, Any]) -> str:
    return f"{number(row['final_ratio_min'])} to {number(row['final_ratio_max'])}"


@tables.register("summary")
class Summary(Table):
    """The outcome of an experiment: a row for each case and, within it, each combination of swept values.

    ``first_ratio`` and ``final_ratio`` are medians over seeds of the average cost difference ratio, where a diverged
    run ends at infinity; ``final_ratio_min`` and ``final_ratio_max`` are the range of the final one, ``floor_ratio`` is
    the ratio of the best single gain. ``unstable_perturbations`` is the number of unstable perturbed policies in all
    runs of the row, and ``unstable_share`` their share of all perturbed policies. ``rollout_steps`` is the median over
    seeds of the simulated steps of a run; ``diverged_runs`` counts those of the ``runs`` that diverged.
    """

    file = "{name}"
    heading = "experiment"
    columns: ClassVar[Columns] = {
        "state_dim": Column("state dim"),
        "action_dim": Column("action dim"),
        "first_ratio": Column("first ratio", lambda row: number(row["first_ratio"])),
        "final_ratio": Column("final ratio", lambda row: number(row["final_ratio"])),
        "final_ratio_min": Column("range over seeds", _range),
        "final_ratio_max": None,
        "floor_ratio": Column("best single gain", lambda row: number(row["floor_ratio"])),
        "unstable_perturbations": None,
        "unstable_share": Column("unstable perturbations", _unstable),
        "rollout_steps": Column("rollout steps per run", lambda row: f"{row['rollout_steps']:,}"),
        "diverged_runs": Column("diverged runs", _diverged),
        "runs": None,
    }

    def tabulate(self, datasets: Mapping[str, xr.DataTree]) -> Iterator[dict[str, Any]]:
        """The rows of one experiment."""
        (dataset,) = datasets.values()
        for name, case in summaries.cases(dataset).items():
            swept = summaries.swept_settings(case)
            for places in itertools.product(*(range(case.sizes[setting]) for setting in swept)):
                point = case.isel(dict(zip(swept, places, strict=True)))
                yield {"case": name, **{setting: point[setting].item() for setting in swept}, **_outcome(point)}


def _outcome(point: xr.Dataset) -> dict[str, Any]:
    """The columns of one row, from one case at one point of its sweep."""
    final = summaries.final_ratio(point)
    unstable = int(summaries.unstable_count(point).sum())
    tried = float(summaries.perturbation_count(point).sum())
    diverged = summaries.diverged(point)
    return {
        "state_dim": int(point.attrs["state_dim"]),
        "action_dim": int(point.attrs["action_dim"]),
        "first_ratio": float(point["ratio"].isel(iteration=0).median()),
        "final_ratio": float(final.median()),
        "final_ratio_min": float(final.min()),
        "final_ratio_max": float(final.max()),
        "floor_ratio": summaries.floor_ratio(point),
        "unstable_perturbations": unstable,
        "unstable_share": unstable / tried if tried else math.nan,
        "rollout_steps": round(float(point["rollout_steps"].max("iteration").median())),
        "diverged_runs": int(diverged.sum()),
        "runs": diverged.size,
    }

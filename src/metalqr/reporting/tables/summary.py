"""The numbers of an experiment, a row for each case and value of the swept settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import summaries
from metalqr.reporting.tables.markdown import Column, Columns, number, percent
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd
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
    """The outcome of an experiment, a row for each case and, within it, each combination of swept values.

    Columns: ``case``, one for each swept setting, and

    - ``state_dim``, ``action_dim``;
    - ``first_ratio``, ``final_ratio``: medians over seeds of the average cost difference ratio; a diverged run ends at
      infinity;
    - ``final_ratio_min``, ``final_ratio_max``: range of the final ratio over seeds;
    - ``floor_ratio``: the ratio of the best single gain;
    - ``unstable_perturbations``: number of unstable perturbed policies in all runs of the row, and ``unstable_share``,
      their share of all perturbed policies;
    - ``rollout_steps``: median over seeds of the simulated steps of a run;
    - ``diverged_runs``, ``runs``: numbers of runs.
    """

    file = "{name}"
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
        "rollout_steps": Column("rollout steps a run", lambda row: f"{row['rollout_steps']:,}"),
        "diverged_runs": Column("diverged runs", _diverged),
        "runs": None,
    }

    def labels(self, file: str) -> dict[str, str]:
        """``experiment`` with its name."""
        return {"experiment": file}

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """What the columns are."""
        (name,) = names
        return (
            f"The experiment *{name}* in numbers: medians over seeds of the first and the final ratio with the range "
            "of the final one, the ratio of the best single gain (``floor_ratio``), and counts of unstable perturbed "
            "policies, rollout steps and diverged runs."
        )

    def tabulate(self, datasets: Mapping[str, xr.DataTree]) -> pd.DataFrame:
        """The table of one experiment."""
        import pandas as pd

        (dataset,) = datasets.values()
        rows = []
        for name, case in summaries.cases(dataset).items():
            swept = summaries.swept_settings(case)
            for places in itertools.product(*(range(case.sizes[setting]) for setting in swept)):
                point = case.isel(dict(zip(swept, places, strict=True)))
                values = {setting: point[setting].item() for setting in swept}
                rows.append({"case": name, **values, **_outcome(point)})
        return pd.DataFrame(rows)


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

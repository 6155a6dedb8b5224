"""Guarantees of Definitions 1 and 2 and of Theorem 1 along the runs of each case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, percent
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

#: The guarantees in words; the keys are those of the files.
PROMISES = {
    "stabilising": "`K_n` stabilises every task",
    "perturbed_stabilising": "every `K_n + U_m` stabilises its task",
    "maml_stabilising": "`K_n` is MAML-stabilising (Definition 1)",
    "adapted_stabilising": "every adapted `K_n^i` stabilises its task (Theorem 1)",
    "in_sublevel_set": "`J_i(K_n) <= J_i(K_0)` for every task (Definition 2, Theorem 1)",
    "adapted_in_sublevel_set": "`J_i(K_n^i) <= J_i(K_0)` for every task i (weaker than Theorem 1)",
    "mean_cost_falls": "the mean cost falls (Theorem 1)",
    "objective_falls": "the meta-objective falls",
    "every_cost_falls": "the cost of every task falls",
}


def _first_broken(row: Mapping[Any, Any]) -> str:
    import pandas as pd

    return "–" if pd.isna(row["first_broken"]) else str(row["first_broken"])


@tables.register("stability")
class StabilityAlongRuns(Table):
    """Stability along the runs: the guarantees of Definitions 1 and 2 and of Theorem 1 in experiments without a sweep.

    A row for each case and guarantee. ``kept_share`` is the share of the iterations of all runs at which it holds,
    ``kept_share_min`` that of the worst run; it holds throughout in ``runs_kept`` of the ``runs``. ``first_broken`` is
    the earliest iteration at which a run violates it, missing if none does. For quantities that should fall,
    ``largest_rise`` is the largest relative increase in one step (for the costs of single tasks, the largest of all
    tasks); it is missing for the other guarantees.
    """

    reads = "stability"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "promise": Column("guarantee", lambda row: PROMISES[row["promise"]], text=True),
        "kept_share": Column("holds at", lambda row: percent(row["kept_share"])),
        "kept_share_min": Column("worst run", lambda row: percent(row["kept_share_min"])),
        "runs_kept": Column("runs without violation", lambda row: f"{row['runs_kept']} of {row['runs']}"),
        "runs": None,
        "first_broken": Column("first violated at", _first_broken),
        "largest_rise": Column("largest increase", lambda row: percent(row["largest_rise"])),
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            for promise in dataset["promise"].values.tolist():
                yield {"case": case, "promise": promise, **_outcome(dataset, promise)}


def _outcome(dataset: xr.Dataset, promise: str) -> dict[str, Any]:
    """The columns of one row."""
    import pandas as pd

    runs = dataset.sel(promise=promise)
    checked = runs["checked"].sum()
    broken = runs["first_broken"].where(runs["first_broken"] >= 0)
    rise = f"{promise.removesuffix('_falls').removeprefix('every_')}_rise"
    return {
        "kept_share": float((runs["kept"] * runs["checked"]).sum() / checked) if checked else math.nan,
        "kept_share_min": float(runs["kept"].min()),
        "runs_kept": int(broken.isnull().sum()),
        "runs": runs.sizes["seed"],
        "first_broken": pd.NA if broken.isnull().all() else int(broken.min()),
        "largest_rise": float(dataset[rise].max()) if rise in dataset else math.nan,
    }

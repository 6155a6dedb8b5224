"""Certificates along the runs of each case, in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, percent, power
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _from(row: Mapping[Any, Any]) -> str:
    import pandas as pd

    return "–" if pd.isna(row["stable_from"]) else str(row["stable_from"])


@tables.register("certificates")
class CertificatesAlongRuns(Table):
    """Certificates along the runs: learning rates, and iterations that are stable for every perturbation.

    A row for each case. ``used`` is the learning rate of the runs, ``theorem`` the largest one of Theorem 1 as
    corrected. ``certified`` is the largest learning rate with which an exact step at K_0 certainly decreases L, and
    ``certified_min`` the least of those along the first run; ``hessian`` and ``hessian_min`` are the inverse of the
    largest eigenvalue of the exact Hessian of L there. ``stability_radius`` is that of K_0 in the worst task, and
    ``perturbation`` the norm r of the perturbations. ``stable_share`` is the share of all iterations of all runs at
    which every perturbation of that norm leaves every task stable, and ``stable_from`` the iteration from which on
    all are, in every run. Within ``convex_radius`` of its optimum, L is strongly convex with ``modulus`` m, so that the
    gap to it is at most ``|grad L|^2 / (2 m)``.
    """

    reads = "certificates"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "used": Column("α used", lambda row: power(row["used"])),
        "theorem": Column("Theorem 1, corrected", lambda row: power(row["theorem"])),
        "certified": Column("certified at K_0", lambda row: power(row["certified"])),
        "certified_min": Column("least along the run", lambda row: power(row["certified_min"])),
        "hessian": Column("exact Hessian at K_0", lambda row: power(row["hessian"])),
        "hessian_min": Column("least along the run", lambda row: power(row["hessian_min"])),
        "perturbation": Column("r"),
        "stability_radius": Column("stability radius at K_0", lambda row: f"{row['stability_radius']:.4f}"),
        "stable_share": Column("stable for all ‖U‖ = r", lambda row: percent(row["stable_share"])),
        "stable_from": Column("from iteration", _from),
        "modulus": Column("m at the optimum", lambda row: power(row["modulus"])),
        "convex_radius": Column("within", lambda row: power(row["convex_radius"])),
        "runs": None,
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        import pandas as pd

        for case, dataset in datasets.items():
            settings = json.loads(dataset.attrs["settings"])
            first, lengths = dataset.isel(seed=0), dataset["last_iteration"] + 1
            ends = dataset["stable_from"]
            yield {
                "case": case,
                "used": settings["learning_rate"],
                "theorem": float(dataset["theorem_step"].sel(form="corrected")),
                "certified": float(first["certified_step"][0]),
                "certified_min": float(first["certified_step"].min()),
                "hessian": float(first["hessian_step"][0]),
                "hessian_min": float(first["hessian_step"].min()),
                "perturbation": settings["smoothing_radius"],
                "stability_radius": float(first["stability_radius"].isel(iteration=0).min()),
                "stable_share": float((dataset["stable_share"] * lengths).sum() / lengths.sum()),
                "stable_from": int(ends.max()) if (ends >= 0).all() else pd.NA,
                "modulus": float(dataset["modulus"]),
                "convex_radius": float(dataset["convex_radius"]),
                "runs": dataset.sizes["seed"],
            }

"""MAML-learnability of the tasks of each case at the adaptation rates of its runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

_VERDICTS = {"learnable": "yes", "not learnable": "no", "not found": "not found"}


@tables.register("learnability")
class Learnability(Table):
    """Learnability (Definition 1): one gain stabilises every task before and after adaptation, or none is known.

    A row for each case and adaptation rate, with the ``verdict`` and its ``certificate`` in one line. ``initial_gain``
    says if K_0 does so, ``largest_adaptation_rate`` up to which rate it does. Where it does not, or no gain is known
    that does, runs may diverge at once. ``objective_K0``, ``objective_shared`` and ``objective_meta`` are the
    meta-objective of K_0, of the best single gain and its optimum, the last missing where no optimum is known.
    """

    reads = "meta_optima"
    columns: ClassVar[Columns] = {
        "adaptation_rate": Column("adaptation rate"),
        "verdict": Column("MAML-learnable", lambda row: _VERDICTS[row["verdict"]], text=True),
        "initial_gain": Column(
            "K_0 is MAML-stabilising", lambda row: "yes" if row["initial_gain"] else "no", text=True
        ),
        "largest_adaptation_rate": Column("largest rate at K_0", lambda row: number(row["largest_adaptation_rate"])),
        "objective_K0": Column("L(K_0)", lambda row: number(row["objective_K0"])),
        "objective_shared": Column("L(best single gain)", lambda row: number(row["objective_shared"])),
        "objective_meta": Column("L(K*)", lambda row: number(row["objective_meta"])),
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases and rates, whose datasets are named ``case/rate``."""
        for place, dataset in datasets.items():
            case, _, rate = place.partition("/")
            values = ("largest_adaptation_rate", "objective_K0", "objective_shared", "objective_meta")
            yield {
                "case": case,
                "adaptation_rate": float(rate),
                "verdict": dataset["verdict"].item(),
                "initial_gain": math.isfinite(dataset["objective_K0"].item()),
                **{name: dataset[name].item() for name in values},
                "certificate": "; ".join(line.strip() for line in dataset["certificate"].item().splitlines()),
            }


def warnings(table: Path) -> Iterator[str]:
    """Warnings to read before the runs: a line for each row of the CSV whose runs may diverge immediately."""
    if not table.exists():
        return
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            place = f"{row['case']} at adaptation_rate {row['adaptation_rate']}"
            if row["verdict"] != "learnable":
                yield f"{place}: the tasks are not known to be MAML-learnable ({row['verdict']}): {row['certificate']}"
            if row["initial_gain"] != "True":
                largest = float(row["largest_adaptation_rate"])
                yield f"{place}: the initial gain is MAML-stabilising only up to {largest:.6g}"

"""MAML-learnability of the tasks of each case at the adaptation rates of its runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_VERDICTS = {"learnable": "yes", "not learnable": "no", "not found": "not found"}


@tables.register("learnability")
class Learnability(Table):
    """MAML-learnability of tasks, with the reason: a row for each case and adaptation rate.

    Columns: ``case``, ``adaptation_rate``, ``verdict``; ``initial_gain``, whether the initial gain is MAML-stabilising,
    and ``largest_adaptation_rate``, up to which it is; the meta-objective of the initial gain, the best single gain and
    its own optimum, ``objective_K0``, ``objective_shared`` and ``objective_meta``, the last missing where no optimum is
    known; and the ``certificate`` of the verdict in one line.
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

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """What the table holds."""
        return (
            "**Learnability** (Definition 1): whether one gain stabilises every task before and after adaptation, "
            "with the certificate; whether K_0 does, and the largest adaptation rate at which it still does. Where no "
            "gain is known that does, or K_0 does not, runs may diverge at once."
        )

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
        """The table of all cases and rates, whose datasets are named ``case/rate``."""
        import pandas as pd

        values = ("largest_adaptation_rate", "objective_K0", "objective_shared", "objective_meta")
        return pd.DataFrame(
            [
                {
                    "case": name.partition("/")[0],
                    "adaptation_rate": float(name.partition("/")[2]),
                    "verdict": dataset["verdict"].item(),
                    "initial_gain": math.isfinite(dataset["objective_K0"].item()),
                    **{name: dataset[name].item() for name in values},
                    "certificate": "; ".join(line.strip() for line in dataset["certificate"].item().splitlines()),
                }
                for name, dataset in datasets.items()
            ]
        )


def warnings(table: Path) -> Iterator[str]:
    """Warnings to read before the runs: a line for each row of the CSV whose runs may diverge at once."""
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

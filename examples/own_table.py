"""A table of your own: the best run of each experiment and case.

Copy the file beside your config and name it there, ``plugins: [own_table.py]``: `snakemake tables` then also writes
``results/tables/best_runs.md`` and ``.csv``, and the report shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import summaries
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd


@tables.register("best_runs")
class BestRuns(Table):
    """The smallest final ratio of all runs, for each experiment and case."""

    # Headings and formats in Markdown; None leaves a column out. Other columns keep their names.
    columns: ClassVar[Columns] = {
        "best": Column("smallest final ratio", lambda row: number(row["best"])),
        "runs": Column("of so many runs"),
    }

    def tabulate(self, datasets: Mapping[str, Any]) -> pd.DataFrame:
        """Make a row for each case of each experiment."""
        import pandas as pd

        rows = []
        for experiment, dataset in datasets.items():
            for name, case in summaries.cases(dataset).items():
                final = summaries.final_ratio(case)
                rows.append({"experiment": experiment, "case": name, "best": float(final.min()), "runs": final.size})
        return pd.DataFrame(rows)

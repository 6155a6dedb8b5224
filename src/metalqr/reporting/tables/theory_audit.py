"""The audit of every inequality of the lemmas, as printed and as corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, power
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _broken(row: Mapping[Any, Any], form: str, where: str = "") -> str:
    checked = row[f"checked{where}_{form}"]
    return f"{row[f'broken{where}_{form}']:,} of {checked:,}" if checked else "–"


def _counterexample(row: Mapping[Any, Any]) -> str:
    if not row["broken_printed"]:
        return ""
    return "in the case's tasks" if row["origin_printed"] < 0 else f"in random set {row['origin_printed']}"


@tables.register("theory_audit")
class TheoryAudit(Table):
    """Every inequality of the lemmas against exact values, as printed and as corrected.

    A row for each case and inequality, with its ``source`` in the paper and its ``erratum`` in ``docs/errata.md``, and
    for each form ``worst_ratio``, the largest left side over right side, the numbers of places ``checked`` and
    ``broken``, of these ``checked_equal`` and ``broken_equal`` where the initial state has the covariance of the noise
    (Σ0 = Ψ), and ``left``, ``right`` and ``origin`` at the worst ratio: -1 for the case's own tasks, otherwise the
    number of a random set. ``remark`` says what was left out of a case, and why.
    """

    reads = "theory"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "worst_ratio_printed": Column("worst ratio, printed", lambda row: power(row["worst_ratio_printed"])),
        "broken_printed": Column("violated, printed", lambda row: _broken(row, "printed")),
        "broken_equal_printed": Column("of these with Σ0 = Ψ", lambda row: _broken(row, "printed", "_equal")),
        "worst_ratio_corrected": Column("worst ratio, corrected", lambda row: power(row["worst_ratio_corrected"])),
        "broken_corrected": Column("violated, corrected", lambda row: _broken(row, "corrected")),
        # Of the worst ratio: in the CSV and the file, but not in the Markdown, which shows only violations.
        **dict.fromkeys(f"{name}_{form}" for name in ("checked", "left", "right") for form in ("printed", "corrected")),
        "checked_equal_printed": None,
        **dict.fromkeys(("checked_equal_corrected", "broken_equal_corrected")),
        "origin_printed": Column("counterexample", _counterexample, text=True),
        "origin_corrected": None,
        "remark": Column("remark", text=True),
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The numbers of gains and tasks."""
        audit = config["theory"]["audit"]
        return [
            f"over {audit['gains']} gains of the sub-level set of a case, {audit['perturbations']} perturbations of "
            f"each, and {audit['random_tasks']} random sets of tasks"
        ]

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            for name in dataset["inequality"].values.tolist():
                found = dataset.sel(inequality=name)
                row = {"case": case, "inequality": name, **{key: found[key].item() for key in ("source", "erratum")}}
                for form in dataset["form"].values.tolist():
                    columns = (
                        "worst_ratio",
                        "broken",
                        "checked",
                        "broken_equal",
                        "checked_equal",
                        "left",
                        "right",
                        "origin",
                    )
                    row |= {f"{column}_{form}": found[column].sel(form=form).item() for column in columns}
                yield row | {"remark": dataset["remark"].item()}

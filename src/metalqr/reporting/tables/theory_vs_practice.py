"""Requirements of Theorems 1 and 2 beside the settings of a case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting import captions
from metalqr.reporting.tables.markdown import Column, Columns, power
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _decades(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.0f}"


@tables.register("theory_vs_practice")
class TheoryVsPractice(Table):
    """The settings that Theorems 1 and 2 require, next to those of the cases.

    A row for each case and setting, with the value ``used``, and for each form the value that is required and its
    ``decades``, the decimal logarithm of the value over that used. ``certified`` is the largest value with a
    certificate at K_0: a learning rate of an exact step that certainly decreases L, and a norm below which no
    perturbation destabilises a task. ``remark`` says why a value is missing.
    """

    reads = "theory"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "used": Column("used", lambda row: power(row["used"])),
        "printed": Column("required as printed", lambda row: power(row["printed"])),
        "decades_printed": Column("decades", lambda row: _decades(row["decades_printed"])),
        "corrected": Column("as corrected", lambda row: power(row["corrected"])),
        "decades_corrected": Column("decades", lambda row: _decades(row["decades_corrected"])),
        "certified": Column("certified at K_0", lambda row: power(row["certified"])),
        "remark": Column("remark", text=True),
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The target."""
        return [captions.target(config)]

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        from metalqr.theory.result import by_form

        for case, dataset in datasets.items():
            for setting in dataset["setting"].values.tolist():
                found = dataset.sel(setting=setting)
                used = found["used"].item()
                row = {"case": case, "setting": setting, "used": used}
                for form in dataset["form"].values.tolist():
                    wanted = found["required"].sel(form=form).item()
                    row[form] = wanted
                    row[f"decades_{form}"] = math.log10(wanted / used) if used > 0 and wanted > 0 else math.nan
                row["certified"] = found["certified"].item()
                missing = zip(dataset["form"].values.tolist(), found["missing"].values.tolist(), strict=True)
                row["remark"] = by_form({form: reason for form, reason in missing if reason})
                yield row

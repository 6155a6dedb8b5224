"""Rates of the exact first-order methods: what an iteration removes of the gap, measured beside predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

#: Columns of rates, with their names in a file.
RATES = {
    "measured": "measured_rate",
    "linearised": "linearised_rate",
    "limit": "asymptotic_rate",
    "bound": "guaranteed_rate",
}


@tables.register("exact_methods")
class RatesOfMethods(Table):
    """The part of the gap to the optimum that an iteration of each exact method removes: a row for each task.

    ``step`` is the step size. ``measured`` is the part over the later half of the iterations, ``linearised`` what the
    Hessian at the optimum predicts for the gains there, ``limit`` what it predicts in the end, and ``bound`` what is
    guaranteed: for natural gradient and Gauss-Newton proved beforehand, for gradient descent with the curvature that
    was measured on the path. MAML gradient descent has one row, that of the meta-objective, and no bound.
    """

    reads = "exact_methods"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "method": Column("method", lambda row: row["method"].replace("_", " "), text=True),
        "task": Column("task", lambda row: "all" if row["task"] is None else str(row["task"])),
        "step": Column("step", lambda row: number(row["step"])),
        **{name: Column(name, lambda row, name=name: number(row[name])) for name in RATES},  # type: ignore[misc]
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            for method in dataset["descent"].values.tolist():
                chosen = dataset.sel(descent=method)
                for task in range(chosen.sizes["task"]):
                    one = chosen.isel(task=task)
                    yield {"case": case, "method": method, "task": task, **_row(one, "")}
            yield {"case": case, "method": "maml_gradient_descent", "task": None, **_row(dataset, "meta_")}


def _row(dataset: xr.Dataset, prefix: str) -> dict[str, float]:
    """The step size, and the parts of the gap."""

    def value(name: str) -> float:
        found = f"{prefix}{name}"
        return float(dataset[found]) if found in dataset else float("nan")

    return {"step": value("step"), **{name: 1.0 - value(of) for name, of in RATES.items()}}

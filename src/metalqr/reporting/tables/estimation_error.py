"""Errors of Algorithms 1 and 2, value by value, and what the budget of rollout steps leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metalqr.config.estimation import ESTIMATION_SWEEPS
from metalqr.config.registries import tables
from metalqr.reporting.labels import declared
from metalqr.reporting.tables.markdown import Column, Columns, number, power
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


@tables.register("estimation_error")
class ErrorsOfEstimates(Table):
    """Errors of Algorithms 1 and 2 at the initial gain, relative to the norm of the exact gradient.

    A row for each case, swept setting and value, with the other settings as the case has them: the numbers of
    estimates, their mean error and the bias, for Algorithm 1 as means over the tasks. ``rollout_steps`` is the cost of
    a value: the steps of its estimates, and those that take as long as its exact bias. The costliest values that are
    over the budget of a case, ``theory.estimation_error.rollout_steps_budget``, are left out and have no errors.
    """

    reads = "estimation_error"
    category = "Theory"
    columns: ClassVar[Columns] = {
        "parameter": Column("setting", lambda row: declared(row["parameter"]).label, text=True),
        "value": Column("value", lambda row: f"{row['value']:g}"),
        "rollout_steps": Column("rollout steps", lambda row: power(row["rollout_steps"])),
        "estimates_1": Column("estimates, Algorithm 1"),
        "error_1": Column("error", lambda row: number(row["error_1"])),
        "bias_1": Column("bias", lambda row: number(row["bias_1"])),
        "estimates_2": Column("estimates, Algorithm 2"),
        "error_2": Column("error", lambda row: number(row["error_2"])),
        "bias_2": Column("bias", lambda row: number(row["bias_2"])),
        "left_out": Column("left out", text=True),
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases."""
        for case, dataset in datasets.items():
            for parameter in ESTIMATION_SWEEPS:
                for value in dataset[parameter].values.tolist():
                    yield {"case": case, "parameter": parameter, **_row(dataset.sel({parameter: value}), parameter)}


def _row(point: xr.Dataset, parameter: str) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "value": float(point[parameter]),
        "rollout_steps": float(point[f"rollout_steps_{parameter}"]),
    }
    for algorithm in (1, 2):
        chosen = point.isel(target=np.flatnonzero(point["algorithm"].values == algorithm))
        estimates = int(chosen[f"repeats_{parameter}"].max())
        columns[f"estimates_{algorithm}"] = estimates
        for name, variable in (("error", "error_mean"), ("bias", "bias")):
            relative = chosen[f"{variable}_{parameter}"] / chosen["exact_norm"]
            columns[f"{name}_{algorithm}"] = float(relative.mean("target", skipna=False))
    over = f"over the budget of {float(point['rollout_steps_budget']):.2g} rollout steps"
    return {**columns, "left_out": "" if estimates else over}

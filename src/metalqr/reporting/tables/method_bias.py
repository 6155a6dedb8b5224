"""Bias of the directions of methods as meta-gradients, exact, at the adaptation rates of the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr

_GAINS = {"K0": "K_0", "K_shared": "best single gain"}


def _method(row: Mapping[Any, Any]) -> str:
    name, _, steps = row["method"].rpartition("_")
    return f"`{name}`, s = {steps}" if steps.isdigit() else f"`{row['method']}`"


@tables.register("method_bias")
class MethodBias(Table):
    """Bias of directions as meta-gradients: what methods follow in the mean, without noise, against the meta-gradient.

    A row for each case, adaptation rate, gain and method. ``bias`` is the norm of the difference relative to that of
    the meta-gradient, both exact; ``cosine`` is that of the angle between the two. Reptile after s steps is divided by
    s. Missing where a gain on the way does not stabilise its task; the cosine also where the direction vanishes, as
    that of ``mean_cost`` at the best single gain. The directions of ``zeroth_order_maml`` and ``hessian_maml`` have no
    such bias.
    """

    reads = "meta_optima"
    columns: ClassVar[Columns] = {
        "adaptation_rate": Column("adaptation rate"),
        "gain": Column("at", lambda row: _GAINS[row["gain"]], text=True),
        "method": Column("method", _method, text=True),
        "bias": Column("relative bias", lambda row: number(row["bias"])),
        "cosine": Column("cosine", lambda row: number(row["cosine"])),
    }

    def tabulate(self, datasets: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
        """The rows of all cases and rates, whose datasets are named ``case/rate``."""
        for place, dataset in datasets.items():
            case, _, rate = place.partition("/")
            for gain in dataset["gain"].values.tolist():
                for method in dataset["method"].values.tolist():
                    found = dataset.sel({"gain": gain, "method": method})
                    yield {
                        "case": case,
                        "adaptation_rate": float(rate),
                        "gain": gain,
                        "method": method,
                        "bias": found["bias"].item(),
                        "cosine": found["bias_cosine"].item(),
                    }

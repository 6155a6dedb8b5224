"""Predicted final ratios beside those of the runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metalqr.config.registries import tables
from metalqr.reporting import captions
from metalqr.reporting.tables.markdown import Column, Columns, number, percent
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import xarray as xr


def _number(name: str, heading: str) -> Column:
    return Column(heading, lambda row: number(row[name]))


def _range(low: str, high: str, heading: str) -> Column:
    def text(row: dict[Any, Any]) -> str:
        return "–" if math.isnan(row[low]) else f"{number(row[low])} to {number(row[high])}"

    return Column(heading, text)


def _valid(row: dict[Any, Any]) -> str:
    return "all" if row["valid_until"] >= row["iterations"] else f"{row['valid_until']:,.0f}"


def _shown(text: Callable[[dict[Any, Any]], str]) -> Callable[[dict[Any, Any]], str]:
    """The text of a cell, or a sign in the row of a configuration without a prediction."""
    return lambda row: "–" if row["left_out"] else text(row)


@tables.register("prediction")
class Prediction(Table):
    """Final ratios predicted without simulation, beside those of the runs, a row for each configuration.

    ``predicted`` is the expected average cost difference ratio of the last gain, given that the run stays stable,
    ``mean_gain`` that of the mean gain without its fluctuations, ``predicted_median`` its median, and 90 % of runs are
    predicted from ``predicted_lower`` to ``predicted_upper``. ``measured`` is the median over seeds, ``measured_min``
    and ``measured_max`` the range; a diverged run counts as infinite. ``deviation`` is the predicted less the measured
    median, in units of the standard deviation over seeds; it is missing where there are fewer than two seeds or a run
    diverged. ``in_band`` of ``runs`` are inside the predicted band. ``unstable_share`` is the predicted share of
    perturbed policies that are unstable for their task, ``leaving_chance`` the largest predicted chance that a gain is.
    ``valid_until`` is the last iteration of a valid prediction, and ``limits`` says why. ``stationary_ratio`` is the
    expected ratio after infinitely many iterations, missing where there is none. ``noise`` says how the covariance of a
    direction is known. A configuration without a prediction has the reason in ``left_out``: another method or update
    rule, resampled tasks, or too large a gain.
    """

    reads = "predictions"
    columns: ClassVar[Columns] = {
        "predicted": _number("predicted", "predicted"),
        "mean_gain": _number("mean_gain", "of the mean gain"),
        "predicted_median": _number("predicted_median", "predicted median"),
        "predicted_lower": _range("predicted_lower", "predicted_upper", "predicted band"),
        "predicted_upper": None,
        "measured": _number("measured", "measured median"),
        "measured_min": _range("measured_min", "measured_max", "range over seeds"),
        "measured_max": None,
        "deviation": _number("deviation", "deviation"),
        "in_band": Column("runs in the band", _shown(lambda row: f"{row['in_band']:.0f} of {row['runs']:.0f}")),
        "runs": None,
        "unstable_share": Column("unstable perturbations", lambda row: percent(row["unstable_share"])),
        "leaving_chance": Column("chance to leave", lambda row: percent(row["leaving_chance"])),
        "valid_until": Column("valid until", _shown(_valid)),
        "iterations": None,
        "stationary_ratio": _number("stationary_ratio", "stationary ratio"),
        "limits": Column("limits", text=True),
        "noise": Column("noise", text=True),
        "left_out": Column("left out", text=True),
    }

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The experiments of which no configuration is predicted."""
        return captions.unpredicted(config, names)

    def tabulate(self, datasets: Mapping[str, xr.DataTree]) -> Iterator[dict[str, Any]]:
        """The rows of all experiments, then those without a prediction."""
        from metalqr.reporting.predictions import cases, left_out

        for experiment, case, dataset in cases(datasets):
            for place in range(dataset.sizes["configuration"]):
                yield {"experiment": experiment, "case": case, **_row(dataset.isel(configuration=place))}
        for experiment, tree in datasets.items():
            for case, reasons in left_out(tree).items():
                for name, reason in reasons.items():
                    place_of = {"experiment": experiment, "case": case, "configuration": name}
                    yield {**place_of, **_MISSING, "left_out": reason}


#: Of a configuration without a prediction.
_NUMBERS = (
    "predicted", "mean_gain", "predicted_median", "predicted_lower", "predicted_upper", "measured", "measured_min",
    "measured_max", "deviation", "in_band", "runs", "unstable_share", "leaving_chance", "valid_until", "iterations",
    "stationary_ratio",
)  # fmt: skip
_MISSING: dict[str, Any] = {**dict.fromkeys(_NUMBERS, math.nan), "limits": "", "noise": ""}


def _row(one: xr.Dataset) -> dict[str, Any]:
    """The row of one configuration."""
    last = one.sizes["place"] - 1 - int(np.isnan(one["iteration"].values[::-1]).argmin())
    final = one["final_ratio"].values
    expected, path, median, lower, upper = (
        float(one[name].values[last]) for name in ("expected", "path", "median", "lower", "upper")
    )
    measured = float(np.median(final))
    spread = float(final.std(ddof=1)) if final.size > 1 and np.isfinite(final).all() else math.nan
    return {
        "configuration": str(one["configuration"].item()),
        "predicted": expected,
        "mean_gain": path,
        "predicted_median": median,
        "predicted_lower": lower,
        "predicted_upper": upper,
        "measured": measured,
        "measured_min": float(final.min()),
        "measured_max": float(final.max()),
        "deviation": (median - measured) / spread if spread > 0 else math.nan,
        "in_band": int(((final >= lower) & (final <= upper)).sum()),
        "runs": final.size,
        "unstable_share": float(one["unstable_share"]),
        "leaving_chance": float(one["leaving_chance"]),
        "valid_until": int(one["valid_until"]),
        "iterations": int(one["iterations"]),
        "stationary_ratio": float(one["stationary_ratio"]),
        "limits": str(one["limits"].item()),
        "noise": str(one["noise_kind"].item()),
        "left_out": "",
    }

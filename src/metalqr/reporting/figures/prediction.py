"""Predicted learning curves and final ratios beside those of the runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.curves import RATIO_LABEL
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, BLUE, CROSS, TITLE_PAD
from metalqr.reporting.figures.style import band_key, line_key, logarithmic_ticks, new_figure, round_ticks
from metalqr.reporting.labels import declared, spaced

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.lqr import FloatArray

PREDICTED, MEASURED = BLUE, "black"
#: How a prediction is drawn beyond its last valid iteration.
INVALID: dict[str, Any] = {"linestyle": (0, (2, 1.5)), "alpha": 0.6}
#: The mean gain, of which only the learning curves have a line.
MEAN_GAIN: dict[str, Any] = {"color": PREDICTED, "linestyle": ":", "linewidth": 1.1}
RUNS: dict[str, Any] = {"color": MEASURED, "marker": "o", "markersize": 3.0, "linestyle": "none"}
DIVERGED: dict[str, Any] = CROSS | {"color": "0.6", "linestyle": "none"}
#: A prediction that is above the panel, or infinite.
ABOVE: dict[str, Any] = {"color": PREDICTED, "marker": "^", "markersize": 5, "linestyle": "none"}
#: What only some panels have, by its name in the legend.
MARKS = {
    "mean gain": MEAN_GAIN,
    "beyond its validity": {"color": PREDICTED, **INVALID},
    "prediction above": ABOVE,
    "a run diverged": DIVERGED,
}
#: Markers on a curve, and values beside one another before their labels are turned.
MARKERS, FEW = 12, 5
#: How far above the largest measured ratio a panel goes, for predictions.
HEADROOM = 30.0
#: Inches of a row of panels.
ROW = 2.0


@figures.register("prediction")
class Prediction(Figure):
    """Average cost difference ratios predicted without simulation (blue) beside those of the runs (black).

    Points are medians over seeds, bars the range. A panel for each experiment and case: where it has a single
    configuration, the learning curves, with the predicted median as a line; otherwise the final ratios of all
    configurations, with the predicted median as a short line. Dotted is the ratio of the mean gain: what is above it is
    the noise. 90 % of runs are predicted inside the band. Dashed is a prediction beyond its last valid iteration, for
    the reason in the table of this name; a triangle at the top edge is one that is above the panel or infinite; a cross
    is above configurations of which a run diverged. Configurations without a prediction are left out; the table has the
    reason for each.
    """

    see = "How near the blue lines are to the black ones, and whether the runs lie in the band."
    reads = "predictions"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The experiments of which no configuration is predicted."""
        return captions.unpredicted(config, names)

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """Draw a panel for each case of each experiment, learning curves first."""
        from metalqr.reporting.predictions import cases

        shown = sorted(cases(datasets), key=lambda each: not _is_curve(each[2]))
        columns = layout.columns_of(len(shown))
        width = layout.width_of(columns)
        figure = new_figure(width, ROW * math.ceil(len(shown) / columns) + 0.2)
        panels = layout.panels(figure, len(shown), columns)
        marks: set[str] = set()
        for place, (axes, (experiment, case, dataset)) in enumerate(zip(panels, shown, strict=True)):
            is_curve = _is_curve(dataset)
            marks |= (_draw_curve if is_curve else _draw_final)(axes, dataset)
            axes.set_title(
                layout.wrapped(f"{spaced(experiment)}, {case}", layout.title_width(columns), layout.TITLE),
                pad=TITLE_PAD,
            )
            if place % columns == 0:
                axes.set_ylabel(RATIO_LABEL if is_curve else "final ratio")
        keys = [
            line_key("runs: median and range", **RUNS),
            line_key("predicted median", color=PREDICTED),
            band_key("predicted for 90 % of runs"),
            *(line_key(mark, **style) for mark, style in MARKS.items() if mark in marks),
        ]
        layout.legend_below(figure, keys, width, most=6)
        return figure


def _is_curve(dataset: xr.Dataset) -> bool:
    return dataset.sizes["configuration"] == 1


def _draw_curve(axes: Axes, dataset: xr.Dataset) -> set[str]:
    """Draw a panel of learning curves, and name the marks in it."""
    one = dataset.isel(configuration=0)
    iteration, median, lower, upper = (one[name].values for name in ("iteration", "median", "lower", "upper"))
    valid = iteration <= int(one["valid_until"])
    for chosen, style in ((valid, {}), (~valid, INVALID)):
        axes.plot(iteration, np.where(chosen, _finite(median), np.nan), color=PREDICTED, **style)
    mean_gain = one["path"].values
    axes.plot(iteration, _finite(mean_gain), **MEAN_GAIN)
    axes.fill_between(iteration, _finite(lower), _finite(upper), color=PREDICTED, **BAND)
    last = int(np.isfinite(iteration).sum()) - 1
    # Denser at the beginning, where a curve falls.
    kept = np.unique((last * np.linspace(0.0, 1.0, MARKERS) ** 2).round().astype(int))
    low, middle, high = (one[f"measured{name}"].values[kept] for name in ("_min", "", "_max"))
    axes.vlines(iteration[kept], _finite(low), _finite(high), color=MEASURED, linewidth=1.0)
    axes.plot(iteration[kept], _finite(middle), **RUNS)
    axes.set_xlabel("iterations")
    round_ticks(axes.xaxis, most=5, whole=True)
    _scale(axes, [one["measured_min"].values, one["measured_max"].values], [median, mean_gain])
    return {"mean gain"} | ({"beyond its validity"} if np.isfinite(median[~valid]).any() else set())


def _draw_final(axes: Axes, dataset: xr.Dataset) -> set[str]:
    """Draw a panel of final ratios, and name the marks in it."""
    values = dataset["value"].values.tolist()
    places = np.arange(len(values))
    last = np.isfinite(dataset["iteration"].values).sum(axis=1) - 1
    median, lower, upper = (dataset[name].values[places, last] for name in ("median", "lower", "upper"))
    runs = dataset["final_ratio"].values
    measured = np.median(runs, axis=1)
    _scale(axes, [runs], [median])
    top = axes.get_ylim()[1]
    valid = dataset["valid_until"].values >= dataset["iterations"].values
    for place in places:
        style = {} if valid[place] else INVALID
        ends = place - 0.3, place + 0.3
        axes.plot(ends, [median[place]] * 2, color=PREDICTED, **style)
        axes.fill_between(ends, lower[place], min(upper[place], 10.0 * top), color=PREDICTED, **BAND)
    finite = np.where(np.isfinite(runs), runs, np.nan)
    some = np.isfinite(runs).any(axis=1)
    axes.vlines(
        places[some], np.nanmin(finite[some], axis=1), np.nanmax(finite[some], axis=1), color=MEASURED, linewidth=1.0
    )
    axes.plot(places, _finite(measured), **RUNS)
    above, ended = places[~(median <= top)], places[~np.isfinite(runs).all(axis=1)]
    for at, style in ((above - 0.12, ABOVE), (ended + 0.12, DIVERGED)):
        if at.size:  # an empty line that is not clipped would count in the layout, at the figure's corner
            edge = axes.get_xaxis_transform()
            axes.plot(at, np.ones(at.size), transform=edge, clip_on=False, zorder=5, **style)
    texts = list(map(spaced, values))
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(texts) > FEW else {}
    axes.set_xticks(places, texts, **turned)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")
    if axis := dataset.attrs["axis"]:
        axes.set_xlabel(declared(axis).axis_label)
    found = {
        "beyond its validity": not valid.all(),
        "prediction above": above.size > 0,
        "a run diverged": ended.size > 0,
    }
    return {name for name, is_there in found.items() if is_there}


def _scale(axes: Axes, measured: Iterable[FloatArray], predicted: Iterable[FloatArray]) -> None:
    """A logarithmic vertical axis that holds what is measured, and of the predictions those that are not far above."""
    runs = _positive(measured)
    shown = _positive(predicted)
    if runs.size:
        shown = shown[shown < HEADROOM * runs.max()]
    shown = np.concatenate([runs, shown])
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.1, 1.0)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.5, 1.5 * high)
    logarithmic_ticks(axes.yaxis, most=6)


def _positive(arrays: Iterable[FloatArray]) -> FloatArray:
    flat = np.concatenate([np.ravel(array) for array in arrays])
    return np.asarray(flat[np.isfinite(flat) & (flat > 0)])


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.nan)

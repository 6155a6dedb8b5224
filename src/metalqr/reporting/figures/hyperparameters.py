"""The effect of the hyperparameters: one row of panels for each swept setting."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves, layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CROSS, FLOOR, REFERENCE, TITLE_PAD
from metalqr.reporting.figures.style import label_ticks, line_key, logarithmic, new_figure, power, round_ticks
from metalqr.reporting.labels import declared, dimensions

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.typing import ColorType
    from numpy.typing import NDArray

    from metalqr.config.experiments import Experiment
    from metalqr.lqr import FloatArray

#: Minimum ratio of values for a logarithmic axis.
LOGARITHMIC_FROM = 5.0
#: Minimum ratio of limits for labels at powers of ten only.
MANY_DECADES = 300.0
#: A smaller floor or final ratio counts as zero: a logarithmic axis down to it would hide the rest.
NO_FLOOR = 1e-4
MIN_SHARE_TOP = 1e-3
#: Points of a narrow panel without a legend beside it, and what a column of a legend takes of it.
PANELS, LEGEND_COLUMN = 105.0, 16.0
#: Points of a title in one line, which ends before the marks above the second panel.
TITLE_WIDTH = 205.0
#: Inches that the rows share, each between the smallest and the largest height of a row; lower than
#: the last, the rows of an experiment share what stands around them.
ROWS, ROW_HEIGHTS, LOW = 28.5, (0.95, 1.75), 1.6


@figures.register("hyperparameters")
class Hyperparameters(Figure):
    """The hyperparameters of Section 5.1: a row for each swept setting, with the others as in the config.

    The columns are learning curves, final ratio, and the share of perturbed policies that do not stabilise their task.
    Lines and large points are medians over seeds, bands and bars the range, small points the runs. Diverged runs count
    as infinite in the medians. They are crosses where their learning curves end, crosses at the top edge of the final
    ratios with their number, and crosses among the shares. The dashed line is the best single gain, which differs from
    value to value if the setting changes the tasks. The dotted line is the value that the setting has in the other
    rows of the same case, where they agree: in the default config, the paper's value.
    """

    see = (
        "Along a row, which values lower the final ratio, and from which on perturbed policies become unstable or "
        "runs diverge."
    )
    shows_predictions = True

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with one axis; variants have a figure of their own."""
        return len(experiment.axes) == 1 and "variant" not in experiment.axes

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The values of every sweep."""
        lines = []
        for name in names:
            experiment = config["experiments"][name]
            sweeps = [
                f"{setting} {f'linked to {values}' if isinstance(values, str) else captions.joined(values)}"
                for setting, values in experiment["sweep"].items()
            ]
            seeds = captions.joined(experiment["seeds"])
            lines.append("; ".join([f"{name} on {', '.join(experiment['cases'])}, seeds {seeds}", *sweeps]))
        return lines

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """A row for each experiment, or for each of its cases if it holds several; each has exactly one axis.

        Linked settings, such as outer and inner perturbations, are one axis. Ratios have the same scale in all rows,
        logarithmic unless a floor of zero forbids it.
        """
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        found = {name: summaries.cases(tree, axes=1) for name, tree in datasets.items()}
        rows = [row for cases in found.values() for row in cases.items()]
        cases = [case for _, case in rows]
        sweeps = [_Sweep.of(case, [other for key, other in rows if key == name]) for name, case in rows]
        row_height = min(ROW_HEIGHTS[1], max(ROW_HEIGHTS[0], ROWS / len(rows)))
        is_low = row_height < LOW
        height = row_height * len(rows) + 0.4 + (0.3 * len(found) if is_low else 0.0)
        figure = new_figure(layout.MAX_WIDTH, height, ConstrainedLayoutEngine(h_pad=0.03 if is_low else 0.05))
        grid = figure.subplots(len(rows), 3, squeeze=False, width_ratios=(1.25, 1.0, 1.0))
        final_limits = _final_limits(cases, sweeps)
        low, top = final_limits[0], max(map(curves.ratio_top, cases))
        run_limits = low, 1.1 * top if low > 0 else top
        # Values in a column of a legend, at most; points of the panels beside the widest legend.
        most = 4 if is_low else 10
        room = PANELS - LEGEND_COLUMN * max(math.ceil(len(sweep.values) / most) for sweep in sweeps)
        several = len({name for name, _ in rows}) > 1
        titles = _titles(found, sweeps, several)
        for panels, title, (_, case), sweep in zip(grid, titles, rows, sweeps, strict=True):
            panels[0].set_title(
                title, loc="left", fontweight="bold", fontsize=layout.TEXT if is_low else layout.TITLE, pad=TITLE_PAD
            )
            lines = _draw_runs(panels[0], case, sweep, run_limits)
            _draw_final_ratio(panels[1], case, sweep, final_limits, room)
            _draw_unstable_share(panels[2], case, sweep, room)
            # Beside the panels: no place inside is free of curves in every sweep.
            beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.4 if is_low else 1.05)}
            panels[2].legend(handles=lines, title=sweep.symbol, ncols=math.ceil(len(lines) / most), **beside)
        if is_low:
            _merge_rows(grid, list(map(len, found.values())))
        words = "Hyperparameters" if several else f"Hyperparameters, case {rows[0][0]} ({dimensions(cases[0])})"
        figure.suptitle(layout.wrapped(words, 72.0 * layout.MAX_WIDTH - 20.0, layout.TITLE))
        layout.legend_below(figure, _keys(cases), layout.MAX_WIDTH, most=4)
        return figure


class _Sweep(NamedTuple):
    """A swept setting, with its labels and colours."""

    setting: str
    symbol: str
    label: str
    values: list[Any]
    colours: list[ColorType]
    reference: Any  # the value in the other rows of the case where they agree, or None
    floors: list[float]  # ratio of the best single gain: one, or one for each value that moves the tasks

    @classmethod
    def of(cls, case: xr.Dataset, rows: list[xr.Dataset]) -> _Sweep:
        import seaborn

        (setting,) = summaries.swept_settings(case)
        found = declared(setting)
        linked = [str(name) for name in case.coords if case[name].dims == (setting,) and name != setting]
        if {setting, *linked} == {"perturbations", "inner_perturbations"}:
            label = f"{found.axis_label} (outer and inner)"
        else:
            label = " and ".join([found.axis_label, *(declared(name).label for name in linked)])
        symbol = f"${found.symbol}$" if found.symbol else found.label
        values = case[setting].values.tolist()
        # From dark to bright: ordered in grey and for colour-blind readers.
        colours: list[ColorType] = list(seaborn.color_palette("viridis", len(values)).as_hex())
        elsewhere = {json.loads(row.attrs["settings"]).get(setting) for row in rows} - {None}
        reference = elsewhere.pop() if len(elsewhere) == 1 else None
        moves_tasks = "J_star" in case and setting in case["J_star"].dims
        places = [{setting: place} for place in range(len(values))] if moves_tasks else [{}]
        floors = [summaries.floor_ratio(case.isel(place)) for place in places]
        return cls(setting, symbol, label, values, colours, reference, floors)


# --- panels ----------------------------------------------------------------------------------------------------------


def _merge_rows(grid: NDArray[np.object_], sizes: list[int]) -> None:
    """Make low rows of an experiment, which differ in the case only, share their legend and horizontal labels.

    The legend stands beside the first row. Labels and ticks of a horizontal axis are left out above an equal one.
    """
    ends = list(itertools.accumulate(sizes))
    for row, panels in enumerate(grid):
        for place, (axes, words) in enumerate(zip(panels, ("ratio", "final ratio", "unstable"), strict=True)):
            axes.set_ylabel(words, fontsize=layout.SMALL)
            if row + 1 not in ends and axes.get_xlim() == grid[row + 1][place].get_xlim():
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
        if row not in [0, *ends]:
            panels[2].get_legend().remove()


def _draw_runs(axes: Axes, case: xr.Dataset, sweep: _Sweep, limits: tuple[float, float]) -> list[Line2D]:
    lines = []
    for index, (colour, label) in enumerate(zip(sweep.colours, _value_labels(sweep.values), strict=True)):
        line = curves.draw_curve(axes, case.isel({sweep.setting: index}), colour, top=limits[1])
        line.set(label=label, linewidth=1.0)
        lines.append(line)
    for floor, colour in zip(sweep.floors, ["black"] if len(sweep.floors) == 1 else sweep.colours, strict=True):
        curves.draw_floor(axes, floor, colour)
    axes.set(xlabel="iterations", xlim=curves.iteration_limits([case]))
    round_ticks(axes.xaxis, most=5, whole=True)
    axes.set_ylabel(curves.ratio_label([case]))
    _set_ratio_axis(axes, limits)
    return lines


def _draw_final_ratio(axes: Axes, case: xr.Dataset, sweep: _Sweep, limits: tuple[float, float], room: float) -> None:
    positions = _value_axis(axes, sweep, room)
    _draw_points(axes, positions, summaries.final_ratio(case), sweep.colours)
    if len(sweep.floors) == 1:
        curves.draw_floor(axes, sweep.floors[0], "black")
    else:
        axes.plot(positions, sweep.floors, color="black", **FLOOR)
    axes.set_ylabel("final ratio")
    _set_ratio_axis(axes, limits)
    edge, runs = axes.get_xaxis_transform(), case.sizes["seed"]
    counts = summaries.diverged(case).sum("seed").values
    for position, count, colour in zip(positions, counts, sweep.colours, strict=True):
        if count:
            axes.plot([position], [1.0], **CROSS, color=colour, transform=edge, clip_on=False, label="_diverged")
            axes.annotate(
                f"{count}/{runs}",
                (position, 1.0),
                (0, 6),
                edge,
                textcoords="offset points",
                ha="center",
                fontsize=layout.SMALL,
            )


def _draw_unstable_share(axes: Axes, case: xr.Dataset, sweep: _Sweep, room: float) -> None:
    positions = _value_axis(axes, sweep, room)
    share = summaries.unstable_share(case)
    _draw_points(axes, positions, share, sweep.colours, crosses=summaries.diverged(case))
    axes.set_ylabel("unstable\nperturbations")
    axes.set_ylim(0.0, max(MIN_SHARE_TOP, 1.2 * float(share.max().fillna(0.0))))
    round_ticks(axes.yaxis, most=6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _draw_points(
    axes: Axes, positions: FloatArray, runs: xr.DataArray, colours: list[ColorType], crosses: xr.DataArray | None = None
) -> None:
    """Runs, their range and their median at every position; ``crosses`` says which runs to draw as diverged."""
    medians = runs.median("seed", skipna=False).values
    shown = np.where(np.isfinite(medians), medians, np.nan)
    axes.plot(positions, shown, color="0.6", linewidth=1.0, label="_median")
    marked = np.zeros(runs.shape, dtype=bool) if crosses is None else crosses.values
    for position, colour, median, values, is_cross in zip(positions, colours, shown, runs.values, marked, strict=True):
        finite = np.isfinite(values)
        if finite.any():
            axes.vlines(position, values[finite].min(), values[finite].max(), color=colour, linewidth=1.5)
        axes.plot([position], [median], marker="o", markersize=5.0, color=colour, markeredgecolor="white")
        small = {"marker": "o", "markersize": 2.0, "zorder": 3}
        for chosen, style in ((~is_cross, small), (is_cross, CROSS | {"markersize": 4.5, "zorder": 4})):
            heights = values[finite & chosen]
            axes.plot(np.full(heights.size, position), heights, color=colour, linestyle="none", **style)


# --- axes ------------------------------------------------------------------------------------------------------------


def _value_axis(axes: Axes, sweep: _Sweep, room: float) -> FloatArray:
    """Scale, limits, ticks and label of the horizontal axis of so many points; where each swept value lies on it.

    Numbers lie on a logarithmic axis when they span a factor of five, symmetric logarithmic when zero is among them;
    values that are not numbers lie side by side.
    """
    values = list(sweep.values)
    if sweep.reference is not None and sweep.reference not in values:
        values.append(sweep.reference)
    numeric = all(isinstance(value, int | float) for value in values)
    places = np.array(values if numeric else range(len(values)), dtype=float)
    positive = places[places > 0]
    if numeric and positive.size > 1 and positive.max() >= LOGARITHMIC_FROM * positive.min():
        if places.min() < positive.min():
            axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
        else:
            axes.set_xscale("log")
    transform = axes.xaxis.get_transform()
    scaled = transform.transform(places)
    pad = 0.08 * np.ptp(scaled) or 0.5 * abs(scaled[0]) or 0.5
    low, high = scaled.min() - pad, scaled.max() + pad
    axes.set_xlim(*transform.inverted().transform(np.array([low, high])))
    labels = _value_labels(values)
    first = []
    if sweep.reference is not None:
        place = values.index(sweep.reference)
        first.append(labels[place])
        axes.axvline(places[place], zorder=0.5, **REFERENCE)
    label_ticks(axes, places, labels, (scaled - low) / (high - low), room, first)
    axes.set_xlabel(sweep.label)
    return places[: len(sweep.values)]


def _final_limits(cases: list[xr.Dataset], sweeps: list[_Sweep]) -> tuple[float, float]:
    """Limits of the final ratios of all rows, so that the effects of two settings can be compared."""
    finals = np.concatenate([summaries.final_ratio(case).values.ravel() for case in cases])
    floors = [floor for sweep in sweeps for floor in sweep.floors if np.isfinite(floor)]
    shown = np.concatenate([finals[np.isfinite(finals)], floors])
    low, high = float(shown.min()), float(shown.max())
    return (low / 1.3, max(1.4 * high, 5.0 * low)) if low > NO_FLOOR else (0.0, 1.1 * max(high, NO_FLOOR))


def _set_ratio_axis(axes: Axes, limits: tuple[float, float]) -> None:
    low, high = limits
    if low > 0:
        logarithmic(axes, subs=(1.0, 2.0, 5.0) if high < MANY_DECADES * low else (1.0,))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        round_ticks(axes.yaxis, most=6)
    axes.set_ylim(low, high)


# --- words -----------------------------------------------------------------------------------------------------------


def _titles(found: Mapping[str, Mapping[str, xr.Dataset]], sweeps: list[_Sweep], several: bool) -> list[str]:
    """The titles of the rows: the setting, the case if there are several, the experiment where this is not all."""
    rows = [(experiment, case) for experiment, cases in found.items() for case in cases]
    counts = Counter((sweep.setting, case) for (_, case), sweep in zip(rows, sweeps, strict=True))
    titles = []
    for (experiment, case), sweep in zip(rows, sweeps, strict=True):
        parts = [sweep.label[0].upper() + sweep.label[1:]]
        parts += [layout.wrapped(f"case {case}", TITLE_WIDTH, layout.TITLE, "bold")] if several else []
        parts += [f"experiment {experiment}"] if counts[sweep.setting, case] > 1 else []
        # Matplotlib's layout makes room beside the first panel for a long line.
        titles.append(
            (", " if layout.text_width(", ".join(parts), layout.TITLE, "bold") < TITLE_WIDTH else "\n").join(parts)
        )
    return titles


def _keys(cases: list[xr.Dataset]) -> list[Line2D | Patch]:
    median = line_key("median", color="0.3", marker="o", markersize=5.0, markeredgecolor="white")
    run = line_key("one run", color="0.3", linestyle="none", marker="o", markersize=2.0)
    keys = [median, run, *curves.curve_keys(cases)]
    if len({summaries.swept_settings(case) for case in cases}) > 1:
        keys.append(line_key("value in the other rows", **REFERENCE))
    return keys


def _value_labels(values: Sequence[Any]) -> list[str]:
    """Values as mathematical text: 0.05, 1200, or all as powers (10^-3, 3 x 10^-5) when one is very small or large."""
    numbers = [abs(value) for value in values if isinstance(value, int | float) and value != 0]
    powers = any(not 0.005 <= number < 1e5 for number in numbers)
    return [power(value) if powers and isinstance(value, int | float) and value else _plain(value) for value in values]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)

"""Learning curves, as every figure draws the runs of one case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from metalqr.reporting import summaries
from metalqr.reporting.figures.palette import BAND, CASE_MARK, CROSS, FLOOR, PREDICTED, with_styles
from metalqr.reporting.figures.style import band_key, line_key, logarithmic_ticks, round_ticks

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.typing import ColorType

    from metalqr.lqr import FloatArray

RATIO_LABEL = r"$\dfrac{\sum_i\,(J_i(K_n) - J_i^*\!)}{\sum_i\,J_i^*}$"
GAP_LABEL = r"$\sum_i\,(J_i(K_n) - J_i^*\!)$"
MEASURED_LABEL = r"$\dfrac{\sum_i\,\hat J_i(K_n)}{\sum_i\,\hat J_i(K_0)}$"
#: Points of these labels, whose fractions are smaller than other text.
RATIO_SIZE = 9.0
#: The paper's axis; it grows when the data need it.
MIN_RATIO_TOP = 1.2


#: A floor so many times below all curves is left out of a logarithmic axis, where it would hide the rest.
FAR = 50.0


def draw_curve(axes: Axes, case: xr.Dataset, colour: ColorType, top: float) -> Line2D:
    """Draw the median, the range and the diverged runs of a case at one value of every swept setting.

    A run that diverged beyond ``top``, the top of the ratio's axis, is marked there. The result is the median's line.
    """
    ratio = summaries.continued_ratio(case)
    finite = ratio.where(np.isfinite(ratio))
    iterations = ratio["iteration"].values
    if case.sizes["seed"] > 1:
        axes.fill_between(iterations, finite.min("seed").values, finite.max("seed").values, color=colour, **BAND)
    median = ratio.median("seed", skipna=False)
    (line,) = axes.plot(iterations, median.where(np.isfinite(median)).values, color=colour)
    draw_predicted(axes, case, iterations, colour)
    ended = summaries.diverged(case).values
    if ended.any():  # an empty line that is not clipped would count in the layout, at the figure's corner
        iteration = summaries.last_iteration(case).values[ended]
        height = np.minimum(summaries.last_ratio(case).values[ended], top)
        axes.plot(
            iteration, height, color=colour, linestyle="none", clip_on=False, zorder=5, label="_diverged", **CROSS
        )
    return line


def draw_predicted(axes: Axes, case: xr.Dataset, places: FloatArray, colour: ColorType) -> None:
    """Draw the predicted median of a case at one value of every swept setting, where there is one.

    ``places`` are those of the iterations on the horizontal axis.
    """
    from matplotlib.colors import to_rgb

    if has_prediction(case):
        darker = tuple(0.45 * part for part in to_rgb(colour))
        predicted = case["predicted"].values
        known = np.isfinite(predicted) & np.isfinite(places)
        axes.plot(places[known], predicted[known], color=darker, zorder=3, label="_predicted", **PREDICTED)


def has_prediction(case: xr.Dataset) -> bool:
    """True if a predicted learning curve is shown; that of a ratio says nothing of a gap."""
    return "predicted" in case and not summaries.is_gap(case) and bool(np.isfinite(case["predicted"]).any())


def draw_panel(axes: Axes, curves: Iterable[tuple[str, xr.Dataset]], top: float, *, floors: bool) -> list[Line2D]:
    """Draw labelled curves, each in its own colour and with its own marker, and set the axes.

    With ``floors``, each curve has a floor in its colour.
    """
    cases, lines = [], []
    found = dict(curves)
    for position, (label, colour, marker) in enumerate(with_styles(found)):
        case = found[label]
        line = draw_curve(axes, case, colour, top)
        every = max(1, case.sizes["iteration"] // 8)
        # Shifted from curve to curve, so that markers do not hide one another.
        line.set(marker=marker, label=label, markevery=((2 * position + 1) * every // 6 % every, every), **CASE_MARK)
        if floors:
            draw_floor(axes, summaries.floor_ratio(case), colour)
        cases.append(case)
        lines.append(line)
    axes.set(xlabel="iterations", xlim=iteration_limits(cases), ylim=(0.0, top))
    round_ticks(axes.xaxis, most=6, whole=True)
    round_ticks(axes.yaxis)
    return lines


def make_logarithmic(axes: Axes, cases: Iterable[xr.Dataset], top: float) -> None:
    """Make the vertical axis of a panel of cases logarithmic, down to their lowest ratio, or to a floor near it."""
    found = list(cases)
    ratios = np.concatenate([case["ratio"].values.ravel() for case in found])
    positive = ratios[np.isfinite(ratios) & (ratios > 0.0)]
    lowest = float(positive.min()) if positive.size else 1e-3
    floors = [summaries.floor_ratio(case) for case in found]
    lowest = min([lowest, *(floor for floor in floors if floor > lowest / FAR)])
    axes.set_yscale("log")
    axes.set_ylim(min(0.7 * lowest, 0.5 * top), 1.2 * top)
    logarithmic_ticks(axes.yaxis)


def draw_floor(axes: Axes, floor: float, colour: ColorType) -> None:
    """Draw the ratio of the best single gain, where it is known."""
    if np.isfinite(floor):
        axes.axhline(floor, color=colour, **FLOOR)


def ratio_label(cases: Iterable[xr.Dataset]) -> str:
    """The label of an axis that cases share; a case without ratio, among others that have one, has its own label."""
    shown = list(cases)
    if all(map(summaries.is_measured, shown)):
        return MEASURED_LABEL
    return GAP_LABEL if all(map(summaries.is_gap, shown)) else RATIO_LABEL


def ratio_top(case: xr.Dataset) -> float:
    """Top of an axis that holds every run that did not diverge and the start of those that did."""
    ratio = case["ratio"]
    held = ~summaries.diverged(case) | (ratio["iteration"] == ratio["iteration"][0])
    largest = float(ratio.where(np.isfinite(ratio) & held).max())
    if summaries.is_gap(case):
        return 1.05 * largest if largest > 0.0 else 1.0
    return 1.05 * largest if largest > MIN_RATIO_TOP else MIN_RATIO_TOP


def iteration_limits(cases: Iterable[xr.Dataset]) -> tuple[float, float]:
    """Limits of an axis of iterations that holds all cases."""
    return 0.0, max(1.0, *(float(case["iteration"].max()) for case in cases))


def curve_keys(cases: list[xr.Dataset]) -> list[Line2D | Patch]:
    """The keys of a legend for floors, ranges and diverged runs, where there are any."""
    keys: list[Line2D | Patch] = []
    if not all(map(summaries.is_measured, cases)):
        keys.append(line_key("best single gain found", color="0.3", **FLOOR))
    seeds = sorted({case.sizes["seed"] for case in cases})
    if seeds[-1] > 1:
        count = str(seeds[-1]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        keys.append(band_key(f"range of {count} seeds (line: median)"))
    if any(map(has_prediction, cases)):
        keys.append(line_key("predicted median", color="0.1", **PREDICTED))
    ended = [summaries.diverged(case) for case in cases]
    if number := sum(int(each.sum()) for each in ended):
        label = f"diverged ({number} of {sum(each.size for each in ended)} runs)"
        keys.append(line_key(label, color="0.6", linestyle="none", **CROSS))
    return keys

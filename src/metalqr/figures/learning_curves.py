"""Learning curves: Figure 1, and how every figure draws the runs of one case."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.typing import ColorType

from metalqr import summaries
from metalqr.figures.style import round_ticks, settle, styled
from metalqr.summaries import DatasetError

RATIO_LABEL = r"$\dfrac{\sum_i\,(J_i(K_n) - J_i^*\!)}{\sum_i\,J_i^*}$"
#: The paper's axis; it grows when the data need it.
SMALLEST_RATIO_TOP = 1.2
#: Blue, orange and green as in the paper, then the rest of Matplotlib's cycle.
CASE_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:gray")
#: A second way to tell the curves apart, for grey print and colour-blind readers.
CASE_MARKERS = ("o", "s", "^", "D", "v", "P", "*")
CROSS: dict[str, Any] = {"marker": "X", "markersize": 8, "markeredgecolor": "black", "markeredgewidth": 0.7}
#: Points between axes and title: room for crosses at the top edge.
TITLE_PAD = 9.0
FLOOR: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 0.9}


def figure1(dataset: xr.DataTree) -> Figure:
    r"""Figure 1 of the paper: the average cost difference ratio during learning, one curve per case.

    .. math:: \frac{\sum_i (J_i(K_n) - J_i^*)}{\sum_i J_i^*}

    The line is the median over seeds and the band the range (smallest to largest) over the seeds; a dashed line in the
    case's colour is the ratio of the best single gain, below which no single gain passes. A run that met its tolerance
    keeps its last value. A run that diverged counts as infinite in the median from there on, leaves the band, and is
    marked by a cross at its last stabilising gain, or at the top edge where that lies beyond the axis.

    Parameters
    ----------
    dataset : xarray.DataTree
        An experiment without sweep: a group per case with ``ratio`` (seed, iteration).

    Returns
    -------
    matplotlib.figure.Figure
        The axis is the paper's, 0 to 1.2, and longer when a run that did not diverge needs it.

    Raises
    ------
    metalqr.summaries.DatasetError
        If the dataset has no case, lacks a variable, or sweeps a setting.
    """
    cases = summaries.cases(dataset)
    for name, case in cases.items():
        if swept := summaries.swept_settings(case):
            raise DatasetError(
                f"figure1 draws one curve per case, but case {name!r} sweeps {', '.join(swept)}; "
                "use figures.hyperparameters, or select one value"
            )
    with styled():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        top = max(ratio_top(case) for case in cases.values())
        colours, markers = itertools.cycle(CASE_COLOURS), itertools.cycle(CASE_MARKERS)
        handles: list[Line2D | Patch] = []
        for position, (case, colour, marker) in enumerate(zip(cases.values(), colours, markers, strict=False)):
            line = draw_curve(axes, case, colour, top)
            line.set(marker=marker, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
            every = max(1, case.sizes["iteration"] // 8)
            line.set_markevery(((2 * position + 1) * every // 6 % every, every))
            line.set_label(dimensions(case))
            axes.axhline(summaries.floor_ratio(case), color=colour, **FLOOR)
            handles.append(line)
        handles += curve_keys(list(cases.values()))
        axes.set_xlabel("Iterations")
        axes.set_title("Learning curve for the average cost difference ratio", pad=TITLE_PAD)
        axes.set_ylabel(RATIO_LABEL, fontsize=11)
        axes.set(xlim=iteration_limits(cases.values()), ylim=(0.0, top))
        round_ticks(axes.xaxis, whole=True)
        round_ticks(axes.yaxis)
        axes.legend(handles=handles, loc="best")
        settle(figure)
    return figure


def draw_curve(axes: Axes, case: xr.Dataset, colour: ColorType, top: float) -> Line2D:
    """Draw median, range and diverged runs of one case, one value of every swept setting.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    case : xarray.Dataset
    colour : colour
    top : float
        Top of the ratio's axis, where a run that diverged beyond it is marked.

    Returns
    -------
    matplotlib.lines.Line2D
        The median over seeds.
    """
    ratio = summaries.continued_ratio(case)
    finite = ratio.where(np.isfinite(ratio))
    iterations = ratio["iteration"].values
    if case.sizes["seed"] > 1:
        low, high = finite.min("seed").values, finite.max("seed").values
        axes.fill_between(iterations, low, high, color=colour, alpha=0.22, linewidth=0)
    median = ratio.median("seed", skipna=False)
    (line,) = axes.plot(iterations, median.where(np.isfinite(median)).values, color=colour)
    ended = summaries.diverged(case).values
    if ended.any():  # an empty line that is not clipped would count in the layout, at the figure's corner
        iteration = summaries.last_iteration(case).values[ended]
        height = np.minimum(summaries.last_ratio(case).values[ended], top)
        axes.plot(
            iteration, height, color=colour, linestyle="none", clip_on=False, zorder=5, label="_diverged", **CROSS
        )
    return line


def ratio_top(case: xr.Dataset) -> float:
    """Top of an axis that holds every run that did not diverge and the start of those that did."""
    ratio = case["ratio"]
    shown = ratio.where(
        np.isfinite(ratio) & (~summaries.diverged(case) | (ratio["iteration"] == ratio["iteration"][0]))
    )
    largest = float(shown.max())
    return 1.05 * largest if largest > SMALLEST_RATIO_TOP else SMALLEST_RATIO_TOP


def iteration_limits(cases: Iterable[xr.Dataset]) -> tuple[float, float]:
    """Limits of an axis of iterations that holds all cases."""
    return 0.0, max(1.0, *(float(case["iteration"].max()) for case in cases))


def curve_keys(cases: list[xr.Dataset]) -> list[Line2D | Patch]:
    """What a legend says about floors, ranges and diverged runs, where there are any."""
    keys: list[Line2D | Patch] = [Line2D([], [], color="0.3", **FLOOR, label="best single gain")]
    seeds = sorted({case.sizes["seed"] for case in cases})
    if seeds[-1] > 1:
        count = str(seeds[-1]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        keys.append(Patch(color="0.3", alpha=0.22, linewidth=0, label=f"range of {count} seeds (line: median)"))
    ended = sum(int(summaries.diverged(case).sum()) for case in cases)
    if ended:
        runs = sum(summaries.diverged(case).size for case in cases)
        keys.append(Line2D([], [], color="0.6", linestyle="none", **CROSS, label=f"diverged ({ended} of {runs} runs)"))
    return keys


def dimensions(case: xr.Dataset) -> str:
    """A case's dimensions in the words of the paper's legend."""
    return f"state dim: {case.attrs['state_dim']}, action dim: {case.attrs['action_dim']}"

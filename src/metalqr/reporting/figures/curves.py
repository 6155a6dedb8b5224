"""Learning curves, as every figure draws the runs of one case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from metalqr.reporting import summaries
from metalqr.reporting.figures.palette import CROSS, FLOOR

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.typing import ColorType

RATIO_LABEL = r"$\dfrac{\sum_i\,(J_i(K_n) - J_i^*\!)}{\sum_i\,J_i^*}$"
#: The paper's axis; it grows when the data need it.
MIN_RATIO_TOP = 1.2


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
    return 1.05 * largest if largest > MIN_RATIO_TOP else MIN_RATIO_TOP


def iteration_limits(cases: Iterable[xr.Dataset]) -> tuple[float, float]:
    """Limits of an axis of iterations that holds all cases."""
    return 0.0, max(1.0, *(float(case["iteration"].max()) for case in cases))


def curve_keys(cases: list[xr.Dataset]) -> list[Line2D | Patch]:
    """The keys of a legend for floors, ranges and diverged runs, where there are any."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

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

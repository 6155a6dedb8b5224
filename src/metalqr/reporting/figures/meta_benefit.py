"""The benefit of meta-learning against the adaptation rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import benefit
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, BLUE, CASE_MARK, ORANGE, PURPLE, REFERENCE
from metalqr.reporting.figures.style import band_key, line_key, logarithmic_ticks, new_figure
from metalqr.reporting.labels import titled

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

#: The looks of lines, and their names.
STARTS: dict[str, tuple[dict[str, Any], str]] = {
    benefit.SINGLE: ({"color": ORANGE, "marker": "s", **CASE_MARK}, "best single gain"),
    benefit.META: ({"color": BLUE, "marker": "o", **CASE_MARK}, "optimum of L"),
}
TASKS: dict[str, dict[str, Any]] = {
    "unseen": {"linestyle": "-", "linewidth": 1.2},
    "training": {"linestyle": (0, (3, 2)), "linewidth": 1.0},
}
#: Of the ratios, by what they are of.
RATIOS: dict[str, dict[str, Any]] = {
    "of the medians": {"color": PURPLE, "marker": "^", **CASE_MARK},
    "of a task, median": {"color": "0.25", "marker": "D", **CASE_MARK},
}


@figures.register("meta_benefit")
class MetaBenefit(Figure):
    """The gap ``(J_i - J_i*) / J_i*`` after one exact step, from the optimum of L and from the best single gain.

    A column for each heterogeneity, by which the differences between the tasks of the case are multiplied; two rows for
    what differs: dynamics, costs, or both. On the axis is the adaptation rate as a share of the largest one at which
    the best single gain can be adapted to all training tasks. The first row of two has median gaps over tasks, of
    unseen ones and of those of training. The second has two ratios of the gap from the optimum of L to that from the
    best single gain, on unseen tasks: of both medians, and the median of the ratio of a task. Below 1 the optimum of L
    is the better start. Lines are medians over draws of training tasks, bands the range over draws, on unseen tasks
    that all draws share. A task that is unstable counts as infinite, so that a line ends where half of the tasks are
    unstable. Draws without a result, which the title of a panel counts and for which the CSV of the table of this name
    has the reason, are left out.
    """

    see = "Where the ratios in the second row are below 1, the optimum of L is the better start for one step."
    reads = "meta_benefit"
    file = "meta_benefit-{name}"
    category = "Adaptation"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The levels of the comparison, and the case."""
        return benefit.details(config, names[0])

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Draw two panels of one case for each difference and each heterogeneity."""
        ((name, dataset),) = datasets.items()
        kinds, factors = dataset["difference"].values.tolist(), dataset["heterogeneity"].values.tolist()
        width = layout.width_of(len(factors))
        figure = new_figure(width, 3.0 * len(kinds) + 0.5)
        grid = figure.subplots(
            2 * len(kinds),
            len(factors),
            squeeze=False,
            sharex=True,
            sharey="row",
            height_ratios=[1.3, 1.0] * len(kinds),
        )
        for row, kind in enumerate(kinds):
            for column, factor in enumerate(factors):
                chosen = dataset.sel(difference=[kind], heterogeneity=[factor])
                above, below = grid[2 * row : 2 * row + 2, column]
                _draw_gaps(above, chosen)
                _draw_ratios(below, chosen)
                above.set_title(_title(chosen))
            grid[2 * row, 0].set_ylabel("gap after one step")
            grid[2 * row + 1, 0].set_ylabel("ratio of gaps")
        for axes in grid.flat:
            axes.set(xscale="log", yscale="log")
        for axes in grid[-1]:
            axes.set_xlabel(r"$\eta / \eta_{max}$")
        for axis in (grid[0, 0].xaxis, *(axes.yaxis for axes in grid[:, 0])):  # which the other panels share
            logarithmic_ticks(axis)
        figure.suptitle(layout.wrapped(titled(name, dataset), 72.0 * width - 20.0, layout.TITLE))
        keys = [line_key(label, **look) for look, label in STARTS.values()]
        keys += [line_key(f"{tasks} tasks", color="0.3", **style) for tasks, style in TASKS.items()]
        keys += [line_key(f"ratio {label}", **look) for label, look in RATIOS.items()]
        layout.legend_below(figure, [*keys, band_key("range over draws")], width, most=4)
        return figure


def _draw_gaps(axes: Axes, level: xr.Dataset) -> None:
    for start, (look, _) in STARTS.items():
        for tasks, style in TASKS.items():
            _draw_spread(axes, benefit.medians(level, tasks, start, 1), look | style, with_band=tasks == "unseen")


def _draw_ratios(axes: Axes, level: xr.Dataset) -> None:
    axes.axhline(1.0, **REFERENCE)
    found = benefit.ratios_of_medians(level, "unseen"), benefit.ratios(level, "unseen")
    for values, look in zip(found, RATIOS.values(), strict=True):
        _draw_spread(axes, values, look | TASKS["unseen"], with_band=True)


def _title(level: xr.Dataset) -> str:
    """What differs and how much, and how many draws have no result at some rate."""
    words = f"{level['difference'].item()}, × {level['heterogeneity'].item():g}"
    failed = int((level["failure"].values != "").any(axis=-1).sum())
    return f"{words}\n({failed} of {level.sizes['draw']} draws incomplete)" if failed else words


def _draw_spread(axes: Axes, values: xr.DataArray, look: Mapping[str, Any], *, with_band: bool) -> None:
    """The median over draws against the share, with the range over draws."""
    shares = values["share"].values
    middle, low, high = (_shown(each.values.ravel()) for each in benefit.Spread.of(values))
    axes.plot(shares, middle, **look)
    if with_band:
        axes.fill_between(shares, low, high, color=look["color"], **BAND)


def _shown(values: Any) -> Any:
    """Values without those that a logarithmic axis cannot show."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)

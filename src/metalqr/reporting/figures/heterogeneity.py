"""Gaps before and after adaptation against the distances between tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import benefit
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import with_styles
from metalqr.reporting.figures.style import line_key, logarithmic_ticks, new_figure
from metalqr.reporting.labels import titled

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.lqr import FloatArray

DISTANCES = {
    "matrix_distance": "matrices",
    "gradient_distance": "gradients at the\nbest single gain",
    "bisimulation_distance": "bisimulation",
}
#: Of the rows: the starting gains with the steps that are taken from each.
ROWS = ({benefit.SINGLE: 0}, {benefit.SINGLE: 1, benefit.META: 1})
LOOKS: dict[str, dict[str, Any]] = {
    benefit.SINGLE: {"linestyle": (0, (3, 2)), "markerfacecolor": "white"},
    benefit.META: {"linestyle": "-"},
}
DRAW: dict[str, Any] = {"linestyle": "none", "markersize": 2.5, "alpha": 0.4}


@figures.register("heterogeneity")
class Heterogeneity(Figure):
    """Gaps ``(J_i - J_i*) / J_i*`` on unseen tasks against the size of the differences between training tasks.

    The first row has the gap of the best single gain, the second the gap after one exact step from it (open markers)
    and from the optimum of L (filled markers), at one share of the largest adaptation rate, which the axis names. The
    columns have three distances of the training tasks: the largest spectral norm of a difference in A, B, Q, R or Ψ;
    the largest gradient of a task at the best single gain; and the largest distance of what two tasks do under that
    gain with the same noise, a bisimulation distance, in the root of cost units. Colours say what differs. A small
    marker is the median over unseen tasks for one draw of training tasks, a large one the median over draws, and a line
    connects the heterogeneities. Medians that are infinite, because half of the tasks are unstable, have no marker.
    """

    see = "Whether the filled markers are below the open ones, and at which distance between tasks they part."
    reads = "meta_benefit"
    file = "heterogeneity-{name}"
    category = "Adaptation"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The levels of the comparison, and the case."""
        return benefit.details(config, names[0])

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Draw a panel of one case for each distance and each row."""
        ((name, dataset),) = datasets.items()
        width = layout.width_of(len(DISTANCES))
        figure = new_figure(width, 4.3)
        grid = figure.subplots(len(ROWS), len(DISTANCES), squeeze=False, sharex="col", sharey="row")
        share = benefit.middle_share(dataset)
        for row, panels in zip(ROWS, grid, strict=True):
            for axes, distance in zip(panels, DISTANCES, strict=True):
                _draw_panel(axes, dataset, distance, row, share)
                axes.set(xscale="log", yscale="log")
        for axes, label in zip(grid[-1], DISTANCES.values(), strict=True):
            axes.set_xlabel(f"distance: {label}")
        grid[0, 0].set_ylabel("gap of the best single gain")
        grid[1, 0].set_ylabel(rf"gap after one step, $\eta = {share:g}\,\eta_{{max}}$")
        for axis in (*(axes.xaxis for axes in grid[0]), *(axes.yaxis for axes in grid[:, 0])):  # which panels share
            logarithmic_ticks(axis, most=6)
        figure.suptitle(layout.wrapped(titled(name, dataset), 72.0 * width - 20.0, layout.TITLE))
        keys = [line_key(kind, color=colour, marker=marker) for kind, colour, marker in _kinds(dataset)]
        labels = {benefit.SINGLE: "best single gain", benefit.META: "optimum of L"}
        keys += [line_key(labels[start], color="0.3", marker="o", **look) for start, look in LOOKS.items()]
        layout.legend_below(figure, keys, width, most=5)
        return figure


def _kinds(dataset: xr.Dataset) -> Iterator[tuple[str, str, str]]:
    """What differs, with its colour and its marker."""
    return iter(with_styles(dataset["difference"].values.tolist()))


def _draw_panel(axes: Axes, dataset: xr.Dataset, distance: str, row: Mapping[str, int], share: float) -> None:
    for kind, colour, marker in _kinds(dataset):
        chosen = dataset.sel(difference=[kind], share=[share])
        apart = chosen[distance]
        apart = (apart.max("matrix") if "matrix" in apart.dims else apart).expand_dims(share=[share], axis=-1)
        for start, steps in row.items():
            gaps = benefit.medians(chosen, "unseen", start, steps)
            known = apart.where(gaps.notnull())
            axes.plot(_shown(known), _shown(gaps), color=colour, marker=marker, **{**LOOKS[start], **DRAW})
            middle = (_shown(benefit.Spread.of(each).middle) for each in (known, gaps))
            axes.plot(*middle, color=colour, marker=marker, markersize=5.0, **LOOKS[start])


def _shown(values: xr.DataArray) -> FloatArray:
    """Values in a row, without those that a logarithmic axis cannot show."""
    found = values.values.ravel()
    return np.where(np.isfinite(found) & (found > 0), found, np.nan)

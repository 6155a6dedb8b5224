"""Learning curves of an experiment: Figure 1 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves, layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.style import line_key, new_figure
from metalqr.reporting.labels import case_labels

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.figure import FigureBase

    from metalqr.config.experiments import Experiment

#: Columns of a legend, at most, and points of a line of it.
MOST, LABEL_WIDTH = 3, 200.0
#: Inches of a row of panels, and of the title.
PANEL_HEIGHT, TITLE_HEIGHT = 2.5, 0.3


@figures.register("learning_curves")
class LearningCurves(Figure):
    """Learning curves, as in Figure 1 of the paper: the average cost difference ratio, one curve per case.

    The ratio is ``Σ(J_i(K_n) - J_i*) / ΣJ_i*`` with exact costs. Lines are medians over the seeds, bands the range. A
    thin dashed line, which the paper does not show, is the best single gain found (for d = k = 1 it is proved to
    have the lowest mean cost). The left panel has the paper's axes, the right one a logarithmic axis, on which the
    dashed lines can be told apart. A run that met its tolerance keeps its last value. A run that diverged counts as
    infinite in the median, leaves the band, and is marked by a cross at its last stabilising gain, at most at the top
    edge.

    A case whose optima cost nothing has no ratio: its label says that ``Σ(J_i(K_n) - J_i*)`` itself is shown.
    """

    see = (
        "How fast a curve falls, and how far above its dashed line it stays: that distance is the noise of the "
        "estimates, which more iterations do not remove."
    )
    file = "{name}"
    shows_predictions = True

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment without an axis."""
        return not experiment.axes

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The seeds and the settings of every case."""
        return captions.experiment_lines(config, names[0])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One experiment; the left axis is the paper's, 0 to 1.2, and longer when a run needs it.

        The second panel has a logarithmic axis, on which the floors can be told apart. More than six cases have several
        rows, with a legend each.
        """
        (dataset,) = datasets.values()
        cases = summaries.cases(dataset, axes=0)
        everything = list(cases.values())
        groups, keys = layout.groups(cases), curves.curve_keys(everything)
        words = {name: layout.wrapped(label, LABEL_WIDTH, layout.LEGEND) for name, label in case_labels(cases).items()}
        top = max(map(curves.ratio_top, everything))
        figure, parts = _parts([[words[name] for name in group] for group in groups])
        for part, group in zip(parts, groups, strict=True):
            left, right = layout.panels(part, 2, 2)
            for axes in (left, right):
                lines = curves.draw_panel(axes, [(words[name], cases[name]) for name in group], top, floors=True)
                axes.set_xlim(curves.iteration_limits(everything))
            curves.make_logarithmic(right, everything, top)
            left.set_ylabel(curves.ratio_label(everything), fontsize=curves.RATIO_SIZE)
            layout.legend_below(part, [*lines, *keys] if len(groups) == 1 else lines, layout.MAX_WIDTH, MOST)
        quantity = "gap" if all(map(summaries.is_gap, everything)) else "ratio"
        title = f"Learning curve for the average cost difference {quantity}"
        if all(map(summaries.is_measured, everything)):
            title = "Learning curve for the measured cost, relative to that of the initial gain"
        figure.suptitle(title)
        if len(groups) > 1:
            layout.legend_below(figure, keys, layout.MAX_WIDTH, most=len(keys))
        return figure


def _parts(labels: Sequence[Sequence[str]]) -> tuple[matplotlib.figure.Figure, Sequence[FigureBase]]:
    """The figure and its rows, each with room for a legend of its labels; a single row is the figure itself."""
    if len(labels) == 1:
        figure = new_figure(layout.MAX_WIDTH, PANEL_HEIGHT + TITLE_HEIGHT)
        return figure, [figure]
    lines = [layout.legend_lines(list(map(line_key, row)), layout.MAX_WIDTH, MOST) for row in labels]
    heights = [PANEL_HEIGHT + layout.LINE * count for count in lines]
    figure = new_figure(layout.MAX_WIDTH, sum(heights) + TITLE_HEIGHT)
    return figure, list(figure.subfigures(len(labels), 1, squeeze=False, height_ratios=heights).ravel())

"""Learning curves of an experiment: Figure 1 of the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves, layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import TITLE_PAD
from metalqr.reporting.figures.style import logarithmic_ticks, new_figure
from metalqr.reporting.labels import case_labels

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.config.experiments import Experiment

#: Cases whose legend has room inside the panel, as that of the paper; with more it stands beside the panel.
MAX_INSIDE = 3
#: Points of a line of a legend.
LABEL_WIDTH = 150.0


@figures.register("learning_curves")
class LearningCurves(Figure):
    """Learning curves, as in Figure 1 of the paper: the average cost difference ratio, one curve per case.

    The ratio is ``Σ(J_i(K_n) - J_i*) / ΣJ_i*`` with exact costs. Lines are medians over the seeds, bands the range. A
    thin dashed line, which the paper does not show, is the best single gain found (for d = k = 1 it is proved to
    have the lowest mean cost). A run that met its tolerance keeps its last value. A run that diverged counts as
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
        """One experiment; the axis is the paper's, 0 to 1.2, and longer when a run needs it.

        Up to three cases have a second panel with a logarithmic axis, on which the floors can be told apart. More than
        six have several panels with the paper's axes.
        """
        (dataset,) = datasets.values()
        cases = summaries.cases(dataset, axes=0)
        groups = layout.groups(cases)
        columns, rows = min(len(groups), 2), math.ceil(len(groups) / 2)
        is_small = len(cases) <= MAX_INSIDE
        size = (9.8, 4.2) if is_small else (layout.MAX_WIDTH if columns > 1 else 7.6, 3.3 * rows + 0.7)
        figure = new_figure(*size)
        top = max(map(curves.ratio_top, cases.values()))
        keys = curves.curve_keys(list(cases.values()))
        labels = {name: layout.wrapped(label, LABEL_WIDTH, 8.0) for name, label in case_labels(cases).items()}
        if is_small:
            *panels, below = layout.panels(figure, 2, 2)
            self._draw_logarithmic(below, cases, top)
        else:
            panels = layout.panels(figure, len(groups), columns)
        for place, (axes, group) in enumerate(zip(panels, groups, strict=True)):
            lines = curves.draw_panel(axes, [(labels[name], case) for name, case in group.items()], top, floors=True)
            axes.set_xlim(curves.iteration_limits(cases.values()))
            if place % columns == 0:
                axes.set_ylabel(curves.ratio_label(cases.values()), fontsize=11)
            if is_small:
                axes.legend(handles=[*lines, *keys], loc="best")
            else:
                axes.legend(handles=lines, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        quantity = "gap" if all(map(summaries.is_gap, cases.values())) else "ratio"
        title = f"Learning curve for the average cost difference {quantity}"
        if all(map(summaries.is_measured, cases.values())):
            title = "Learning curve for the measured cost, relative to that of the initial gain"
        if len(groups) == 1 and not is_small:
            axes.set_title(title, pad=TITLE_PAD)
        else:
            figure.suptitle(title)
        if not is_small:
            layout.legend_below(figure, keys, size[0], most=len(keys))
        return figure

    @staticmethod
    def _draw_logarithmic(axes: Axes, cases: Mapping[str, xr.Dataset], top: float) -> None:
        """The same curves on a logarithmic axis."""
        curves.draw_panel(axes, cases.items(), top, floors=True)
        axes.set_xlim(curves.iteration_limits(cases.values()))
        ratios = np.concatenate([case["ratio"].values.ravel() for case in cases.values()])
        shown = np.append(ratios, [summaries.floor_ratio(case) for case in cases.values()])
        positive = shown[np.isfinite(shown) & (shown > 0.0)]
        lowest = float(positive.min()) if positive.size else 1e-3
        axes.set_yscale("log")
        axes.set_ylim(min(0.7 * lowest, 0.5 * top), 1.2 * top)
        logarithmic_ticks(axes.yaxis)

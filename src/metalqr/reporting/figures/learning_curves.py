"""Learning curves of an experiment: Figure 1 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import TITLE_PAD
from metalqr.reporting.figures.style import new_figure

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr

    from metalqr.config.experiments import Experiment


@figures.register("learning_curves")
class LearningCurves(Figure):
    """Learning curves, as in Figure 1 of the paper: the average cost difference ratio, one curve per case.

    The ratio is ``Σ(J_i(K_n) - J_i*) / ΣJ_i*`` with exact costs. Lines are medians over the seeds, bands the range. A
    thin dashed line, which the paper does not show, is the best single gain: no gain common to all tasks can have a
    smaller ratio. A run that met its tolerance keeps its last value. A run that diverged counts as infinite in the
    median, leaves the band, and is marked by a cross at its last stabilising gain, at most at the top edge.
    """

    file = "{name}"

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment without an axis."""
        return not experiment.axes

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The seeds and the settings of every case."""
        return captions.experiment_lines(config, names[0])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel, of one experiment; the axis is the paper's, 0 to 1.2, and longer when a run needs it."""
        (dataset,) = datasets.values()
        cases = list(summaries.cases(dataset, axes=0).values())
        figure = new_figure(6.4, 4.2)
        axes = figure.add_subplot()
        top = max(map(curves.ratio_top, cases))
        lines = curves.draw_panel(axes, [(curves.dimensions(case), case) for case in cases], top, floors=True)
        axes.set_title("Learning curve for the average cost difference ratio", pad=TITLE_PAD)
        axes.set_ylabel(curves.RATIO_LABEL, fontsize=11)
        axes.legend(handles=[*lines, *curves.curve_keys(cases)], loc="best")
        return figure

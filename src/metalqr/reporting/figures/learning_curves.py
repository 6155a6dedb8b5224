"""Learning curves of an experiment: Figure 1 of the paper."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CASE_COLOURS, CASE_MARKERS, FLOOR, TITLE_PAD
from metalqr.reporting.figures.style import new_figure, round_ticks
from metalqr.reporting.summaries import DatasetError

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from metalqr.config.experiments import Experiment


@figures.register("learning_curves")
class LearningCurves(Figure):
    r"""Figure 1 of the paper: the average cost difference ratio during learning, one curve per case.

    .. math:: \frac{\sum_i (J_i(K_n) - J_i^*)}{\sum_i J_i^*}

    The line is the median over seeds and the band the range (smallest to largest) over the seeds; a dashed line in the
    case's colour is the ratio of the best single gain, which no single gain can pass. A run that met its tolerance
    keeps its last value. A run that diverged counts as infinite in the median from there on, leaves the band, and is
    marked by a cross at its last stabilising gain, or at the top edge where that lies beyond the axis.
    """

    file = "{name}"

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment without an axis."""
        return not experiment.axes

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """What is drawn, and the settings of every case."""
        (name,) = names
        experiment = config["experiments"][name]
        paper = "**Figure 1 of the paper.** " if name == "figure1" else ""
        text = (
            f"{paper}Learning curves of the experiment *{name}*: the average cost difference ratio ``Σ(J_i(K_n) − "
            "J_i*) / ΣJ_i*`` with exact costs, against the iteration n. Lines are medians over the seeds "
            f"{captions.joined(experiment['seeds'])}, bands their range. A thin dashed line is the best single gain: "
            "the floor that no gain common to all tasks can pass, which the paper does not show."
        )
        return text + captions.listed([captions.case_line(config, case) for case in experiment["cases"]])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel, of one experiment.

        The axis is the paper's, 0 to 1.2, and longer when a run that did not diverge needs it. An experiment that lacks
        a variable, or has an axis, is refused with a :class:`metalqr.reporting.summaries.DatasetError`.
        """
        (dataset,) = datasets.values()
        cases = summaries.cases(dataset)
        for name, case in cases.items():
            if swept := summaries.swept_settings(case):
                raise DatasetError(
                    f"learning_curves draws one curve per case, but case {name!r} sweeps {', '.join(swept)}; "
                    "use the figure hyperparameters, or select one value"
                )
        figure = new_figure(6.4, 4.2)
        axes = figure.add_subplot()
        top = max(curves.ratio_top(case) for case in cases.values())
        colours, markers = itertools.cycle(CASE_COLOURS), itertools.cycle(CASE_MARKERS)
        handles: list[Line2D | Patch] = []
        for position, (case, colour, marker) in enumerate(zip(cases.values(), colours, markers, strict=False)):
            line = curves.draw_curve(axes, case, colour, top)
            line.set(marker=marker, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5)
            every = max(1, case.sizes["iteration"] // 8)
            line.set_markevery(((2 * position + 1) * every // 6 % every, every))
            line.set_label(curves.dimensions(case))
            axes.axhline(summaries.floor_ratio(case), color=colour, **FLOOR)
            handles.append(line)
        handles += curves.curve_keys(list(cases.values()))
        axes.set_xlabel("Iterations")
        axes.set_title("Learning curve for the average cost difference ratio", pad=TITLE_PAD)
        axes.set_ylabel(curves.RATIO_LABEL, fontsize=11)
        axes.set(xlim=curves.iteration_limits(cases.values()), ylim=(0.0, top))
        round_ticks(axes.xaxis, whole=True)
        round_ticks(axes.yaxis)
        axes.legend(handles=handles, loc="best")
        return figure

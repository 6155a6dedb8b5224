"""Learning curves of an experiment's variants, such as methods or estimators beside one another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CASE_COLOURS, CASE_MARKERS, FLOOR
from metalqr.reporting.figures.style import new_figure, round_ticks

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from metalqr.config.experiments import Experiment


@figures.register("variants")
class Variants(Figure):
    """The average cost difference ratio during learning: one panel per case, one curve per variant.

    Lines, bands, crosses and the dashed floor are those of the learning curves.
    """

    file = "{name}"

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis."""
        return tuple(experiment.axes) == ("variant",)

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """What is drawn, and what each variant changes."""
        (name,) = names
        experiment = config["experiments"][name]
        text = (
            f"Learning curves of the variants of the experiment *{name}*: the average cost difference ratio against "
            f"the iteration. Lines are medians over the seeds {captions.joined(experiment['seeds'])}, bands their "
            "range. The dashed line is the best single gain."
        )
        lines = [
            ", ".join([variant, *(f"{key} {captions.plain(value)}" for key, value in settings.items())])
            for variant, settings in experiment["variants"].items()
        ]
        return text + captions.listed(lines + [captions.case_line(config, case) for case in experiment["cases"]])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel for each case of one experiment."""
        (dataset,) = datasets.values()
        cases = summaries.cases(dataset)
        figure = new_figure(max(5.4, 3.6 * len(cases)), 3.8)
        panels = figure.subplots(1, len(cases), squeeze=False)[0]
        lines: dict[str, Line2D] = {}
        for axes, case in zip(panels, cases.values(), strict=True):
            lines |= _draw_panel(axes, case)
        panels[0].set_ylabel(curves.RATIO_LABEL, fontsize=11)
        keys = curves.curve_keys(list(cases.values()))
        figure.legend(handles=[*lines.values(), *keys], loc="outside lower center", ncols=4)
        return figure


def _draw_panel(axes: Axes, case: xr.Dataset) -> dict[str, Line2D]:
    """The curves of a case by variant."""
    top, lines = curves.ratio_top(case), {}
    styles = zip(case["variant"].values.tolist(), itertools.cycle(CASE_COLOURS), itertools.cycle(CASE_MARKERS))
    for position, (variant, colour, marker) in enumerate(styles):
        line = curves.draw_curve(axes, case.sel(variant=variant), colour, top)
        line.set(marker=marker, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5, label=str(variant))
        every = max(1, case.sizes["iteration"] // 8)
        line.set_markevery(((2 * position + 1) * every // 6 % every, every))
        lines[str(variant)] = line
    axes.axhline(summaries.floor_ratio(case), color="0.3", **FLOOR)
    axes.set_title(curves.dimensions(case))
    axes.set_xlabel("Iterations")
    axes.set(xlim=curves.iteration_limits([case]), ylim=(0.0, top))
    round_ticks(axes.xaxis, whole=True)
    round_ticks(axes.yaxis)
    return lines

"""Learning curves of an experiment's variants, for example to compare methods or estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import FLOOR
from metalqr.reporting.figures.style import new_figure

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.lines import Line2D

    from metalqr.config.experiments import Experiment


@figures.register("variants")
class Variants(Figure):
    """Learning curves of variants: the average cost difference ratio, one panel per case, one curve per variant.

    Lines are medians over the seeds, bands the range, crosses the last stabilising gains of runs that diverged. The
    dashed line is the best single gain.
    """

    file = "{name}"

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis."""
        return tuple(experiment.axes) == ("variant",)

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The settings that each variant changes, the seeds, and the settings of every case."""
        variants = config["experiments"][names[0]]["variants"].items()
        lines = [
            ", ".join([variant, *(f"{key} {captions.plain(value)}" for key, value in settings.items())])
            for variant, settings in variants
        ]
        return lines + captions.experiment_lines(config, names[0])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel for each case of one experiment."""
        (dataset,) = datasets.values()
        cases = list(summaries.cases(dataset, axes=1).values())
        figure = new_figure(max(5.4, 3.6 * len(cases)), 3.8)
        panels = figure.subplots(1, len(cases), squeeze=False)[0]
        lines: dict[str, Line2D] = {}
        for axes, case in zip(panels, cases, strict=True):
            variants = [(str(name), case.sel(variant=name)) for name in case["variant"].values.tolist()]
            found = curves.draw_panel(axes, variants, curves.ratio_top(case), floors=False)
            lines |= {name: line for (name, _), line in zip(variants, found, strict=True)}
            axes.axhline(summaries.floor_ratio(case), color="0.3", **FLOOR)
            axes.set_title(curves.dimensions(case))
        panels[0].set_ylabel(curves.RATIO_LABEL, fontsize=11)
        figure.legend(handles=[*lines.values(), *curves.curve_keys(cases)], loc="outside lower center", ncols=4)
        return figure

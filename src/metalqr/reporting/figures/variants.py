"""Learning curves of an experiment's variants, for example to compare methods or estimators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import captions, summaries
from metalqr.reporting.figures import curves, layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.style import new_figure
from metalqr.reporting.labels import case_labels, spaced

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.lines import Line2D

    from metalqr.config.experiments import Experiment


@figures.register("variants")
class Variants(Figure):
    """Learning curves of variants: the average cost difference ratio, one panel per case, one curve per variant.

    Lines are medians over the seeds, bands the range, crosses the last stabilising gains of runs that diverged. The
    dashed line is the best single gain, unless it is so far below all curves that the logarithmic axis would hide them.
    """

    see = "Which variant comes nearest to the dashed line, and how far apart its seeds are."
    file = "{name}"
    shows_predictions = True

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis."""
        return tuple(experiment.axes) == ("variant",)

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The settings that each variant changes, the seeds, and the settings of every case."""
        variants = config["experiments"][names[0]]["variants"].items()
        lines = [captions.variant_line(variant, settings) for variant, settings in variants]
        return lines + captions.experiment_lines(config, names[0])

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel for each case of one experiment."""
        (dataset,) = datasets.values()
        cases = summaries.cases(dataset, axes=1)
        everything = list(cases.values())
        columns = layout.columns_of(len(cases))
        width = layout.width_of(columns)
        figure = new_figure(width, 2.3 * math.ceil(len(cases) / columns) + 0.3)
        labels = case_labels(cases)
        lines: dict[str, Line2D] = {}
        panels = layout.panels(figure, len(cases), columns)
        for place, (axes, (name, case)) in enumerate(zip(panels, cases.items(), strict=True)):
            variants = [(spaced(variant), case.sel(variant=variant)) for variant in case["variant"].values.tolist()]
            found = curves.draw_panel(axes, variants, curves.ratio_top(case), floors=False)
            lines |= {variant: line for (variant, _), line in zip(variants, found, strict=True)}
            curves.draw_floor(axes, summaries.floor_ratio(case), "0.3")
            curves.make_logarithmic(axes, [case], curves.ratio_top(case))
            axes.set_title(layout.wrapped(labels[name], layout.title_width(columns), layout.TITLE))
            if place % columns == 0:
                axes.set_ylabel(curves.ratio_label(everything), fontsize=curves.RATIO_SIZE)
        keys = [*lines.values(), *curves.curve_keys(everything)]
        layout.legend_below(figure, keys, width, most=5)
        return figure

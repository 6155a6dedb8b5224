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
from metalqr.reporting.labels import case_labels

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
        columns, rows = min(len(cases), 4), math.ceil(len(cases) / 4)
        width = min(layout.MAX_WIDTH, max(5.4, 3.6 * columns))
        figure = new_figure(width, 3.8 if rows == 1 else 2.8 * rows + 0.7)
        labels = case_labels(cases)
        lines: dict[str, Line2D] = {}
        panels = layout.panels(figure, len(cases), columns)
        for place, (axes, (name, case)) in enumerate(zip(panels, cases.items(), strict=True)):
            variants = [(str(variant), case.sel(variant=variant)) for variant in case["variant"].values.tolist()]
            found = curves.draw_panel(axes, variants, curves.ratio_top(case), floors=False)
            lines |= {variant: line for (variant, _), line in zip(variants, found, strict=True)}
            curves.draw_floor(axes, summaries.floor_ratio(case), "0.3")
            axes.set_title(layout.wrapped(labels[name], 72.0 * (width - 0.9) / columns - 32.0, 10.0))
            if place % columns == 0:
                axes.set_ylabel(curves.ratio_label(cases.values()), fontsize=11)
        keys = [*lines.values(), *curves.curve_keys(list(cases.values()))]
        layout.legend_below(figure, keys, width, most=4)
        return figure

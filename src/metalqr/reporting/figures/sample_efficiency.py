"""Sample efficiency of an experiment's variants: the ratio against all steps that were simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import sample_efficiency, summaries
from metalqr.reporting.figures import curves, layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, CASE_MARK, CROSS, REFERENCE, with_styles
from metalqr.reporting.figures.style import line_key, logarithmic_ticks, new_figure
from metalqr.reporting.labels import case_labels, spaced

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from metalqr.config.experiments import Experiment


@figures.register("sample_efficiency")
class SampleEfficiency(Figure):
    """Sample efficiency: the average cost difference ratio against rollout steps, a panel per case, curve per variant.

    Both axes are logarithmic. Steps are all that a run simulated, of all tasks, outer and inner; those of tuning are in
    the table of this name alone. Lines are medians over the seeds, bands the range, crosses the last stabilising gains
    of runs that diverged. The dashed line is the best single gain found. The dotted
    line is the median final ratio of the first variant that is not tuned, the reference of the table.
    """

    see = (
        "Curves further to the left need fewer simulated steps for the same ratio; a distance of one decade is a "
        "factor of ten."
    )
    shows_predictions = True

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis, of which one is tuned."""
        return sample_efficiency.takes(experiment)

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The settings of each variant, what its estimators need, the seeds, and the settings of every case."""
        return sample_efficiency.details(config, names)

    def draw(self, datasets: Mapping[str, xr.DataTree]) -> matplotlib.figure.Figure:
        """One panel for each case of each experiment."""
        found = [(name, summaries.cases(tree, axes=1)) for name, tree in datasets.items()]
        names = dict.fromkeys(
            str(each) for _, cases in found for case in cases.values() for each in case["variant"].values
        )
        styles = {name: (colour, marker) for name, colour, marker in with_styles(names)}
        count = sum(len(cases) for _, cases in found)
        columns = layout.columns_of(count)
        width = layout.width_of(columns)
        figure = new_figure(width, 2.3 * math.ceil(count / columns) + 0.3)
        panels = iter(layout.panels(figure, count, columns))
        lines: dict[str, Line2D] = {}
        everything = []
        for place, (experiment, cases) in enumerate(found):
            labels = case_labels(cases)
            for number, (name, case) in enumerate(cases.items()):
                axes = next(panels)
                for variant in map(str, case["variant"].values):
                    line = _draw_curve(axes, case.sel(variant=variant), *styles[variant])
                    line.set_label(spaced(variant))
                    lines.setdefault(variant, line)
                curves.draw_floor(axes, summaries.floor_ratio(case), "0.3")
                axes.axhline(sample_efficiency.reference_ratio(case), **REFERENCE)
                title = f"{experiment}, {labels[name]}" if len(found) > 1 else labels[name]
                logarithmic_ticks(axes.yaxis)
                logarithmic_ticks(axes.xaxis, most=5)
                axes.set_title(layout.wrapped(title, layout.title_width(columns), layout.TITLE))
                axes.set_xlabel("rollout steps")
                if (place + number) % columns == 0:
                    axes.set_ylabel(curves.ratio_label(cases.values()), fontsize=curves.RATIO_SIZE)
                everything.append(case)
        reference = line_key(f"final ratio of {spaced(sample_efficiency.reference(everything[0]))}", **REFERENCE)
        keys = [*lines.values(), *curves.curve_keys(everything), reference]
        layout.legend_below(figure, keys, width, most=5)
        return figure


def _draw_curve(axes: Axes, case: xr.Dataset, colour: str, marker: str) -> Line2D:
    """Draw one variant of one case from its first step on, where the ratio is positive; the median's line."""
    ratio = summaries.continued_ratio(case).isel(iteration=slice(1, None))
    shown = ratio.where(np.isfinite(ratio) & (ratio > 0))
    steps = case["rollout_steps"].isel(iteration=slice(1, None)).max("seed").values
    if case.sizes["seed"] > 1:
        axes.fill_between(steps, shown.min("seed").values, shown.max("seed").values, color=colour, **BAND)
    median = ratio.median("seed", skipna=False)
    median = median.where(np.isfinite(median) & (median > 0))
    ends = np.flatnonzero(np.isfinite(median.values))
    # Markers at places that are even on the logarithmic axis.
    places = np.unique(np.geomspace(1, max(ends[-1] + 1 if len(ends) else 1, 1), 6).astype(int) - 1)
    (line,) = axes.plot(steps, median.values, color=colour, marker=marker, markevery=places.tolist(), **CASE_MARK)
    predicted = case.isel(iteration=slice(1, None))
    curves.draw_predicted(axes, predicted, steps, colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ended = summaries.diverged(case).values
    if ended.any():
        last = summaries.last_iteration(case)
        place = case["rollout_steps"].sel(iteration=last).values[ended]
        height = summaries.last_ratio(case).values[ended]
        axes.plot(
            np.maximum(place, np.nanmin(steps)), height, color=colour, linestyle="none", zorder=5, label="_diverged",
            **CROSS,
        )  # fmt: skip
    return line

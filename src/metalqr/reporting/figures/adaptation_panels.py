"""Panels of adaptation: a column for each case, a row for each quantity, a line for each starting gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from metalqr.config.evaluation import EXACT
from metalqr.reporting import adaptation
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CASE_MARK, with_styles
from metalqr.reporting.figures.style import line_key, logarithmic_ticks, new_figure, round_ticks
from metalqr.reporting.labels import spaced, titled

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.lqr import FloatArray

#: Looks of what trained gains are compared with; black and grey, so that they differ from these.
COMPARATORS: dict[str, dict[str, Any]] = {
    "initial_gain": {"color": "0.45", "linestyle": ":", "linewidth": 1.6},
    "best_single_gain": {"color": "black", "linestyle": (0, (5, 2)), "linewidth": 1.3},
    "meta_optimum": {"color": "black", "linestyle": "-", "linewidth": 1.3},
    "certainty_equivalence": {"color": "0.45", "linestyle": (0, (4, 1.5, 1, 1.5)), "linewidth": 1.3},
}
QUANTILE: dict[str, Any] = {"linestyle": (0, (2, 2)), "linewidth": 0.7}
#: Steps from which on an axis counts thousands.
MANY_STEPS = 1e5
#: The smallest gap that is shown: what is below is rounding.
MIN_GAP = 1e-12


class Row(NamedTuple):
    """A row of panels: ``gap`` or ``regret``, or the share of gains that are ``unstable``."""

    quantity: str
    label: str
    is_exact: bool = False
    height: float = 1.0


class AdaptationFigure(Figure):
    """Base of the figures of adaptation: rows of panels, a column for each case."""

    reads = "evaluation"
    category = "Adaptation"
    rows: ClassVar[tuple[Row, ...]]

    def details(self, config: Mapping[str, object], names: Sequence[str]) -> list[str]:
        """The rules of the evaluation, and the experiments."""
        return adaptation.details(config, names)

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Draw a panel of each row for each case."""
        return _panels(datasets, self.rows)


def _panels(datasets: Mapping[str, xr.Dataset], rows: Sequence[Row]) -> matplotlib.figure.Figure:
    """Draw the rows for each case; with more cases than columns, one block under the other."""
    count = len(datasets)
    columns = layout.columns_of(count)
    blocks = math.ceil(count / columns)
    styles = _styles(datasets.values())
    width = layout.width_of(columns)
    height = sum(row.height for row in rows) * 2.0 * blocks + 0.3 * blocks + 0.2
    figure = new_figure(width, height)
    grid = figure.add_gridspec(len(rows) * blocks, columns, height_ratios=[row.height for row in rows] * blocks)
    names = list(datasets)
    for place, (name, dataset) in enumerate(datasets.items()):
        block, column = divmod(place, columns)
        for number, row in enumerate(rows):
            axes = figure.add_subplot(grid[block * len(rows) + number, column])
            _draw(axes, dataset, row, styles)
            if number + 1 < len(rows) and row.is_exact == rows[number + 1].is_exact:
                axes.set_xlabel("")  # that of the panel below
            if column == 0:
                axes.set_ylabel(row.label)
            if number == 0:
                words = titled(adaptation.title(name, names), dataset)
                axes.set_title(layout.wrapped(words, layout.title_width(columns), layout.TITLE))
    keys = [line_key(spaced(label), **style) for label, style in styles.items()]
    if any(row.quantity == "gap" for row in rows):
        keys.append(line_key("90 % quantile", color="0.3", **QUANTILE))
    layout.legend_below(figure, keys, width, most=5)
    return figure


def _styles(datasets: Any) -> dict[str, dict[str, Any]]:
    """The look of each starting gain by its name: trained ones first."""
    kinds = {
        str(name): str(kind)
        for dataset in datasets
        for name, kind in zip(dataset["start"].values, dataset["kind"].values, strict=True)
    }
    trained = [name for name, kind in kinds.items() if kind not in COMPARATORS]
    found = {name: {"color": colour, "marker": marker, **CASE_MARK} for name, colour, marker in with_styles(trained)}
    return found | {name: COMPARATORS[kinds[name]] for name in kinds if name not in found}


def _draw(axes: Axes, dataset: xr.Dataset, row: Row, styles: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib.ticker import EngFormatter

    estimator = EXACT if row.is_exact else adaptation.stated_estimator(dataset)
    chosen = dataset.sel(estimator=estimator, rate="tuned")
    steps = chosen["step"].values if row.is_exact else chosen["rollout_steps"].values
    scale = 1 if row.is_exact or row.quantity != "regret" else int(chosen["rollouts"])
    variable = "regret" if row.quantity == "regret" else "gap"
    for name in map(str, dataset["start"].values):
        found = adaptation.Summary.of(chosen[variable].sel(start=name))
        if found is None:
            continue
        if row.quantity == "unstable":
            axes.plot(steps, 100.0 * found.unstable, **styles[name])
            continue
        axes.plot(steps, _shown(scale * found.median), **styles[name])
        if row.quantity == "gap":
            axes.plot(steps, _shown(found.quantile), color=styles[name]["color"], **QUANTILE)
    if row.quantity == "unstable":
        axes.set_ylim(-4.0, 104.0)
        axes.set_yticks([0, 50, 100], ["0", "50", "100 %"])
    else:
        axes.set_yscale("log")
        logarithmic_ticks(axes.yaxis)
    round_ticks(axes.xaxis, most=5, whole=True)
    if steps.max() >= MANY_STEPS:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 500k, 1M
    rollouts = int(chosen["rollouts"])
    axes.set_xlabel(
        "steps" if row.is_exact else f"rollout steps on a task\n({spaced(estimator)}, {rollouts} rollouts a step)"
    )


def _shown(values: FloatArray) -> FloatArray:
    """Values without those that a logarithmic axis cannot show."""
    return np.where(np.isfinite(values) & (values > MIN_GAP), values, np.nan)

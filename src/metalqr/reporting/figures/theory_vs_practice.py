"""Requirements of Theorems 1 and 2 beside the settings of a run, as orders of magnitude."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BLUE, GREEN, RED
from metalqr.reporting.figures.style import line_key, new_figure
from metalqr.reporting.labels import declared

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

#: Rows of the figure, top first.
SETTINGS = (
    "adaptation_rate",
    "learning_rate",
    "smoothing_radius",
    "task_batch",
    "iterations",
    "perturbations",
    "rollout_length",
)
FORM_STYLES: dict[str, dict[str, Any]] = {
    "printed": {"marker": "o", "markerfacecolor": "white", "color": RED},
    "corrected": {"marker": "D", "color": BLUE},
}
CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
CERTIFIED_STYLE: dict[str, Any] = {"marker": "^", "color": GREEN}
USED_STYLE: dict[str, Any] = {"marker": "s", "color": "black"}
#: Distance of the marks from the middle of their row.
OFFSETS = {"printed": 0.15, "corrected": -0.15, "certified": -0.36}


@figures.register("theory_vs_practice")
class TheoryVsPractice(Figure):
    """The settings that Theorems 1 and 2 require, next to those of the runs, as powers of ten.

    A panel for each case, a row for each setting. A square is the value of the case; a circle and a diamond are the
    values that the theorems require, as printed and as corrected. The number beside them is the power of ten between
    the two. A triangle is the largest value that is certified at K_0, with the model: a learning rate, and a norm below
    which no perturbation destabilises. Printed, the theorem is about the gap, corrected about the norm of the
    meta-gradient. Where neither form has any, the panel says so, and so does a row that does not apply; the table of
    this name has the reasons.
    """

    see = (
        "The distance from a square to the other marks: how many powers of ten the theorems ask for beyond what "
        "the runs use."
    )
    reads = "theory"
    category = "Theory"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The target, and the settings of the cases."""
        return [captions.target(config), *(captions.case_line(config, case) for case in names)]

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """A panel for each case, from files of the stage ``theory``."""
        columns = layout.columns_of(len(datasets))
        width = layout.MAX_WIDTH if columns > 1 else 5.0  # beside the names of the settings
        figure = new_figure(width, 2.9 * math.ceil(len(datasets) / columns) + 0.1)
        panels = layout.panels(figure, len(datasets), columns, sharey=True)
        for panel, (name, case) in zip(panels, datasets.items(), strict=True):
            _draw_case(panel, case)
            panel.set_title(layout.wrapped(name, 72.0 * (width - 1.8) / columns - 14.0, layout.TITLE))
            panel.set_xlabel("power of ten")
        panels[0].set_yticks(range(len(SETTINGS)), [declared(name).axis_label for name in reversed(SETTINGS)])
        keys = [line_key("used by the runs", linestyle="none", markersize=5, **USED_STYLE)]
        for form, style in FORM_STYLES.items():
            keys.append(line_key(f"theorems as {form}", linestyle="none", markersize=4.5, **style))
        keys.append(line_key("certified at the initial gain", linestyle="none", markersize=4.5, **CERTIFIED_STYLE))
        layout.legend_below(figure, keys, width, most=4)
        return figure


def _draw_case(panel: Axes, case: xr.Dataset) -> None:
    panel.axvline(0.0, color="0.8", linewidth=0.8)
    for row, setting in enumerate(reversed(SETTINGS)):
        used = _power(case["used"].sel(setting=setting))
        if np.isnan(used):
            panel.text(
                0.5, row, "not applicable", transform=panel.get_yaxis_transform(), fontsize=layout.SMALL, **CENTRED
            )
            continue
        panel.plot([used], [row], linestyle="none", markersize=5, zorder=3, **USED_STYLE)
        for form, style in FORM_STYLES.items():
            required, place = _power(case["required"].sel(setting=setting, form=form)), row + OFFSETS[form]
            if not np.isfinite(required):
                continue
            panel.plot([used, required], [place, place], color=style["color"], linewidth=0.8, alpha=0.6)
            panel.plot([required], [place], linestyle="none", markersize=4.5, **style)
            aside, side = (-5, "right") if required < used else (5, "left")
            words: dict[str, Any] = {
                "textcoords": "offset points",
                "va": "center",
                "ha": side,
                "fontsize": layout.SMALL,
            }
            number = f"{abs(required - used):.0f}"
            panel.annotate(number, (required, place), (aside, 0), color=style["color"], **words)
        certified = _power(case["certified"].sel(setting=setting))
        if np.isfinite(certified):
            panel.plot([certified], [row + OFFSETS["certified"]], linestyle="none", markersize=4.5, **CERTIFIED_STYLE)
    if not np.isfinite(case["required"]).any():
        none = "no requirements:\nsee the remarks\nof the table"
        panel.text(0.97, 0.97, none, transform=panel.transAxes, ha="right", va="top", fontsize=layout.SMALL)
    panel.margins(x=0.14)
    panel.set_ylim(-0.7, len(SETTINGS) - 0.4)
    panel.grid(axis="y", visible=False)


def _power(value: xr.DataArray) -> float:
    """Power of ten; minus infinity for zero, which an adaptation rate may be."""
    with np.errstate(divide="ignore"):
        return float(np.log10(value))

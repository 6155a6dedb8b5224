"""Certificates along the runs: step sizes, and the size of the perturbations that certainly do not destabilise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BLUE, GREEN, ORANGE, RED
from metalqr.reporting.figures.style import line_key, logarithmic_ticks, new_figure, round_ticks
from metalqr.reporting.labels import case_labels

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

CERTIFIED: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 2.0}
HESSIAN: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (4, 2))}
USED: dict[str, Any] = {"color": "black", "linewidth": 1.0}
RADII: dict[str, Any] = {"color": GREEN, "linewidth": 0.9, "alpha": 0.8}


@figures.register("certificates")
class Certificates(Figure):
    """Certificates along the runs: learning rates that certainly decrease L, and perturbations that cannot destabilise.

    Above, over the iterations of the first run: the largest learning rate with which an exact gradient step is
    certified to decrease the meta-objective, the inverse of the largest eigenvalue of its exact Hessian, and the
    learning rate that the run used. The largest one of Theorem 1 as corrected is far below the axis, and written there.
    Below: the stability radius of the worst task for every run, that is the norm which a perturbation of K_n needs to
    destabilise a task, and the norm r of the perturbations. Where a curve is above r, every perturbation leaves every
    task stable, not only those that were drawn.
    """

    see = (
        "Where the stability radius is above the line of r, every perturbation is safe; how far the certified "
        "rates are below the rate of the run."
    )
    reads = "certificates"
    category = "Theory"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The distance of the gains, and the settings of the cases."""
        every = config["theory"]["certificates"]["every"]
        return [f"every {every} iterations", *(captions.case_line(config, case) for case in names)]

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Two panels for each case, one under the other, from files of the stage ``certificates``."""
        count = len(datasets)
        columns = layout.columns_of(count)
        width = layout.width_of(columns)
        figure = new_figure(width, 3.7 * math.ceil(count / columns) + 0.1)
        panels = layout.panel_pairs(figure, count, columns, height_ratios=(1.4, 1.0))
        labels = case_labels(datasets)
        for place, ((name, case), (steps, radii)) in enumerate(zip(datasets.items(), panels, strict=True)):
            _draw_steps(steps, case)
            _draw_radii(radii, case)
            steps.set_title(layout.wrapped(labels[name], layout.title_width(columns), layout.TITLE))
            radii.set_xlabel("iterations")
            if place % columns == 0:
                steps.set_ylabel("learning rate")
                radii.set_ylabel("norm of a perturbation")
        layout.legend_below(figure, _keys(), width, most=2)
        return figure


def _draw_steps(panel: Axes, case: xr.Dataset) -> None:
    iterations, first = case["iteration"].values, case.isel(seed=0)
    rate = float(json.loads(case.attrs["settings"])["learning_rate"])
    certified, hessian = first["certified_step"].values, first["hessian_step"].values
    panel.plot(iterations, np.where(certified > 0, certified, np.nan), **CERTIFIED)
    panel.plot(iterations, np.where(np.isfinite(hessian), hessian, np.nan), **HESSIAN)
    panel.axhline(rate, **USED)
    theorem = float(case["theorem_step"].sel(form="corrected"))
    shown = np.concatenate([[rate], certified[certified > 0], hessian[np.isfinite(hessian)]])
    panel.set_yscale("log")
    lowest = shown.min() / 4.0
    panel.set_ylim(lowest, shown.max() * 2.0)
    if np.isfinite(theorem):
        words = f"{'↓ ' if theorem < lowest else ''}Theorem 1, corrected: {theorem:.1e}"
        panel.text(
            0.98, 0.03, words, transform=panel.transAxes, ha="right", va="bottom", fontsize=layout.SMALL, color=RED
        )
    logarithmic_ticks(panel.yaxis, most=7)
    round_ticks(panel.xaxis, most=5, whole=True)
    panel.margins(x=0.02)


def _draw_radii(panel: Axes, case: xr.Dataset) -> None:
    radius = float(json.loads(case.attrs["settings"])["smoothing_radius"])
    for seed in range(case.sizes["seed"]):
        worst = case["stability_radius"].isel(seed=seed).min("task", skipna=False).values
        panel.plot(case["iteration"], np.where(np.isfinite(worst) & (worst > 0), worst, np.nan), **RADII)
    panel.axhline(radius, **USED)
    panel.set_yscale("log")
    logarithmic_ticks(panel.yaxis, most=6)
    round_ticks(panel.xaxis, most=5, whole=True)
    panel.margins(x=0.02)


def _keys() -> list[Line2D]:
    return [
        line_key("certified", **CERTIFIED),
        line_key("inverse of the exact Hessian", **HESSIAN),
        line_key("used by the run: learning rate, radius", **USED),
        line_key("stability radius, a line for each run", **RADII),
    ]

"""What Theorems 1 and 2 ask for, beside what a run uses, as orders of magnitude."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from metalqr.figures.style import settle, styled
from metalqr.summaries import DatasetError

#: Rows of the figure, top first, with their labels.
SETTING_LABELS = {
    "adaptation_rate": r"adaptation rate $\eta$",
    "learning_rate": r"learning rate $\alpha$",
    "smoothing_radius": r"smoothing radius $r$",
    "task_batch": r"task batch $|\mathcal{T}_n|$",
    "iterations": r"iterations $N$",
    "perturbations": r"perturbations $M$",
    "rollout_length": r"roll-out length $\ell$",
}
FORM_STYLES: dict[str, dict[str, Any]] = {
    "printed": {"marker": "o", "markerfacecolor": "white", "color": "tab:red"},
    "corrected": {"marker": "D", "color": "tab:blue"},
}
USED_STYLE: dict[str, Any] = {"marker": "s", "color": "black"}
#: Distance of the two forms from the middle of their row.
OFFSETS = {"printed": 0.15, "corrected": -0.15}


def theory_vs_practice(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Orders of magnitude between the conditions of Theorems 1 and 2 and the settings of a run.

    A panel for each case, a row for each setting. A square is what the case uses; a circle and a diamond are what the
    theorems ask for, as printed and as corrected, to come within the target with the wanted probability. The number
    beside them is the power of ten between the two.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        By case, as :func:`metalqr.storage.load_theory` reads them.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    metalqr.summaries.DatasetError
        If there is no case.
    """
    if not datasets:
        raise DatasetError("there is no case; build the theory of at least one")
    with styled():
        figure = Figure(figsize=(3.1 * len(datasets) + 1.5, 3.6), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(datasets), sharey=True))
        for panel, (name, case) in zip(panels, datasets.items(), strict=True):
            _draw_case(panel, case)
            panel.set_title(name)
            panel.set_xlabel("power of ten")
        panels[0].set_yticks(range(len(SETTING_LABELS)), list(SETTING_LABELS.values())[::-1])
        figure.legend(handles=_legend(), loc="outside lower center", ncols=3, frameon=False)
        settle(figure)
    return figure


def _draw_case(panel: Axes, case: xr.Dataset) -> None:
    panel.axvline(0.0, color="0.8", linewidth=0.8)
    for row, setting in enumerate(reversed(SETTING_LABELS)):
        used = _power(case["used"].sel(setting=setting))
        panel.plot([used], [row], linestyle="none", markersize=5, zorder=3, **USED_STYLE)
        for form, style in FORM_STYLES.items():
            asked, place = _power(case["required"].sel(setting=setting, form=form)), row + OFFSETS[form]
            if not np.isfinite(asked):
                continue
            panel.plot([used, asked], [place, place], color=style["color"], linewidth=0.8, alpha=0.6)
            panel.plot([asked], [place], linestyle="none", markersize=4.5, **style)
            left = asked < used
            panel.annotate(
                f"{abs(asked - used):.0f}",
                (asked, place),
                xytext=(-5 if left else 5, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=6.5,
                color=style["color"],
            )
    panel.margins(x=0.14)
    panel.set_ylim(-0.6, len(SETTING_LABELS) - 0.4)
    panel.grid(axis="y", visible=False)


def _power(value: xr.DataArray) -> float:
    """Power of ten; minus infinity for zero, which an adaptation rate may be."""
    with np.errstate(divide="ignore"):
        return float(np.log10(value))


def _legend() -> list[Line2D]:
    handles = [Line2D([], [], linestyle="none", markersize=5, label="used by the runs", **USED_STYLE)]
    for form, style in FORM_STYLES.items():
        handles.append(Line2D([], [], linestyle="none", markersize=4.5, label=f"theorems as {form}", **style))
    return handles

"""The benchmark figure: the time of a step against the work, and the speed-up over threads."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from metalqr.reporting.figures.palette import CASE_COLOURS, CASE_MARKERS, with_styles
from metalqr.reporting.figures.style import settle, styled

#: Panels by the axis of a sweep.
TITLES = {
    "state_dim": "State dimension d, k = ⌈d/2⌉",
    "perturbations": "Perturbations M",
    "rollout_length": "Rollout length ℓ",
}


def kernel(sweeps: pd.DataFrame, scaling: pd.DataFrame) -> Figure:
    """Time of a step against each swept size, and the speed-up over threads.

    ``sweeps`` has the columns ``axis``, ``value``, ``contestant``, ``nanoseconds`` and ``limit``, ``scaling`` the
    columns ``case``, ``threads`` and ``speed_up``.
    """
    with styled():
        figure = Figure(figsize=(7.4, 5.8), layout="constrained")
        panels = figure.subplots(2, 2)
        looks = {name: look for name, *look in with_styles(sweeps["contestant"].unique())}
        lowest, highest = min(sweeps["limit"].min(), sweeps["nanoseconds"].min()), sweeps["nanoseconds"].max()
        for axes, (axis, title) in zip(panels.flat, TITLES.items(), strict=False):
            _sweep(axes, sweeps[sweeps["axis"] == axis], looks)
            axes.set(title=title, ylabel="ns a rollout step, all cores", ylim=(lowest / 1.6, highest * 1.6))
        figure.legend(handles=panels.flat[0].lines, loc="outside lower center", ncols=len(looks) + 1)
        _scaling(panels.flat[3], scaling)
        settle(figure)
    return figure


def _sweep(axes: Axes, sweep: pd.DataFrame, looks: Mapping[str, list[str]]) -> None:
    for contestant, points in sweep.groupby("contestant", sort=False):
        colour, marker = looks[str(contestant)]
        axes.plot(points["value"], points["nanoseconds"], color=colour, marker=marker, markersize=4.5, label=contestant)
    limit = sweep.drop_duplicates("value")
    axes.plot(limit["value"], limit["limit"], color="0.4", linestyle=":", label="arithmetic limit")
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(limit["value"], [str(value) for value in limit["value"]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _scaling(axes: Axes, scaling: pd.DataFrame) -> None:
    most = scaling["threads"].max()
    axes.plot([1, most], [1, most], color="0.4", linestyle=":", label="proportional")
    groups = scaling.groupby("case", sort=False)
    for (case, points), colour, marker in zip(groups, CASE_COLOURS[::-1], CASE_MARKERS, strict=False):
        axes.plot(points["threads"], points["speed_up"], color=colour, marker=marker, markersize=4.5, label=case)
    axes.set(title="Threads", ylabel="speed-up of metalqr", xlim=(0.9, most + 0.1), ylim=(0.0, None))
    axes.set_xticks(scaling["threads"].unique())
    axes.legend(loc="lower right", title="(d, k)")

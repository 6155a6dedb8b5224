"""The exact first-order methods: gaps to the optimum, with the slopes that are predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from metalqr.config.registries import figures
from metalqr.reporting import captions
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BLUE, CASE_MARK, GREEN, ORANGE, PURPLE
from metalqr.reporting.figures.style import line_key, logarithmic, new_figure, round_ticks
from metalqr.reporting.labels import case_labels

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from metalqr.lqr import FloatArray


class _Method(NamedTuple):
    """The name and the look of a method; ``key`` is its name in a file, None for the descent on the meta-objective."""

    key: str | None
    label: str
    colour: str
    marker: str

    def look(self, iterations: int) -> dict[str, Any]:
        """The line of the median task, with a few markers."""
        return {**MEDIAN, **CASE_MARK, "marker": self.marker, "markevery": max(1, iterations // 6)}


METHODS = (
    _Method("gradient_descent", "gradient descent", BLUE, "o"),
    _Method("natural_gradient", "natural gradient", ORANGE, "s"),
    _Method("gauss_newton", "Gauss–Newton", GREEN, "^"),
    _Method(None, "MAML gradient descent", PURPLE, "D"),
)
#: The rates of a method that a path needs, by their names in a file.
RATES = ("asymptotic_rate", "guaranteed_rate")
#: Iterations of the lower panels, enough to see the quadratic convergence of Gauss-Newton.
FIRST_ITERATIONS = 12
#: Relative gaps below this are not shown, because they are soon only rounding.
MIN_GAP = 1e-12
#: The median task, of which the table exact_methods has the rates, and the others.
MEDIAN: dict[str, Any] = {"linewidth": 1.4, "zorder": 3}
OTHERS: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.45}
LIMIT: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 3)), "linewidth": 0.8, "zorder": 4}
BOUND: dict[str, Any] = {"linestyle": ":", "linewidth": 1.2}


@figures.register("exact_methods")
class ExactMethods(Figure):
    """The exact first-order methods of Section 3.1 from K_0: gaps to the optimum.

    The methods are gradient descent, natural gradient and Gauss-Newton on each task, and exact gradient
    descent on the meta-objective, the process that Theorem 2 is about. The curves are the gap relative to the first,
    ``(J_i(K_n) - J_i*) / (J_i(K_0) - J_i*)``: all iterations in the larger panel, the first twelve in the smaller one.
    The thick line is the task with the median rate of gradient descent; the table ``exact_methods`` compares measured
    rates with predicted ones. The dotted line is a bound from the first gap on: for natural gradient and Gauss-Newton
    proved beforehand, for gradient descent with the curvature that was measured on the path. The dashed line has the
    slope of the limit and starts where the measurement starts. Gaps below 1e-12 are left out.
    """

    see = "The slope of a line is the rate of its method; dashed slopes and dotted bounds say what theory promises."
    reads = "exact_methods"
    category = "Theory"

    def details(self, config: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """The number of iterations, and the cases."""
        iterations = config["theory"]["exact_methods"]["iterations"]
        cases = [captions.case_line(config, case, ("adaptation_rate",)) for case in names]
        return [f"{iterations} iterations each", *cases]

    def draw(self, datasets: Mapping[str, xr.Dataset]) -> matplotlib.figure.Figure:
        """Two panels for each case, one under the other, in blocks of three."""
        count = len(datasets)
        columns = layout.columns_of(count)
        blocks = math.ceil(count / columns)
        width = layout.width_of(columns)
        figure = new_figure(width, (4.0 if blocks == 1 else 3.1) * blocks + 0.2)
        panels = layout.panel_pairs(figure, count, columns, height_ratios=(2.4, 1.7))
        labels = case_labels(datasets)
        for place, ((name, case), (whole, first)) in enumerate(zip(datasets.items(), panels, strict=True)):
            paths = [_Path.of(case, method) for method in METHODS]
            _draw(whole, paths, case.sizes["iteration"] - 1, lowest=_lowest(paths))
            _draw(first, paths, min(FIRST_ITERATIONS, case.sizes["iteration"] - 1), lowest=MIN_GAP)
            whole.set_title(layout.wrapped(labels[name], layout.title_width(columns), layout.TITLE))
            first.set_xlabel("iterations")
            for axes in (whole, first):
                round_ticks(axes.xaxis, most=6, whole=True)
                if place % columns == 0:
                    axes.set_ylabel("relative gap")
        layout.legend_below(figure, _keys(), width, most=4)
        return figure


class _Path(NamedTuple):
    """Relative gaps (task, iteration) of a method in a case, and the rates of the median task."""

    method: _Method
    gaps: FloatArray
    median: int
    rates: dict[str, float]

    @classmethod
    def of(cls, case: xr.Dataset, method: _Method) -> _Path:
        if method.key is None:
            gaps, median = case["meta_gap"].values[np.newaxis], 0
            rates = {name: float(case[f"meta_{name}"]) if f"meta_{name}" in case else np.nan for name in RATES}
        else:
            chosen = case.sel(descent=method.key)
            gaps, median = chosen["gap"].values, _median_task(case)
            rates = {name: float(chosen[name][median]) for name in RATES}
        first = gaps[:, :1]
        relative = np.divide(gaps, first, where=first > 0, out=np.full_like(gaps, np.nan))
        return cls(method, np.where(relative > 0, relative, np.nan), median, rates)


def _median_task(case: xr.Dataset) -> int:
    """The task with the median measured rate of gradient descent, of an even number the lower one."""
    rates = case["measured_rate"].sel(descent="gradient_descent").values
    return int(np.argsort(rates)[(np.isfinite(rates).sum() - 1) // 2]) if np.isfinite(rates).any() else 0


def _lowest(paths: list[_Path]) -> float:
    """Lower end of an axis for all methods except Gauss-Newton, which drops below it within a few steps."""
    ends = [path.gaps[:, -1] for path in paths if path.method.key != "gauss_newton"]
    found = np.concatenate(ends)
    least = float(np.nanmin(found)) if np.isfinite(found).any() else MIN_GAP
    return min(max(10.0 ** math.floor(math.log10(least)), MIN_GAP), 0.1)


def _draw(axes: Axes, paths: list[_Path], iterations: int, lowest: float) -> None:
    steps = np.arange(iterations + 1)
    for path in paths:
        for task, gaps in enumerate(path.gaps):
            style = path.method.look(iterations) if task == path.median else OTHERS
            axes.plot(steps, gaps[: iterations + 1], color=path.method.colour, **style)
        bound = path.rates["guaranteed_rate"]
        if np.isfinite(bound):
            axes.plot(steps, bound**steps, color=path.method.colour, **BOUND)
        _draw_limit(axes, path, iterations)
    logarithmic(axes, numticks=6)
    axes.set(xlim=(0, iterations), ylim=(lowest, 2.0))


def _draw_limit(axes: Axes, path: _Path, iterations: int) -> None:
    """A line with the slope of the limit, from the middle of what is above the smallest gap."""
    gaps, rate = path.gaps[path.median], path.rates["asymptotic_rate"]
    shown = np.flatnonzero(gaps > MIN_GAP)
    if not shown.size or not 0 < rate < 1:
        return
    start = int(shown[-1]) // 2
    steps = np.arange(start, len(gaps))
    axes.plot(steps, gaps[start] * rate ** (steps - start), **LIMIT)


def _keys() -> list[Line2D]:
    return [
        *(line_key(method.label, color=method.colour, **method.look(1)) for method in METHODS),
        line_key("median task", color="0.4", **MEDIAN),
        line_key("other tasks", color="0.4", **OTHERS),
        line_key("slope of the limit", **LIMIT),
        line_key("guaranteed bound", color="0.4", **BOUND),
    ]

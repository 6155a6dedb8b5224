"""The experiment of Song, Iannelli, arXiv 2502.19977: reported numbers, figure and table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from metalqr.config.registries import figures, tables
from metalqr.reporting import summaries
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, BLUE, CASE_MARK, CASE_MARKERS, CROSS, GREEN, PURPLE, RED, REFERENCE
from metalqr.reporting.figures.style import line_key, logarithmic, new_figure
from metalqr.reporting.sample_efficiency import settings_at
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.config.experiments import Experiment
    from metalqr.estimators.estimator import Array

#: Iterations of a curve of the paper.
REPORTED_ITERATIONS = 3_500_000


class Reported(NamedTuple):
    """A curve of the figure of policy gradients in the paper's numerical section, with what it does there."""

    experiment: str
    case: str
    variant: str
    label: str
    is_diverging: bool


REPORTED = (
    Reported("song2025_curves", "song2025_quiet", "plain", "Σ_w = 1e-5 I, step 0.1", False),
    Reported("song2025_curves", "song2025_quiet", "baseline", "Σ_w = 1e-5 I, step 0.1, baseline", False),
    Reported("song2025_curves", "song2025_noisy", "plain", "Σ_w = 1e-3 I, step 8e-4", False),
    Reported("song2025_curves", "song2025_noisy", "baseline", "Σ_w = 1e-3 I, step 8e-4, baseline", False),
    Reported("song2025_step", "song2025_long_step", "plain", "Σ_w = 1e-3 I, step 2e-3", True),
)
EXACT: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (4, 1.5))}
_COLOURS = (BLUE, RED, GREEN, PURPLE, "black")


class _Curves:
    """The runs of the paper's curves, and the exact gradient beside them."""

    def __init__(self, datasets: Mapping[str, Any]) -> None:
        self._cases = {name: summaries.cases(tree, axes=1) for name, tree in datasets.items()}
        self.exact = self._cases["song2025_exact"]["song2025_quiet"].sel(variant="exact").isel(seed=0)

    def runs(self, curve: Reported) -> xr.Dataset:
        """The runs of a curve, of dimensions (seed, iteration)."""
        return self._cases[curve.experiment][curve.case].sel(variant=curve.variant)

    def exact_path(self, runs: xr.Dataset) -> tuple[Array, Array]:
        """Iterations and ratios of the exact gradient with the steps of some runs.

        A gain's path depends on the learning rate times the optimal cost, which scales with the noise, alone.
        """
        paces = [settings_at(each)["learning_rate"] * float(each["J_star"].max()) for each in (self.exact, runs)]
        ratio = np.asarray(self.exact["ratio"].values, dtype=np.float64)
        return self.exact["iteration"].values * (paces[0] / paces[1]), ratio


def _takes(experiment: Experiment) -> bool:
    return experiment.name in (*(each.experiment for each in REPORTED), "song2025_exact")


@figures.register("song2025")
class CurvesFigure(Figure):
    """Song, Iannelli (2025): gap against iterations, so far as ours go, for either noise, and on the paper's axes.

    Lines are medians over the seeds, bands the range, crosses the last stabilising gains of runs that diverged. The
    thin lines are the exact gradient with the same steps. The dotted line is the end of the paper's curves, which all
    but that of the longest step reach.
    """

    def takes(self, experiment: Experiment) -> bool:
        """Take the experiments of the paper."""
        return _takes(experiment)

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw the curves of each noise, and all of them."""
        curves, width = _Curves(datasets), layout.MAX_WIDTH
        figure = new_figure(width, 2.7)
        *near, far = layout.panels(figure, 3, 3)
        keys = []
        for curve, colour, marker in zip(REPORTED, _COLOURS, CASE_MARKERS, strict=False):
            runs = curves.runs(curve)
            iteration, ratio = curves.exact_path(runs)
            for axes in (near[curve.case != "song2025_quiet"], far):
                _draw(axes, runs, colour, marker)
                if curve.variant == "plain":
                    axes.plot(iteration[1:], ratio[1:], color=colour, **EXACT)
            keys.append(line_key(_in_symbols(curve.label), color=colour, marker=marker, **CASE_MARK))
        for axes, title in zip(near, map(_in_symbols, ("Σ_w = 1e-5 I", "Σ_w = 1e-3 I")), strict=True):
            axes.set(xscale="log", xlabel="iteration", title=title, xlim=(10, 6e4), ylim=(0.6, 1.2))
        near[0].set_ylabel("gap, share of the optimal cost")
        far.axvline(REPORTED_ITERATIONS, **REFERENCE)
        far.set(xscale="log", xlabel="iteration", title="the paper's axes", xlim=(1, 6e6))
        logarithmic(far)
        far.set_ylim(5e-4, 3.0)
        keys += [
            line_key("exact gradient, same step", color="0.4", **EXACT),
            line_key("end of the paper's curves", **REFERENCE),
            line_key("diverged", color="0.5", linestyle="none", **CROSS),
        ]
        layout.legend_below(figure, keys, width, most=4)
        return figure


def _in_symbols(label: str) -> str:
    """A label with its covariance as mathematics."""
    return re.sub(r"Σ_w = 1e(-\d) I", r"$\\Sigma_w = 10^{\1} I$", label)


def _draw(axes: Axes, runs: xr.Dataset, colour: str, marker: str) -> None:
    """Draw the runs of a curve at iterations that are even on the logarithmic axis."""
    ratio, count = summaries.continued_ratio(runs), runs.sizes["iteration"] - 1
    places = np.unique(np.geomspace(1, count, 400).astype(int))
    shown = ratio.sel(iteration=places)
    finite = shown.where(np.isfinite(shown))
    axes.fill_between(places, finite.min("seed").values, finite.max("seed").values, color=colour, **BAND)
    median = shown.median("seed", skipna=False)
    look = {"color": colour, "marker": marker, "markevery": 45, **CASE_MARK}
    axes.plot(places, median.where(np.isfinite(median)).values, **look)
    ended = summaries.diverged(runs).values
    if ended.any():
        last = np.maximum(summaries.last_iteration(runs).values[ended], 1)
        axes.plot(last, summaries.last_ratio(runs).values[ended], color=colour, linestyle="none", zorder=5, **CROSS)


@tables.register("song2025_met")
class CurvesTable(Table):
    """Song, Iannelli (2025): whether each curve does what it does in the paper, so far as ours go.

    The gap is that at the end of our runs, median and range over the seeds; exact is that of the exact gradient after
    as many steps. A curve that converges is met if no run diverges and the median is within a tenth of the exact one;
    one that diverges, if a run does.
    """

    columns: ClassVar[Columns] = {
        "gap": Column("gap", lambda row: number(row["gap"])),
        "least": Column("least", lambda row: number(row["least"])),
        "most": Column("most", lambda row: number(row["most"])),
        "exact": Column("exact", lambda row: number(row["exact"])),
        "deviation": Column(
            "deviation", lambda row: f"{row['deviation']:+.1%}" if np.isfinite(row["deviation"]) else "–"
        ),
    }

    def takes(self, experiment: Experiment) -> bool:
        """Take the experiments of the paper."""
        return _takes(experiment)

    def tabulate(self, datasets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Make a row for each curve."""
        curves = _Curves(datasets)
        for curve in REPORTED:
            runs = curves.runs(curve)
            final, ended = summaries.final_ratio(runs).values, summaries.diverged(runs).values
            count = runs.sizes["iteration"] - 1
            gap, exact = float(np.median(final)), float(np.interp(count, *curves.exact_path(runs)))
            is_near = not ended.any() and abs(gap / exact - 1.0) <= 0.1
            met = ended.any() if curve.is_diverging else is_near
            last = summaries.last_iteration(runs).values[ended].astype(int)
            ends = f", after {', '.join(f'{each:,}' for each in sorted(last.tolist()))} iterations" if len(last) else ""
            yield {
                "curve": curve.label,
                "reported": "diverges" if curve.is_diverging else "converges",
                "iterations": f"{count:,}",
                "diverged": f"{ended.sum()} of {len(ended)}{ends}",
                "gap": gap,
                "least": final.min(),
                "most": final.max(),
                "exact": exact,
                "deviation": gap / exact - 1.0,
                "met": "yes" if met else "no",
            }

"""The experiment of Toso, Wang, Anderson, arXiv 2309.10679: method, reported numbers, figure and table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import directions, figures, methods, tables
from metalqr.config.settings import Count, Radius, setting
from metalqr.estimators.estimator import Array, Direction
from metalqr.reporting import summaries
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import BAND, CASE_MARK, CROSS, FLOOR, REFERENCE, with_styles
from metalqr.reporting.figures.style import line_key, logarithmic, new_figure
from metalqr.reporting.labels import spaced
from metalqr.reporting.sample_efficiency import settings_at
from metalqr.reporting.tables.markdown import Column, Columns, number
from metalqr.reporting.tables.table import Table
from metalqr.training.method import State, Work
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from metalqr.config.algorithm import MetaSettings
    from metalqr.config.experiments import Experiment
    from metalqr.simulation.lqr_rollouts import LQRSimulator
    from metalqr.simulation.streams import Stream

#: The gap that the paper goes down to, as a share of the gap at K_0.
TARGET = 3e-2


class Reported(NamedTuple):
    """A number of the paper: what its numerical section says that a method takes to :data:`TARGET`."""

    variant: str
    unit: str
    number: float | None  # None where the paper has none, for comparison


#: Section on numerical results. Both counts of a method are of the same runs: 500 iterations with 50 pairs each, and
#: 125 epochs with 50 pairs each and 500 corrections with 25 differences of two queries each.
REPORTED = (
    Reported("two_point", "queries", 50_000),
    Reported("variance_reduced", "queries", 37_500),
    Reported("two_point", "pairs", 25_000),
    Reported("variance_reduced", "pairs of anchors", 6_250),
    Reported("variance_reduced", "pairs", None),
    Reported("variance_reduced_one_point", "queries", 37_500),
    Reported("two_point_13", "queries", None),
    Reported("two_point_13", "pairs", None),
    Reported("one_point", "queries", None),
)
#: What the last column says, beside what follows from the numbers.
WHY = {
    ("variance_reduced", "pairs of anchors"): "the pairs of the corrections are not counted",
    ("variance_reduced", "pairs"): "with those of the corrections",
    (
        "variance_reduced_one_point",
        "queries",
    ): "diverges: corrections of two initial states do not vanish at the anchor",
    ("two_point_13", "queries"): "fewer than with variance reduction",
    ("one_point", "queries"): "diverges",
}


@methods.register("svrpg2023")
class VarianceReduced(RolloutMethod):
    r"""Variance-reduced policy gradient: an estimate at an anchor, corrected by differences of queries.

    .. math:: g_t = \hat g(\tilde K)
              + \frac1m \sum_{j=1}^m \frac{dk}{\rho^2} (f(K_t + V_j; x_j) - f(\tilde K + V_j; x'_j)) V_j

    The anchor :math:`\tilde K` is the gain at the start of an epoch of T iterations, where :math:`\hat g` is estimated
    once, from pairs; the :math:`V_j` are directions of radius :math:`\rho`. With ``correction_noise: shared``
    :math:`x'_j = x_j`, as in the code of the paper, so that the correction vanishes with :math:`K_t - \tilde K`. That
    takes a pair: two policies from the same initial state. With ``independent`` each query has an initial state of its
    own, as one-point queries have. Both have the mean of the difference of the smoothed
    gradients; the second has, at the anchor too, the variance :math:`2 (dk)^2 V / (\rho^2 m)` in all entries together,
    with V that of a query.
    """

    class Settings(declared.Settings):
        """Settings of the epochs and of the correction."""

        epoch_length: Count = setting(4, symbol="T", about="iterations from one anchor to the next")
        correction_perturbations: Count = setting(25, symbol="m", about="directions of a correction", size=True)
        correction_radius: Radius = setting(0.05, symbol=r"\rho", about="smoothing radius of a correction")
        correction_noise: Literal["shared", "independent"] = setting(
            "shared", about="whether the two queries of a correction have one initial state, or each its own"
        )

    can_resample = False

    @classmethod
    def refusals(cls, settings: MetaSettings) -> Iterator[tuple[str, str]]:
        """Estimators that remember other iterations than those of the anchors."""
        yield from super().refusals(settings)
        if settings.estimator == "residual":
            yield "estimator", "residual remembers the iteration before, which has no estimate; choose two_point"

    @classmethod
    def work(cls, count: int, settings: MetaSettings) -> Work:
        """That of an anchor, and two queries for each direction of a correction."""
        found, queries = cls.warm_up_work(count, settings), 2 * count * settings.of(cls).correction_perturbations
        return Work(found.policies + queries, found.rollouts + queries)

    @cached_property
    def simulator(self) -> LQRSimulator:
        """The rollouts of the corrections."""
        from metalqr.simulation.lqr_rollouts import LQRSimulator

        return LQRSimulator(self.tasks, self.settings.precision)

    def direction(self, state: State, stream: Stream) -> Direction:
        """The estimate at the anchor and its correction."""
        steps = unstable = 0
        memory = dict(state.memory)
        if not memory or stream.iteration % self.own.epoch_length == 0:
            full = self.estimation.mean_gradient(state.K, stream)
            memory = {"anchor": state.K, "anchor_gradient": full.gradient}
            steps, unstable = full.rollout_steps, full.unstable_perturbations
        moved = self.correction(state.K, memory["anchor"], stream)
        return Direction(
            memory["anchor_gradient"] + moved.gradient,
            memory,
            steps + moved.rollout_steps,
            unstable + moved.unstable_perturbations,
        )

    # A rollout of an unstable policy may overflow. The result shows it, so no warning is needed.
    @np.errstate(over="ignore", invalid="ignore")
    def correction(self, K: Array, anchor: Array, stream: Stream) -> Direction:
        """The estimated difference of the gradients at two gains."""
        from metalqr.simulation.streams import Purpose, inner_draws

        count, radius, every = (
            self.own.correction_perturbations,
            self.own.correction_radius,
            np.arange(self.tasks.count),
        )
        V = directions.get(self.settings.directions)(self.settings).draw(
            inner_draws(stream, every, count), K.shape, radius, count
        )
        V = V.reshape(len(every), count, *K.shape)
        policies, before = np.concatenate([K + V, anchor + V], axis=1), self.simulator.simulated_steps
        values = self.simulator.costs(
            policies,
            self.settings.rollout_length,
            stream,
            tasks=every,
            purpose=Purpose.INNER_ROLLOUT,
            sharing=2 if self.own.correction_noise == "shared" else 1,
        )
        change = values[:, :count] - values[:, count:]
        gradient = K.size / (radius**2 * count) * np.einsum("i,im,imkd->kd", self.tasks.p, change, V)
        unstable = self.simulator.count_unstable(policies, every)
        return Direction(gradient, {}, self.simulator.simulated_steps - before, unstable)


def queries(point: xr.Dataset) -> Array:
    """Rollouts until each iteration, of a variant's longest run, (iterations + 1,)."""
    steps = point["rollout_steps"].max("seed").values
    return np.asarray(steps / settings_at(point)["rollout_length"], dtype=np.float64)


def amounts(point: xr.Dataset, unit: str) -> Array:
    """Queries, or pairs of queries with one initial state, until each iteration, (iterations + 1,)."""
    settings, iteration = settings_at(point), point["iteration"].values.astype(np.float64)
    if unit == "queries":
        return queries(point)
    if settings["method"] != VarianceReduced.name:
        return 0.5 * queries(point)
    of_anchors = settings["perturbations"] * np.ceil(iteration / settings["epoch_length"])
    return of_anchors if unit == "pairs of anchors" else of_anchors + settings["correction_perturbations"] * iteration


def share_of_gap(point: xr.Dataset) -> xr.DataArray:
    """The gap as a share of that at K_0 (seed, iteration), infinite after a run has diverged."""
    ratio = summaries.continued_ratio(point)
    return ratio / ratio.isel(iteration=0)


def taken(point: xr.Dataset, unit: str) -> Array:
    """What each run takes to the target (seed,), infinite if it does not reach it or diverges."""
    reached = share_of_gap(point).transpose("seed", "iteration").values <= TARGET
    first = np.where(reached.any(axis=1), amounts(point, unit)[reached.argmax(axis=1)], np.inf)
    return np.where(summaries.diverged(point).values, np.inf, first)


def _case(datasets: Mapping[str, Any]) -> xr.Dataset:
    """The one case of the one experiment."""
    ((case,),) = [summaries.cases(tree, axes=1).values() for tree in datasets.values()]
    return case


@figures.register("svrpg2023")
class QueriesFigure(Figure):
    """Toso, Wang, Anderson (2023): gap against queries (left) and pairs of queries with one initial state (right).

    The gap is a share of that at the initial gain. Lines are medians over the seeds, bands the range, crosses the last
    stabilising gains of runs that diverged. The dashed line is the gap to be reached, the squares on it are the numbers
    that the paper reports. The dotted line on the right counts the pairs of the anchors alone, as the paper does.
    """

    def takes(self, experiment: Experiment) -> bool:
        """Take the experiment of the paper."""
        return experiment.name == "svrpg2023_queries"

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw queries and pairs."""
        case, width = _case(datasets), layout.MAX_WIDTH
        figure = new_figure(width, 2.8)
        left, right = layout.panels(figure, 2, 2, sharey=True)
        lines: list[Line2D] = []
        for variant, colour, marker in with_styles(map(str, case["variant"].values)):
            point = case.sel(variant=variant)
            look: dict[str, Any] = {"color": colour, "marker": marker, **CASE_MARK}
            lines.append(_draw(left, point, "queries", variant, look))
            if variant in ("one_point", "variance_reduced_one_point"):
                continue
            _draw(right, point, "pairs", variant, look)
            if variant == "variance_reduced":
                _draw(right, point, "pairs of anchors", variant, {"color": colour, "linestyle": ":"})
        colours = {str(line.get_label()): line.get_color() for line in lines}
        reported: dict[str, Any] = {
            "marker": "s",
            "markersize": 5.0,
            "markeredgecolor": "black",
            "linestyle": "none",
            "zorder": 6,
        }
        for each in REPORTED:
            if each.number is not None and each.variant in ("two_point", "variance_reduced"):
                axes = left if each.unit == "queries" else right
                axes.plot(each.number, TARGET, color=colours[spaced(each.variant)], **reported)
        for axes, unit in ((left, "queries"), (right, "pairs of queries with one initial state")):
            axes.axhline(TARGET, color="0.3", **FLOOR)
            axes.set(xscale="log", xlabel=unit)
            logarithmic(axes)
            axes.set_ylim(1e-2, 3.0)
        left.set_ylabel("gap, share of that at the initial gain")
        keys = [
            *lines,
            line_key("reported", color="white", **reported),
            line_key("pairs of the anchors alone", **REFERENCE),
            line_key("diverged", color="0.5", linestyle="none", **CROSS),
        ]
        layout.legend_below(figure, keys, width, most=4)
        return figure


def _draw(axes: Axes, point: xr.Dataset, unit: str, variant: str, look: Mapping[str, Any]) -> Line2D:
    """Draw one variant from its first iteration on."""
    share, amount = share_of_gap(point).isel(iteration=slice(1, None)), amounts(point, unit)[1:]
    shown = share.where(np.isfinite(share))
    if "marker" in look and not summaries.diverged(point).any():
        axes.fill_between(amount, shown.min("seed").values, shown.max("seed").values, color=look["color"], **BAND)
    median = share.median("seed", skipna=False)
    # Markers at places that are even on the logarithmic axis.
    places = np.unique(np.geomspace(1, len(amount), 7).astype(int)) - 1
    (line,) = axes.plot(
        amount, median.where(np.isfinite(median)).values, label=spaced(variant), markevery=places.tolist(), **look
    )
    ended = summaries.diverged(point).values
    if ended.any():
        last = summaries.last_iteration(point).values[ended].astype(int)
        height = (summaries.last_ratio(point) / point["ratio"].isel(iteration=0)).values[ended]
        places = amounts(point, unit)[np.maximum(last, 1)]
        axes.plot(places, np.minimum(height, 2.5), color=look["color"], linestyle="none", zorder=5, **CROSS)
    return line


@tables.register("svrpg2023_met")
class QueriesTable(Table):
    """Toso, Wang, Anderson (2023): what each method takes to a gap of 3 % of that at the initial gain, and did there.

    Medians over the seeds. A reported number is met if the median run needs no more.
    """

    columns: ClassVar[Columns] = {
        "reported": Column("reported", lambda row: number(row["reported"])),
        "ours": Column("ours", lambda row: number(row["ours"])),
        "ours_min": Column("least", lambda row: number(row["ours_min"])),
        "ours_max": Column("most", lambda row: number(row["ours_max"])),
        "deviation": Column(
            "deviation", lambda row: "–" if row["deviation"] != row["deviation"] else f"{row['deviation']:+.0%}"
        ),
    }

    def takes(self, experiment: Experiment) -> bool:
        """Take the experiment of the paper."""
        return experiment.name == "svrpg2023_queries"

    def tabulate(self, datasets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Make a row for each reported number."""
        case = _case(datasets)
        for each in REPORTED:
            found = taken(case.sel(variant=each.variant), each.unit)
            ours, reported = float(np.median(found)), np.nan if each.number is None else each.number
            yield {
                "variant": each.variant,
                "unit": each.unit,
                "reported": reported,
                "ours": ours,
                "ours_min": found.min(),
                "ours_max": found.max(),
                "deviation": ours / reported - 1.0 if np.isfinite(ours) else np.nan,
                "met": "" if each.number is None else "yes" if ours <= reported else "no",
                "why": WHY.get((each.variant, each.unit), ""),
            }

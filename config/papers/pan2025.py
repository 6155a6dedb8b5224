"""The later code of the paper's own authors: its two methods, which use the model, and its few-shot adaptation.

Its pages state settings and print no number, so what is compared with ours is what follows from the settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from metalqr.config.registries import figures, methods, tables
from metalqr.estimators.estimator import Direction
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CASE_COLOURS, CASE_MARK, CASE_MARKERS
from metalqr.reporting.figures.style import line_key, logarithmic, new_figure
from metalqr.reporting.tables.markdown import Column, Columns, number, percent
from metalqr.reporting.tables.table import Table
from metalqr.training.exact_method import ExactMethod
from metalqr.training.method import State

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr

    from metalqr.estimators.estimator import Array
    from metalqr.lqr import FloatArray, LQRTasks
    from metalqr.simulation.streams import Purpose, Stream

#: Their settings that ours do not have: the largest norm of a gradient or an update, and two dampings.
CLIP, COVARIANCE_DAMPING, HESSIAN_DAMPING = 10.0, 1.0e-4, 1.0e-4
#: The weight of their Reptile in the curve that they call Hessian-free.
REPTILE_WEIGHT = 0.5
#: Numbers of adaptation steps on their axis.
SHOTS = (0, 1, 3, 5)
#: The starts of the figure, with their names there.
STARTS = {
    "hessian_free_code": "their Hessian-free",
    "zomaml_code": "their ZOMAML",
    "two_point": "Algorithm 2, two-point rollouts",
    "best_single_gain": "best single gain",
    "initial_gain": "initial gain",
}
#: The cases of the figure, with the standard deviation of their perturbations.
CASES = {"pan2025_alike": "as theirs, deviation 0.001", "pan2025_varied": "deviation 0.1"}


class OfModel(ExactMethod):
    """What their two methods share: half of the tasks in an iteration, and exact costs in place of rollouts."""

    def direction(self, state: State, stream: Stream) -> Direction:
        """The direction, clipped; not a number, which ends the run, where a gain on the way to it is unstable."""
        from metalqr.lqr import UnstablePolicyError
        from metalqr.simulation import streams
        from metalqr.simulation.streams import Purpose

        order = streams.outer_draws(stream, self.tasks.count, 1, Purpose.TASK_BATCH).normals((1, 1)).ravel().argsort()
        batch = self.tasks.subset(np.sort(order[: max(1, self.tasks.count // 2)]))
        try:
            return Direction(_clipped(self.mean(batch, state.K, stream)))
        except UnstablePolicyError:
            return Direction(np.full_like(state.K, np.nan))

    def mean(self, batch: LQRTasks, K: Array, stream: Stream) -> Array:
        """The direction of a batch of tasks."""
        raise NotImplementedError

    def drawn(self, count: int, shape: tuple[int, int], stream: Stream, purpose: Purpose) -> Array:
        """Directions around gains, (n, M, k, d)."""
        from metalqr.simulation import streams

        M = self.settings.perturbations
        found = streams.outer_draws(stream, count, M, purpose).sphere(shape, self.settings.smoothing_radius)
        return found.reshape(count, M, *shape)


@methods.register("pan2025_hessian_free")
class HessianFree(OfModel):
    r"""The method whose curve the code calls Hessian-free MAML.

    .. math:: g = \tfrac12 \sum_{m=1}^M \bar g_m + \tfrac12 \cdot \frac{dk}{r^2 M} \sum_{m=1}^M \bar J_m U_m

    over half of the tasks, with the natural gradients :math:`g_m` at :math:`K + U_m` of the model, which make it
    Reptile, and the exact costs :math:`J_m` at :math:`K + U_m - \eta g_m`; its norm is at most 10, and so is theirs.
    """

    def mean(self, batch: LQRTasks, K: Array, stream: Stream) -> Array:
        """The mean over a batch."""
        from metalqr.simulation.streams import Purpose

        settings, count = self.settings, batch.count
        U = self.drawn(count, K.shape, stream, Purpose.PERTURBATION).reshape(-1, *K.shape)
        repeated = batch.subset(np.repeat(np.arange(count), settings.perturbations))
        natural = _natural(repeated, K + U)
        costs = _costs(repeated, K + U - settings.adaptation_rate * natural)
        one_point = K.size / settings.smoothing_radius**2 * np.einsum("m,mkd->kd", costs, U) / len(U)
        return REPTILE_WEIGHT * natural.sum(axis=0) / count + (1.0 - REPTILE_WEIGHT) * one_point


@methods.register("pan2025_zomaml")
class ZOMAML(OfModel):
    r"""The method of Toso and others as this code has it: two-point estimates from exact costs, and a Hessian.

    .. math:: g = (I - \eta (\hat H + 10^{-4} I)) \hat g(K - \eta \hat g(K) (\Sigma_K + 10^{-4} I)^{-1}), \qquad
              \hat H = \frac{dk}{r^2 M} \sum_m (J(K + U_m) - J(K)) (u_m u_m^\top - I)

    with :math:`u_m` the entries of :math:`U_m` as a vector. The mean of :math:`\hat H` is about
    :math:`-\frac12 \mathrm{Tr}(\nabla^2 J) I`: no curvature is in it.
    """

    def mean(self, batch: LQRTasks, K: Array, stream: Stream) -> Array:
        """The mean over a batch."""
        from metalqr.lqr import evaluate
        from metalqr.simulation.streams import Purpose

        settings, gains = self.settings, np.broadcast_to(K, (batch.count, *K.shape))
        inner = self._two_point(batch, gains, stream, Purpose.INNER_PERTURBATION)
        natural = _clipped(_over_covariance(inner, evaluate(batch, gains).state_covariance))
        adapted = gains - settings.adaptation_rate * natural
        outer = self._two_point(batch, adapted, stream, Purpose.PERTURBATION)
        U = self.drawn(batch.count, K.shape, stream, Purpose.HESSIAN_PERTURBATION)
        hessian = printed_hessian(_around(batch, gains, U) - _costs(batch, gains)[:, np.newaxis], U)
        flat = outer.reshape(batch.count, -1)
        product = np.einsum("iab,ib->ia", hessian, flat) + HESSIAN_DAMPING * flat
        return np.asarray((flat - settings.adaptation_rate * product).mean(axis=0).reshape(K.shape))

    def _two_point(self, batch: LQRTasks, gains: Array, stream: Stream, purpose: Purpose) -> Array:
        U = self.drawn(batch.count, gains.shape[1:], stream, purpose)
        plus, minus = np.split(_around(batch, gains, np.concatenate([U, -U], axis=1)), 2, axis=1)
        factor = U[0, 0].size / (2 * self.settings.smoothing_radius**2 * U.shape[1])
        return np.asarray(factor * np.einsum("im,imkd->ikd", plus - minus, U))


def printed_hessian(change: Array, U: Array) -> FloatArray:
    """Their estimate of the Hessian, shape (n, dk, dk), from the changes of the cost (n, M) along U (n, M, k, d)."""
    flat = U.reshape(*U.shape[:2], -1)
    size, square = flat.shape[2], (flat**2).sum(axis=2).mean()
    outer = np.einsum("im,ima,imb->iab", change, flat, flat) / U.shape[1]
    return np.asarray(size / square * (outer - change.mean(axis=1)[:, np.newaxis, np.newaxis] * np.eye(size)))


def _around(batch: LQRTasks, gains: Array, U: Array) -> Array:
    """Exact costs at gains (n, k, d) plus perturbations (n, M, k, d), shape (n, M)."""
    moved = (gains[:, np.newaxis] + U).reshape(-1, *gains.shape[1:])
    return _costs(batch.subset(np.repeat(np.arange(batch.count), U.shape[1])), moved).reshape(U.shape[:2])


def _costs(tasks: LQRTasks, gains: Array) -> Array:
    from metalqr.lqr import evaluate

    return evaluate(tasks, gains).cost()


def _natural(tasks: LQRTasks, gains: Array) -> Array:
    """Natural gradients of the model, clipped, one gain for each task."""
    from metalqr.lqr import evaluate

    found = evaluate(tasks, gains)
    return _clipped(_over_covariance(found.gradient(), found.state_covariance))


def _over_covariance(gradients: Array, covariance: Array) -> Array:
    return np.asarray(gradients @ np.linalg.inv(covariance + COVARIANCE_DAMPING * np.eye(covariance.shape[-1])))


def _clipped(gradients: Array) -> Array:
    norms = np.linalg.norm(gradients, axis=(-2, -1), keepdims=True)
    return np.asarray(gradients * np.minimum(1.0, CLIP / np.maximum(norms, CLIP / 2)))


def _median(dataset: xr.Dataset, start: str, rate: str) -> FloatArray:
    """The median after each step over seeds, tasks and repetitions, for exact steps; infinite if most are unstable."""
    # With several adaptation rates in training, comparisons are named after them; that of the first variant is shown.
    name = next(each for each in dataset["start"].values.tolist() if each.partition(",")[0] == start)
    found = dataset["gap"].sel(start=name, estimator="exact", rate=rate).transpose(..., "step").values
    return np.asarray(np.median(found.reshape(-1, found.shape[-1]), axis=0))


def _gap_column(shots: int) -> Column:
    return Column(f"gap after {shots}", lambda row: number(row[f"gap_{shots}"]))


@figures.register("pan2025")
class Pan2025(Figure):
    """Few-shot adaptation to eight unseen tasks, for tasks as alike as in the authors' later code and for others.

    Median gap to the optimum of each task after 0, 1, 3 and 5 exact gradient steps from gains of 25 iterations, as in
    their evaluation. Solid: steps of a size that is tuned for each start; dashed: of the training's size, which is that
    of the code, whose natural gradients are up to twenty times as long. Where the gain of the nominal task is optimal
    up to a millionth, there is nothing to adapt to: what falls is what training has left.
    """

    reads = "evaluation"

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw a panel for each case."""
        figure = new_figure(layout.MAX_WIDTH, 2.8)
        panels = figure.subplots(1, len(CASES))
        keys = []
        for axes, (case, title) in zip(panels, CASES.items(), strict=True):
            (dataset,) = (each for name, each in datasets.items() if name.endswith(f"/{case}"))
            for start, colour, marker in zip(STARTS, CASE_COLOURS, CASE_MARKERS, strict=False):
                for rate, style in (("tuned", "-"), ("own", "--")):
                    gaps = _median(dataset, start, rate)[list(SHOTS)]
                    known = np.isfinite(gaps)
                    axes.plot(np.array(SHOTS)[known], gaps[known], style, color=colour, marker=marker, **CASE_MARK)
            logarithmic(axes)
            axes.set(title=title, xlabel="adaptation steps")
            axes.set_xticks(SHOTS)
        panels[0].set_ylabel(r"median of $(J_i(K) - J_i^*) / J_i^*$")
        for label, colour, marker in zip(STARTS.values(), CASE_COLOURS, CASE_MARKERS, strict=False):
            keys.append(line_key(label, color=colour, marker=marker, **CASE_MARK))
        keys += [line_key("tuned step", color="0.3"), line_key("the training's step", color="0.3", linestyle="--")]
        layout.legend_below(figure, keys, layout.MAX_WIDTH, most=4)
        return figure


@tables.register("pan2025_met")
class Pan2025Met(Table):
    """What the settings of the authors' later code leave to adapt: gaps on unseen tasks, and what steps remove."""

    reads = "evaluation"
    columns: ClassVar[Columns] = {
        "case": Column("tasks", text=True),
        "start": Column("from", text=True),
        "rate": Column("step size", text=True),
        **{f"gap_{shots}": _gap_column(shots) for shots in SHOTS},
        "removed": Column("removed by 5 steps", lambda row: percent(row["removed"])),
    }

    def tabulate(self, datasets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A row for each start and step size in each case."""
        for name, dataset in datasets.items():
            for start in STARTS:
                for rate in ("own", "tuned"):
                    gaps = _median(dataset, start, rate)
                    shown = {f"gap_{shots}": float(gaps[shots]) for shots in SHOTS}
                    removed = 1.0 - gaps[SHOTS[-1]] / gaps[0] if np.isfinite(gaps[SHOTS[-1]]) else np.nan
                    case = CASES[name.partition("/")[2]]
                    yield {"case": case, "start": STARTS[start], "rate": rate, **shown, "removed": float(removed)}

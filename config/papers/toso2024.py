"""Toso, Zhan, Anderson, Wang (2024), arXiv 2401.14534: the method of their code, and their numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from metalqr.config.registries import directions, figures, methods, tables
from metalqr.estimators.estimator import Direction
from metalqr.reporting import summaries
from metalqr.reporting.figures import layout
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.palette import CASE_COLOURS, CASE_MARKERS, CROSS
from metalqr.reporting.figures.style import line_key, logarithmic, new_figure
from metalqr.reporting.tables.markdown import Column, Columns, number, percent, spread
from metalqr.reporting.tables.table import Table
from metalqr.training.method import State
from metalqr.training.methods.hessian_maml import HessianMAML

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr
    from matplotlib.axes import Axes

    from metalqr.config.experiments import Experiment
    from metalqr.estimators.estimator import Array
    from metalqr.lqr import FloatArray
    from metalqr.simulation.lqr_rollouts import LQRSimulator
    from metalqr.simulation.streams import Purpose, Stream

#: The initial state at which their gaps are, other than that of the training.
INITIAL_STATE = (0.25, 0.55, 0.35, 0.45)
#: A number counts as met within this share of it.
TOLERANCE = 0.1


class Curve(NamedTuple):
    """A log of their notebooks: gaps of task 1 by iteration, of one run without a seed."""

    place: str
    case: str
    epsilon: float
    step: float
    gaps: dict[int, float]


#: What the notebooks of the code print; the figures of the paper are drawn from these runs.
LOGS = (
    Curve(
        "Heterogeneity, cell 10",
        "toso2024_low",
        0.001,
        8.0e-6,
        {0: 19.8316, 5: 4.6923, 10: 3.1684, 20: 2.0418, 50: 1.0750, 100: 0.5508, 150: 0.3369, 200: 0.2367, 500: 0.1196},
    ),
    Curve(
        "Heterogeneity, cell 11",
        "toso2024_middle",
        0.01,
        4.0e-6,
        {0: 19.8316, 5: 6.6639, 10: 4.0991, 20: 2.9407, 50: 1.5939, 100: 0.9840, 150: 0.6836, 500: 0.1715},
    ),
    Curve(
        "Heterogeneity, cell 14",
        "toso2024_high",
        0.015,
        9.5e-7,
        {0: 19.8316, 5: 9.2492, 10: 7.0470, 20: 5.3512, 50: 3.4751, 100: 2.4797, 150: 2.0020, 500: 0.8565},
    ),
    Curve(
        "Convergence, cell 17",
        "toso2024_middle",
        0.01,
        8.0e-6,
        {0: 19.8316, 5: 5.0233, 10: 3.1745, 20: 2.0878, 50: 1.0346, 100: 0.5508, 150: 0.3354, 200: 0.2283},
    ),
)
#: Of the forms of the method, in the order in which they are drawn.
FORMS = {
    "as_run": "their code",
    "printed": "as printed",
    "corrected": "with Stein's Hessian",
    "exact": "exact MAML",
    "no_hessian": "without a Hessian",
    "no_adaptation": "without adaptation",
}
EPSILONS = {log.case: log.epsilon for log in LOGS}


@methods.register("toso2024_code")
class SharedDirections(HessianMAML):
    r"""As ``hessian_maml`` with the printed Hessian, but with the same directions in all estimates of an iteration.

    The code of the paper draws :math:`U_1, \ldots, U_M` once in an iteration, for all tasks, and for the inner
    gradients, the outer ones and the Hessians alike. So the mean over ten tasks averages the directions no better than
    one task does, and the three factors of a product are dependent.
    """

    def direction(self, state: State, stream: Stream) -> Direction:
        """The direction of their code."""
        from metalqr.simulation import streams
        from metalqr.simulation.streams import Purpose

        settings, before = self.settings, self._simulator.simulated_steps
        batch, M, r = self.estimation.batch(stream), settings.perturbations, settings.smoothing_radius
        drawn = directions.get(settings.directions)(settings).draw(
            streams.outer_draws(stream, 1, M), state.K.shape, r, M
        )
        U, unstable = drawn[0], 0

        def values(moved: Array, purpose: Purpose) -> Array:
            nonlocal unstable
            unstable += self._simulator.count_unstable(moved, batch.tasks)
            found = self._simulator.costs(
                moved, settings.rollout_length, stream, tasks=batch.tasks, purpose=purpose, sharing=2
            )
            return found.reshape(len(moved), 2, M)

        def gradients(gains: Array, purpose: Purpose) -> Array:
            around = gains[:, np.newaxis]
            plus, minus = np.moveaxis(values(np.concatenate([around + U, around - U], axis=1), purpose), 1, 0)
            return np.einsum("im,mab->iab", U[0].size / (2 * r**2 * M) * (plus - minus), U)

        gains = np.broadcast_to(state.K, (len(batch.tasks), *state.K.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            adapted = gains - settings.adaptation_rate * gradients(gains, Purpose.INNER_ROLLOUT)
            outer = gradients(adapted, Purpose.ROLLOUT)
            around = gains[:, np.newaxis]
            both = np.concatenate([around + U, np.broadcast_to(around, (len(gains), *U.shape))], axis=1)
            moved, still = np.moveaxis(values(both, Purpose.HESSIAN_ROLLOUT), 1, 0)
            k = len(state.K)
            square = np.einsum("mab,mcb->mac", U, U) - np.eye(k)
            hessian = (k / r) ** 2 / M * np.einsum("im,mac->iac", moved - still, square)
            product = outer - settings.adaptation_rate * hessian @ outer
            gradient = np.einsum("i,ikd->kd", batch.weights, product)
        return Direction(gradient, {}, self._simulator.simulated_steps - before, unstable)

    @cached_property
    def _simulator(self) -> LQRSimulator:
        from metalqr.simulation.lqr_rollouts import LQRSimulator

        return LQRSimulator(self.simulated, self.settings.precision)

    def forget(self) -> None:
        """Drop the simulator of earlier tasks."""
        super().forget()
        self.__dict__.pop("_simulator", None)


@cache
def _task_one() -> Any:
    """Task 1, the nominal one, from their initial state, and its optimal cost."""
    from metalqr import optimal, systems

    named = systems.named("boeing747", form="code", noise="initial_state", initial_mean=list(INITIAL_STATE))
    tasks = named.tasks().replace(Sigma0=np.zeros((1, 4, 4)))
    return tasks, float(optimal.optimal_gains(tasks).cost[0])


def gap_on_task_one(gains: Array) -> FloatArray:
    """The cost of gains (..., k, d) on task 1 over the optimal one, from their initial state."""
    from metalqr import lqr

    tasks, optimum = _task_one()
    flat = gains.reshape(-1, *gains.shape[-2:])
    return np.asarray([lqr.cost(tasks, K)[0] - optimum for K in flat]).reshape(gains.shape[:-2])


def final_gaps(case: xr.Dataset) -> xr.DataArray:
    """The gap on task 1 at the end of every run, infinite for one that diverged, by axis and seed."""
    import xarray as xr

    gains = case["K_last"].transpose(..., "action", "state")
    kept = gains.isel(action=0, state=0, drop=True)
    found = xr.DataArray(gap_on_task_one(gains.values), kept.coords, kept.dims)
    return found.where(~summaries.diverged(case), np.inf)


#: The place of a panel's legend; the last is what is between, in heights of its letters.
BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": 5.5}


@figures.register("toso2024")
class Toso2024(Figure):
    r"""What Toso, Zhan, Anderson, Wang (2024) report of task 1 beside our runs with their settings, medians and ranges.

    Left: the gap :math:`J^{(1)}(K_n) - J^{(1)}(K^*_1)` in their three logs (lines) and in three runs of ours each
    (points), where the step falls as the heterogeneity :math:`\epsilon` grows. Middle: heterogeneity and step apart,
    after 200 iterations; stars are their logs. Right: the same gap after 100 iterations by the form of the method, from
    an initial state that is nearly fixed, as in their code, and from :math:`N(0, I/4)`; crosses are runs that diverged.
    """

    def takes(self, experiment: Experiment) -> bool:
        """The three experiments of training."""
        return experiment.name in ("toso2024_reported", "toso2024_one_step", "toso2024_forms")

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw three panels."""
        figure = new_figure(layout.MAX_WIDTH, 3.6)
        reported, one_step, forms = figure.subplots(1, 3)
        self._reported(reported, summaries.cases(datasets["toso2024_reported"]))
        self._one_step(one_step, summaries.cases(datasets["toso2024_one_step"]))
        self._forms(forms, summaries.cases(datasets["toso2024_forms"]))
        return figure

    @staticmethod
    def _reported(axes: Axes, cases: Mapping[str, xr.Dataset]) -> None:
        for log, colour, marker in zip(LOGS[:3], CASE_COLOURS, CASE_MARKERS, strict=False):
            axes.plot(list(log.gaps), list(log.gaps.values()), color=colour)
            found = final_gaps(cases[log.case])
            _with_range(axes, found["iterations"].values, found, colour, marker)
        keys = [
            line_key(rf"$\epsilon = {log.epsilon:g}$, step {log.step:.2g}", color=colour, marker=marker)
            for log, colour, marker in zip(LOGS[:3], CASE_COLOURS, CASE_MARKERS, strict=False)
        ]
        axes.legend(handles=keys, title="lines: their logs, points: ours", **BELOW)
        logarithmic(axes)
        axes.set(title="As reported: the step\nfalls, too", xlabel="iteration", ylabel="gap on task 1")

    @staticmethod
    def _one_step(axes: Axes, cases: Mapping[str, xr.Dataset]) -> None:
        found = {case: final_gaps(each).isel(iterations=0) for case, each in cases.items()}
        places = np.arange(len(found))
        steps = next(iter(found.values()))["learning_rate"].values
        for step, colour, marker in zip(steps, CASE_COLOURS[3:], CASE_MARKERS[3:], strict=False):
            for place, gaps in zip(places, found.values(), strict=True):
                chosen = gaps.sel(learning_rate=[step])
                _with_range(axes, [place], chosen, colour, marker)
                if diverged := int(np.isinf(chosen).sum()):
                    words = f"{diverged} of {chosen.size}\ndiverged"
                    axes.text(float(place), 1.12 * float(chosen.median()), words, ha="center", fontsize=layout.SMALL)
        for log in LOGS:
            if 200 in log.gaps:
                axes.plot(list(found).index(log.case) + 0.12, log.gaps[200], "*", color="black", markersize=7)
        keys = [
            line_key(f"step {step:.2g}", color=colour, marker=marker, linestyle="none")
            for step, colour, marker in zip(steps, CASE_COLOURS[3:], CASE_MARKERS[3:], strict=False)
        ]
        star = line_key("their logs, step 8e-06", color="black", marker="*", linestyle="none", markersize=7)
        axes.legend(handles=[*keys, star], **BELOW)
        logarithmic(axes, subs=(1.0, 2.0, 5.0))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xticks(places, [f"{EPSILONS[case]:g}" for case in found])
        axes.set(title="At one step", xlabel=r"heterogeneity $\epsilon$", xlim=(-0.5, len(found) - 0.5))

    @staticmethod
    def _forms(axes: Axes, cases: Mapping[str, xr.Dataset]) -> None:
        labels = ["nearly fixed $x_0$, step 8e-06", r"$x_0 \sim N(0, I/4)$, step 2e-06"]
        keys = []
        for place, (label, case, colour, marker) in enumerate(
            zip(labels, cases.values(), CASE_COLOURS[5:], CASE_MARKERS[5:], strict=False)
        ):
            gaps = final_gaps(case)
            for row, form in enumerate(FORMS):
                values = gaps.sel(variant=form).values
                height = len(FORMS) - 1 - row + 0.16 - 0.32 * place
                finite = values[np.isfinite(values)]
                axes.plot(finite, np.full(finite.size, height), color=colour, marker=marker, linestyle="none")
                if finite.size < values.size:
                    axes.plot(1.6, height, color=colour, linestyle="none", **CROSS)
                    axes.text(
                        1.75,
                        height,
                        f"{values.size - finite.size} of {values.size}",
                        va="center",
                        fontsize=layout.SMALL,
                    )
            keys.append(line_key(label, color=colour, marker=marker, linestyle="none"))
        axes.set_yticks(range(len(FORMS)), list(FORMS.values())[::-1])
        axes.set(title="By the form of the method", xlabel="gap on task 1\nafter 100 iterations", xlim=(0.0, 2.3))
        axes.set_xticks([0.0, 0.5, 1.0])
        axes.set_ylim(-0.6, len(FORMS) - 0.4)
        axes.legend(handles=keys, **BELOW)


def _with_range(axes: Axes, places: Any, gaps: xr.DataArray, colour: str, marker: str) -> None:
    """Draw medians over the seeds with their range; runs that diverged count as infinite and are not drawn."""
    middle = gaps.median("seed", skipna=False).values
    finite = gaps.where(np.isfinite(gaps))
    ends = np.abs(np.stack([finite.min("seed").values, finite.max("seed").values]) - middle)
    axes.errorbar(places, middle, ends, color=colour, marker=marker, linestyle="none", capsize=2, zorder=3)


@tables.register("toso2024_met")
class Toso2024Met(Table):
    """What Toso, Zhan, Anderson, Wang (2024) report of task 1, and what our runs with their settings have."""

    columns: ClassVar[Columns] = {
        "place": Column("reported in", text=True),
        "epsilon": Column("ε", lambda row: f"{row['epsilon']:g}"),
        "step": Column("step", lambda row: f"{row['step']:.2g}"),
        "iteration": Column("iteration"),
        "reported": Column("reported gap", lambda row: number(row["reported"])),
        "ours": spread("ours", "ours (range of the seeds)"),
        "ours_min": None,
        "ours_max": None,
        "deviation": Column("deviation", lambda row: percent(row["deviation"])),
        "diverged": Column("runs diverged", lambda row: f"{row['diverged']} of {row['runs']}"),
        "runs": None,
        "met": Column(f"met within {TOLERANCE:.0%}", text=True),
    }

    def takes(self, experiment: Experiment) -> bool:
        """Those with runs at settings that were reported."""
        return experiment.name in ("toso2024_reported", "toso2024_one_step")

    def tabulate(self, datasets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A row for every reported iteration at which runs of ours end."""
        reported = summaries.cases(datasets["toso2024_reported"])
        one_step = summaries.cases(datasets["toso2024_one_step"])
        for log in LOGS:
            gaps = [final_gaps(reported[log.case])] if log in LOGS[:3] else []
            steps = final_gaps(one_step[log.case])
            if log.step in steps["learning_rate"].values:
                gaps.append(steps.sel(learning_rate=log.step))
            for found in gaps:
                for iteration in found["iterations"].values.tolist():
                    if iteration in log.gaps:
                        yield _compared(log, iteration, found.sel(iterations=iteration).values)


def _compared(log: Curve, iteration: int, ours: FloatArray) -> dict[str, Any]:
    """A row of the table: the final gaps of the seeds beside the reported one."""
    middle, deviation = float(np.median(ours)), float(np.median(ours)) / log.gaps[iteration] - 1.0
    return {
        "place": log.place,
        "epsilon": log.epsilon,
        "step": log.step,
        "iteration": iteration,
        "reported": log.gaps[iteration],
        "ours": middle,
        "ours_min": float(ours.min()),
        "ours_max": float(ours.max()),
        "deviation": deviation,
        "diverged": int(np.isinf(ours).sum()),
        "runs": ours.size,
        "met": "yes" if abs(deviation) <= TOLERANCE else "no",
    }

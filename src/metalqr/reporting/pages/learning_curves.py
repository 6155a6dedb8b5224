"""The first screen: the learning curves of all experiments, Figure 1 before all others, and a table of their runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import sections
from metalqr.reporting import summaries
from metalqr.reporting.labels import GAP, MEASURED, declared
from metalqr.reporting.pages.chart import Axis, Chart, Control, Finding
from metalqr.reporting.pages.curves import DASHES, INK, LINES, curve, looks, plain, points_each
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr

#: The experiment that is shown first, where there is one of this name.
FIRST = "figure1"
#: The method of an experiment without variants and swept settings.
ONLY = "as the case"


@sections.register("learning_curves")
class LearningCurves(Section):
    """Learning curves of every run of every experiment, beginning with Figure 1 of the paper."""

    category = "Learning curves"
    place = 10
    shows = ("learning_curves", "hyperparameters", "variants", "summary")

    def charts(self, datasets: Mapping[str, xr.DataTree]) -> Sequence[Chart]:
        """One chart with a choice of the experiment."""
        names = sorted(datasets, key=lambda name: name != FIRST)
        found = {name: summaries.cases(datasets[name]) for name in names}
        curves = [each for name in names for each in experiment_curves(name, found[name])]
        values = {
            field: list(dict.fromkeys(each[field] for each in curves if field in each))
            for field in ("experiment", "case", "method")
        }
        return [
            Chart(
                title="Figure 1 and every other experiment" if FIRST in datasets else "Every experiment",
                caption="The average cost difference ratio, the sum over tasks of J_i(K) - J_i* by the sum of J_i*, "
                "with exact costs: what a gain costs beyond the optimum of each task. A thick line is the "
                "median over seeds, a thin one a run, a dashed horizontal one the best single gain found. A "
                "cross ends a run that diverged; the median counts it as infinite. A case marked as absolute "
                "gap shows the sum of J_i(K) - J_i* itself, one marked as measured cost the cost relative to "
                "that of the initial gain. The linear axes are the paper's; logarithmic ones show the floor.",
                see=[Finding(line, {"experiment": name}) for name in names for line in findings(name, found[name])],
                x=Axis("iteration", "iterations", others={"steps": "rollout steps"}),
                y=Axis("ratio", "average cost difference ratio"),
                curves=curves,
                choices=[Control("experiment", "experiment", values["experiment"])],
                switches=[
                    Control("case", "cases", values["case"]),
                    Control("method", "methods", values["method"]),
                    Control("kind", "lines", ["median", "run", "reference"], LINES),
                ],
                table={
                    "case": "case", "method": "method", "seed": "seed", "first": "first ratio", "final": "final ratio",
                    "floor": "best single gain", "total_steps": "rollout steps", "outcome": "end",
                },
                height=380,
            )
        ]  # fmt: skip


def experiment_curves(experiment: str, cases: Mapping[str, xr.Dataset]) -> Iterator[dict[str, Any]]:
    """The curves of all runs of an experiment, with the medians over seeds and the floors."""
    points = [(name, method, point) for name, case in cases.items() for method, point in methods(case)]
    seeds = sum(point.sizes["seed"] for _, _, point in points)
    most = points_each(seeds + len(points))
    several = list(dict.fromkeys(method for _, method, _ in points))
    colours = looks(several if len(several) > 1 else cases)
    dashes = dict(zip(cases, itertools.cycle(DASHES), strict=False))
    for name, method, point in points:
        look = dict(colours[method if len(several) > 1 else name])
        if len(several) > 1 and len(cases) > 1:
            look["dash"] = dashes[name]
        fields = {"experiment": experiment, "case": _label(name, point), "method": method}
        yield from _runs(point, fields, look, most)
        median = summaries.continued_ratio(point).median("seed", skipna=False).values
        steps = point["rollout_steps"].max("seed").values
        coordinates = {"iteration": point["iteration"].values, "ratio": median, "steps": steps}
        yield curve("median", {**fields, "seed": "median of all"}, coordinates, look, most)
    for name, method, point in points:
        # One line for all methods, unless a sweep changes the tasks.
        is_own = not _has_one_floor(cases[name])
        if is_own or method == next(each for case, each, _ in points if case == name):
            colour = colours[method if len(several) > 1 else name]["colour"] if is_own or len(several) == 1 else INK
            fields = {"experiment": experiment, "case": _label(name, point), **({"method": method} if is_own else {})}
            yield from _floor(point, cases[name], fields, colour)


def _label(name: str, point: xr.Dataset) -> str:
    """The name of a case, and what is shown of one that has no ratio."""
    return f"{name}{GAP if summaries.is_gap(point) else MEASURED if summaries.is_measured(point) else ''}"


def _floor(point: xr.Dataset, case: xr.Dataset, fields: Mapping[str, str], colour: str) -> Iterator[dict[str, Any]]:
    """The line of the best single gain, where it is known, along all iterations of the case."""
    floor = summaries.floor_ratio(point)
    if math.isfinite(floor):
        iterations, steps = (float(case[name].max()) for name in ("iteration", "rollout_steps"))
        points = {"iteration": [0.0, iterations], "ratio": [floor, floor], "steps": [1.0, steps]}
        yield curve("reference", {**fields, "seed": "best single gain"}, points, {"colour": colour, "dash": (5, 3)})


def _runs(point: xr.Dataset, fields: Mapping[str, str], look: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """The runs of one case with one method, with what the table shows of each."""
    final, ended = summaries.final_ratio(point), summaries.diverged(point)
    for place, seed in enumerate(point["seed"].values):
        run = point.isel(seed=place)
        summary = {
            "first": plain(run["ratio"].values[:1])[0],
            "final": plain([final.values[place]])[0],
            "floor": plain([summaries.floor_ratio(point)])[0],
            "total_steps": plain([float(run["rollout_steps"].max())])[0],
            "outcome": str(run["status"].values),
            "diverged": bool(ended.values[place]),
        }
        length = int(summaries.last_iteration(point).values[place]) + 1
        coordinates = {
            "iteration": run["iteration"].values[:length],
            "ratio": run["ratio"].values[:length],
            "steps": run["rollout_steps"].values[:length],
        }
        known = {**fields, "seed": str(seed)}
        yield curve("run", {**known, **summary}, coordinates, {"colour": look["colour"]}, most)
        if summary["diverged"]:
            end = {name: values[-1:] for name, values in coordinates.items()}
            yield curve("dot", {**known, "shape": "cross"}, end, {"colour": look["colour"]})


def methods(case: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """A case at each point of its sweep, with a name: the variant, or the values of the swept settings."""
    swept = summaries.swept_settings(case)
    for places in itertools.product(*(range(case.sizes[setting]) for setting in swept)):
        point = case.isel(dict(zip(swept, places, strict=True)))
        values = {setting: point[setting].item() for setting in swept}
        words = [str(value) if name == "variant" else f"{declared(name).label} {value:g}"
                 if isinstance(value, float) else f"{declared(name).label} {value}"
                 for name, value in values.items()]  # fmt: skip
        yield ", ".join(words) or ONLY, point


def findings(experiment: str, cases: Mapping[str, xr.Dataset]) -> Iterator[str]:
    """What the medians of an experiment do, a sentence for each case: from first to last, or by method."""
    for name, case in cases.items():
        quantity = "measured cost" if summaries.is_measured(case) else "gap" if summaries.is_gap(case) else "ratio"
        ends = {method: float(summaries.final_ratio(point).median()) for method, point in methods(case)}
        least, most = min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)
        if len(ends) > 1:
            text = f"{experiment}, {name}: the smallest median of the final {quantity} is {number(ends[least])} "
            text += f"({least}), the largest {number(ends[most])} ({most})"
        else:
            first = float(case["ratio"].isel(iteration=0).median())
            text = f"{experiment}, {name}: the median {quantity} goes from {number(first)} to {number(ends[least])}"
        floor = summaries.floor_ratio(case) if _has_one_floor(case) else math.nan
        if math.isfinite(floor) and floor > 0 and math.isfinite(ends[least]):
            text += f"; the best single gain has {number(floor)}"
        ended = summaries.diverged(case)
        if count := int(ended.sum()):
            text += f"; {count} of {ended.size} runs diverged"
        yield f"{text}."


def _has_one_floor(case: xr.Dataset) -> bool:
    """False where there is no model, or where a sweep changes the tasks."""
    return not summaries.is_measured(case) and case["J_shared"].dims == ("task",)

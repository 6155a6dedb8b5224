"""Sample efficiency: the ratio of tuned variants against all steps that were simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting import sample_efficiency, summaries
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import INK, LINES, curve, looks
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.config.experiments import Experiment


@sections.register("sample_efficiency")
class SampleEfficiency(Section):
    """How many rollout steps the variants of an experiment need."""

    category = "Sample efficiency"
    place = 20
    shows = ("sample_efficiency",)

    def takes(self, experiment: Experiment) -> bool:
        """Every experiment with variants and no other axis, of which one is tuned."""
        return sample_efficiency.takes(experiment)

    def charts(self, datasets: Mapping[str, xr.DataTree]) -> Sequence[Chart]:
        """One chart for each experiment, with a panel for each case."""
        return [_chart(name, summaries.cases(tree, axes=1)) for name, tree in datasets.items()]


def _chart(experiment: str, cases: Mapping[str, xr.Dataset]) -> Chart:
    names = list(dict.fromkeys(str(each) for case in cases.values() for each in case["variant"].values))
    return Chart(
        title=f"Rollout steps of the variants of {experiment}",
        caption="The median over seeds of the average cost difference ratio against all steps that a run simulated, "
        "of all tasks, outer and inner; the band is the range over seeds. The dashed line is the best single "
        "gain found. The steps by which a learning rate was tuned are in the table alone.",
        see=[line for name, case in cases.items() for line in _findings(name, case)],
        x=Axis("steps", "rollout steps", is_log=True),
        y=Axis("ratio", "average cost difference ratio", is_log=True),
        curves=[each for name, case in cases.items() for each in _curves(name, case, looks(names))],
        panels=list(cases),
        switches=[
            Control("method", "methods", names),
            Control("kind", "lines", ["median", "band", "reference"], LINES),
        ],
    )


def _curves(name: str, case: xr.Dataset, look: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for variant in map(str, case["variant"].values):
        point = case.sel(variant=variant)
        ratio = summaries.continued_ratio(point)
        ratio = ratio.where(np.isfinite(ratio))
        steps = point["rollout_steps"].max("seed").values
        fields = {"panel": name, "case": name, "method": variant}
        middle = summaries.continued_ratio(point).median("seed", skipna=False).values
        ends = {"low": ratio.min("seed").values, "high": ratio.max("seed").values}
        yield curve("band", fields, {"steps": steps, **ends}, look[variant], 100)
        yield curve("median", fields, {"steps": steps, "ratio": middle}, look[variant], 150)
    counted = case["rollout_steps"].where(case["rollout_steps"] > 0)
    ends_of_axis = np.array([float(counted.min()), float(counted.max())])
    floor = np.full(2, summaries.floor_ratio(case))
    if np.isfinite([floor, ends_of_axis]).all():
        points = {"steps": ends_of_axis, "ratio": floor}
        yield curve("reference", {"panel": name}, points, {"colour": INK, "dash": (5, 3)})


def _findings(name: str, case: xr.Dataset) -> Iterator[str]:
    """Which variant needs the fewest steps to the final ratio of the reference."""
    target, reference = sample_efficiency.reference_ratio(case), sample_efficiency.reference(case)
    steps = {
        variant: sample_efficiency.steps_to(case.sel(variant=variant), target)
        for variant in map(str, case["variant"].values)
    }
    best = min(steps, key=lambda variant: steps[variant])
    own = steps[reference]
    if math.isfinite(own) and best != reference:
        yield (
            f"{name}: {best} reaches the final ratio of {reference}, {number(target)}, with {steps[best]:,.0f} "
            f"rollout steps; {reference} takes {own:,.0f}, {own / steps[best]:,.0f} times as many."
        )

"""The exact first-order methods: gaps to the optimum at every iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting.figures.exact_methods import METHODS
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import curve, looks
from metalqr.reporting.pages.section import Section

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.lqr import FloatArray

LABELS = {method.key: method.label for method in METHODS}
#: The descent on the meta-objective, which has one curve for all tasks.
MAML = LABELS[None]
#: Relative gaps below this are rounding.
LEAST = 1e-12


@sections.register("exact_methods")
class ExactMethods(Section):
    """Convergence with exact gradients."""

    reads = "exact_methods"
    category = "Theory"
    place = 70
    shows = ("exact_methods",)

    def charts(self, datasets: Mapping[str, xr.Dataset]) -> Sequence[Chart]:
        """One chart with a panel for each case."""
        labels = list(LABELS.values())
        return [
            Chart(
                title="First-order methods with exact gradients",
                caption="The gap relative to the first, (J_i(K_n) - J_i*) / (J_i(K_0) - J_i*): a thin line for each "
                "task, a thick one for the median over tasks. MAML gradient descent is on the "
                "meta-objective, and has one line.",
                see=[line for name, dataset in datasets.items() for line in _findings(name, dataset)],
                x=Axis("iteration", "iterations"),
                y=Axis("gap", "gap, relative to the first", is_log=True),
                curves=[each for name, dataset in datasets.items() for each in _curves(name, dataset, looks(labels))],
                panels=list(datasets),
                switches=[
                    Control("method", "methods", labels),
                    Control("kind", "lines", ["median", "run"], {"median": "median over tasks", "run": "single tasks"}),
                ],
            )
        ]


def _curves(name: str, dataset: xr.Dataset, look: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    iteration = dataset["iteration"].values.astype(float)
    for descent in map(str, dataset["descent"].values):
        method = LABELS[descent]
        gaps = _relative(dataset["gap"].sel(descent=descent).values)
        fields = {"panel": name, "case": name, "method": method}
        for task, gap in enumerate(gaps):
            yield curve(
                "run", {**fields, "task": str(task)}, _shown(iteration, gap), {"colour": look[method]["colour"]}, 80
            )
        yield curve("median", fields, _shown(iteration, np.median(gaps, axis=0)), look[method], 120)
    maml = _relative(dataset["meta_gap"].values[np.newaxis])[0]
    if np.isfinite(maml).any():
        yield curve("median", {"panel": name, "case": name, "method": MAML}, _shown(iteration, maml), look[MAML], 120)


def _relative(gaps: FloatArray) -> FloatArray:
    """Gaps (task, iteration) by the first, NaN where that is none."""
    first = gaps[:, :1]
    return np.divide(gaps, first, where=first > 0, out=np.full_like(gaps, np.nan))


def _shown(iteration: FloatArray, gap: FloatArray) -> dict[str, FloatArray]:
    """The points until the gap is only rounding."""
    small = np.flatnonzero(gap < LEAST)
    end = int(small[0]) if small.size else len(gap)
    return {"iteration": iteration[: max(end, 1)], "gap": gap[: max(end, 1)]}


def _findings(name: str, dataset: xr.Dataset) -> Iterator[str]:
    """Iterations of the methods to a thousandth of the gap, in the median task."""
    words = []
    for descent in map(str, dataset["descent"].values):
        middle = np.median(_relative(dataset["gap"].sel(descent=descent).values), axis=0)
        reached = np.flatnonzero(middle <= 1e-3)
        words.append(f"{LABELS[descent]} {f'takes {reached[0]}' if reached.size else 'does not get there'}")
    yield f"{name}: iterations to a thousandth of the first gap, in the median over tasks: {'; '.join(words)}."

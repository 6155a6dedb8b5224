"""Adaptation of trained gains, and of what they are compared with, to tasks that no training has seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting.adaptation import Summary, stated_estimator, title
from metalqr.reporting.pages.chart import Axis, Chart, Control, Finding
from metalqr.reporting.pages.curves import DASHES, INK, curve, looks
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr

#: The step size that is shown: the one tuned on other unseen tasks.
TUNED = "tuned"


@sections.register("adaptation")
class Adaptation(Section):
    """Gaps on unseen tasks after each adaptation step."""

    reads = "evaluation"
    category = "Adaptation"
    place = 30
    shows = ("adaptation", "regret")

    def charts(self, datasets: Mapping[str, xr.Dataset]) -> Sequence[Chart]:
        """One chart with a panel for each case of each experiment, and a choice of the estimate."""
        labels = {name: title(name, list(datasets)) for name in datasets}
        estimators = {estimator for dataset in datasets.values() for estimator in dataset["estimator"].values.tolist()}
        stated = list(dict.fromkeys(stated_estimator(dataset) for dataset in datasets.values()))
        starts = list(dict.fromkeys(start for each in datasets.values() for start in each["start"].values.tolist()))
        trained = {
            start for each in datasets.values() for start in each["start"].values[each["kind"].values == "trained"]
        }
        look = looks(start for start in starts if start in trained)
        others = [start for start in starts if start not in trained]
        look |= {start: {"colour": INK, "dash": DASHES[place % len(DASHES)]} for place, start in enumerate(others)}
        return [
            Chart(
                title="Steps on unseen tasks",
                caption="The gap (J_i(K) - J_i*) / J_i* after each adaptation step, the median over unseen tasks, "
                "repetitions and seeds; step sizes are tuned on other unseen tasks, for each starting gain. "
                "A gain that does not stabilise a task counts as infinite. Coloured lines start from trained "
                "gains, those in the colour of the text from the gains that they are compared with.",
                see=[line for name, dataset in datasets.items() for line in _findings(labels[name], dataset)],
                x=Axis("step", "adaptation steps", is_fixed=True),
                y=Axis("gap", "gap, relative to the optimum", is_log=True),
                curves=[each for name, dataset in datasets.items() for each in _curves(labels[name], dataset, look)],
                panels=list(labels.values()),
                choices=[Control("estimator", "gradient", [*stated, *sorted(estimators - set(stated))])],
                switches=[Control("start", "starts", starts)],
            )
        ]


def _curves(name: str, dataset: xr.Dataset, look: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for start in dataset["start"].values.tolist():
        for estimator in dataset["estimator"].values.tolist():
            found = dataset["gap"].sel(start=start, estimator=estimator, rate=TUNED)
            summary = Summary.of(found)
            if summary is None:
                continue
            fields = {"panel": name, "case": name, "start": start, "estimator": estimator}
            points = {"step": dataset["step"].values.astype(float), "gap": summary.median, "unstable": summary.unstable}
            yield curve("median", fields, points, look[start])


def _findings(name: str, dataset: xr.Dataset) -> Iterator[Finding]:
    """The smallest and the largest median gap after the last step, for each kind of gradient."""
    for estimator in dataset["estimator"].values.tolist():
        ends: dict[str, float] = {}
        for start in dataset["start"].values.tolist():
            summary = Summary.of(dataset["gap"].sel(start=start, estimator=estimator, rate=TUNED))
            if summary is not None and np.isfinite(summary.median[-1]):
                ends[start] = float(summary.median[-1])
        if len(ends) > 1:
            best, worst = min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)
            text = (
                f"{name}: after {int(dataset['step'].values[-1])} steps ({estimator}) the median gap is smallest from "
                f"{best}, {number(ends[best])}, and largest from {worst}, {number(ends[worst])}."
            )
            yield Finding(text, {"estimator": estimator})

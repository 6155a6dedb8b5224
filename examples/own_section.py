"""A section of the page of your own: the steps that the gains of a run take, one curve for each case.

Copy the file beside your config and name it there, ``plugins: [own_section.py]``: `snakemake pages` then also makes
``results/sections/gradient_norms.json``, and the page has the chart under a heading of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metalqr.config.registries import sections
from metalqr.reporting import summaries
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import curve, looks
from metalqr.reporting.pages.section import Section


@sections.register("gradient_norms")
class GradientNorms(Section):
    """The norm of the estimated gradient along the runs."""

    # It shows the datasets of experiments. Sections are in the order of their places, those of metalqr from 10 to 71.
    reads = "datasets"
    category = "Gradients"
    place = 90

    def takes(self, experiment: Any) -> bool:
        """Take the experiments without a sweep."""
        return not experiment.axes

    def charts(self, datasets: Mapping[str, Any]) -> Sequence[Chart]:
        """Draw a line for each case, with a choice of the experiment."""
        curves, cases, smallest = [], [], {}
        for experiment, dataset in datasets.items():
            found = summaries.cases(dataset)
            for name, look in looks(found).items():
                norm = found[name]["gradient_norm"].median("seed")
                points = {"iteration": norm["iteration"].values, "norm": norm.values}
                curves.append(curve("median", {"experiment": experiment, "case": name}, points, look))
                cases.append(name)
                smallest[f"{experiment}, {name}"] = float(norm.min())
        return [
            Chart(
                title="Norm of the estimated gradient",
                caption="The Frobenius norm of the estimate, the median over seeds.",
                see=[f"{name}: it falls to {value:.3g}." for name, value in smallest.items()],
                x=Axis("iteration", "iterations"),
                y=Axis("norm", "norm of the estimated gradient", is_log=True),
                curves=curves,
                choices=[Control("experiment", "experiment", list(datasets))],
                switches=[Control("case", "cases", list(dict.fromkeys(cases)))],
            )
        ]

"""A figure of your own: the ratio against the simulated steps that it took, instead of against iterations.

Copy the file beside your config and name it there, ``plugins: [own_figure.py]``: `snakemake figures` then also makes
``results/figures/simulated_steps.pdf``, ``.svg`` and ``.png``, and the report shows it with its caption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import figures
from metalqr.reporting import summaries
from metalqr.reporting.figures.figure import Figure
from metalqr.reporting.figures.style import new_figure
from metalqr.reporting.labels import case_labels

if TYPE_CHECKING:
    import matplotlib.figure


@figures.register("simulated_steps")
class SimulatedSteps(Figure):
    """The median ratio over the simulated steps, of every experiment without a sweep."""

    # It shows the datasets of experiments, all in one figure. `file = "{name}-steps"` would make one for each.
    reads = "datasets"

    def takes(self, experiment: Any) -> bool:
        """Take the experiments without a sweep."""
        return not experiment.axes

    def caption(self, config: Mapping[str, Any], names: Sequence[str]) -> str:
        """Name the experiments."""
        return f"**Median ratio over the simulated steps**, of the experiments {', '.join(names)}."

    def draw(self, datasets: Mapping[str, Any]) -> matplotlib.figure.Figure:
        """Draw a line for each case."""
        # Import Matplotlib, pandas, xarray and SciPy here, not at module level, because planning imports this file.
        figure = new_figure(6.4, 4.2)  # inches
        axes = figure.add_subplot()
        for experiment, dataset in datasets.items():
            cases = summaries.cases(dataset)
            labels = case_labels(cases)  # which also tell where there are no optima: the ratio is of measured costs
            for name, case in cases.items():
                learned = case.isel(iteration=slice(1, None))  # a logarithmic axis has no zero
                steps, ratio = learned["rollout_steps"], summaries.continued_ratio(learned)
                axes.plot(steps.median("seed"), ratio.median("seed"), label=f"{experiment}, {labels[name]}")
        axes.set(xscale="log", yscale="log", xlabel="simulated steps", ylabel="average cost difference ratio")
        figure.legend(loc="outside lower center")
        return figure

"""The systems: what the initial gain, the best single gain and the optimum of each task cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting import summaries
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import curve, looks
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr

#: Gains by the names of their costs in a dataset.
GAINS = {"J0": "initial gain", "J_shared": "best single gain", "J_star": "optimum of the task"}
SHAPES = {"J0": "triangle-up", "J_shared": "square", "J_star": "circle"}


@sections.register("systems")
class Systems(Section):
    """The tasks of every case, and what there is to gain."""

    category = "Systems"
    place = 60
    shows = ("learnability", "method_bias")

    def charts(self, datasets: Mapping[str, xr.DataTree]) -> Sequence[Chart]:
        """One chart with a panel for each case that has a model and whose tasks are the same in all runs."""
        found: dict[str, xr.Dataset] = {}
        for tree in datasets.values():
            for name, case in summaries.cases(tree).items():
                if not summaries.is_measured(case) and case["J_star"].dims == ("task",):
                    found.setdefault(name, case)
        labels = {
            name: f"{name}: d = {case.attrs['state_dim']}, k = {case.attrs['action_dim']}"
            for name, case in found.items()
        }
        return [
            Chart(
                title="Costs of the tasks",
                caption="The exact cost of each task with the gain that training starts from, the best single gain "
                "found, and the task's own optimum. Training one gain for all tasks can reach the second; "
                "the rest is left to adaptation. Cases with a simulator have no known optima and are not "
                "shown.",
                see=[line for name, case in found.items() for line in _findings(name, case)],
                x=Axis("task", "task", is_fixed=True),
                y=Axis("cost", "cost", is_log=True),
                curves=[each for name, case in found.items() for each in _curves(labels[name], case)],
                panels=list(labels.values()),
                switches=[Control("gain", "gains", list(GAINS.values()))],
                height=220,
            )
        ]


def _curves(label: str, case: xr.Dataset) -> Iterator[dict[str, Any]]:
    look = looks(GAINS)
    for variable, gain in GAINS.items():
        costs = case[variable].values
        points = {"task": np.arange(costs.size, dtype=float), "cost": costs}
        yield curve("dot", {"panel": label, "gain": gain, "shape": SHAPES[variable]}, points, look[variable])


def _findings(name: str, case: xr.Dataset) -> Iterator[str]:
    first, shared, best = (float(case[variable].sum()) for variable in GAINS)
    if np.isfinite([first, shared, best]).all() and best > 0:
        yield (
            f"{name}: over all tasks the initial gain costs {number(100 * (first / best - 1))} % more than the "
            f"optima, the best single gain {number(100 * (shared / best - 1))} % more."
        )

"""The benefit of meta-learning: a step from the optimum of the meta-objective against one from the best single gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting import benefit
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import INK, curve, looks
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr


@sections.register("meta_benefit")
class MetaBenefit(Section):
    """Where meta-learning pays, by exact values."""

    reads = "meta_benefit"
    category = "Benefit"
    place = 40
    shows = ("meta_benefit", "heterogeneity")

    def charts(self, datasets: Mapping[str, xr.Dataset]) -> Sequence[Chart]:
        """One chart with a panel for each case, and a choice of the heterogeneity and of the tasks."""
        levels = sorted({float(level) for each in datasets.values() for level in each["heterogeneity"].values})
        middle = min(levels, key=lambda level: abs(level - 1.0))
        differences = list(dict.fromkeys(str(each) for data in datasets.values() for each in data["difference"].values))
        return [
            Chart(
                title="One step from the meta-optimum against one from the best single gain",
                caption="The gap after one exact step from the optimum of the meta-objective L, divided by that "
                "after one step from the best single gain: the median over tasks, then the middle one of the "
                "draws of training tasks; bands reach over all draws. Below 1 meta-learning pays. The "
                "adaptation rate is a share of the largest at which the meta-objective exists; heterogeneity "
                "is a factor of the differences between tasks.",
                see=[line for name, dataset in datasets.items() for line in _findings(name, dataset)],
                x=Axis("share", "adaptation rate, as a share of the largest", is_log=True),
                y=Axis("ratio", "ratio of the gaps", is_log=True),
                curves=[each for name, data in datasets.items() for each in _curves(name, data, looks(differences))],
                panels=list(datasets),
                choices=[
                    Control("tasks", "tasks", ["unseen", "training"]),
                    Control(
                        "heterogeneity", "heterogeneity",
                        [f"{level:g}" for level in [middle, *(level for level in levels if level != middle)]],
                    ),
                ],
                switches=[Control("difference", "what differs", differences)],
            )
        ]  # fmt: skip


def _curves(name: str, dataset: xr.Dataset, look: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    shares = dataset["share"].values
    for tasks in benefit.TASKS:
        spread = benefit.Spread.of(benefit.ratios(dataset, tasks))
        for difference in map(str, dataset["difference"].values):
            for level in dataset["heterogeneity"].values:
                at = {"difference": difference, "heterogeneity": level}
                middle, low, high = (each.sel(at).values for each in spread)
                fields = {"panel": name, "case": name, "tasks": tasks}
                fields |= {"difference": difference, "heterogeneity": f"{level:g}"}
                yield curve("band", fields, {"share": shares, "low": low, "high": high}, look[difference])
                yield curve("median", fields, {"share": shares, "ratio": middle}, look[difference])
    ends = np.array([shares.min(), shares.max()])
    yield curve("reference", {"panel": name}, {"share": ends, "ratio": np.ones(2)}, {"colour": INK, "dash": (5, 3)})


def _findings(name: str, dataset: xr.Dataset) -> Iterator[str]:
    """The smallest ratio on unseen tasks."""
    middle = benefit.Spread.of(benefit.ratios(dataset, "unseen")).middle
    if not np.isfinite(middle).any():
        return
    least = middle.where(np.isfinite(middle)).stack(point=middle.dims)
    place = least.isel(point=int(least.argmin("point")))
    words = "pays most" if float(place) < 1 else "pays nowhere; it comes closest"
    yield (
        f"{name}: on unseen tasks meta-learning {words} where {place['difference'].item()} differ, at heterogeneity "
        f"{place['heterogeneity'].item():g} and {place['share'].item():g} of the largest adaptation rate, with "
        f"{number(float(place))} of the gap."
    )

"""The true error of Algorithms 1 and 2 against the number of perturbations, the radius and the length of rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting.labels import declared
from metalqr.reporting.pages.chart import Axis, Chart, Control, Finding
from metalqr.reporting.pages.curves import curve, looks
from metalqr.reporting.pages.section import Section
from metalqr.reporting.tables.markdown import number

if TYPE_CHECKING:
    import xarray as xr

    from metalqr.lqr import FloatArray

ALGORITHMS = {1: "Algorithm 1", 2: "Algorithm 2"}


@sections.register("estimation_error")
class EstimationError(Section):
    """How far the estimates of the algorithms are from exact gradients."""

    reads = "estimation_error"
    category = "Theory"
    place = 71
    shows = ("estimation_error",)

    def charts(self, datasets: Mapping[str, xr.Dataset]) -> Sequence[Chart]:
        """One chart with a panel for each algorithm, and a choice of the setting that changes."""
        (first, *_) = datasets.values()
        settings = {name: declared(name).label for name in map(str, first["parameter"].values)}
        return [
            Chart(
                title="True errors of the estimates at the initial gain",
                caption="The mean error of an estimate, relative to the norm of the exact gradient; of Algorithm 1 "
                "the mean over tasks. One setting changes, the others are those of the case; the band "
                "reaches to the 90 % quantile.",
                see=[line for name, dataset in datasets.items() for line in _findings(name, dataset, settings)],
                x=Axis("value", "value of the setting", is_log=True),
                y=Axis("error", "error, relative to the gradient", is_log=True),
                curves=[
                    each
                    for name, dataset in datasets.items()
                    for setting, label in settings.items()
                    for each in _curves(name, dataset, setting, label, looks(datasets)[name])
                ],
                panels=list(ALGORITHMS.values()),
                choices=[Control("setting", "setting", list(settings.values()))],
                switches=[
                    Control("case", "cases", list(datasets)),
                    Control("kind", "lines", ["median", "band"], {"median": "mean", "band": "up to the 90 % quantile"}),
                ],
            )
        ]


def _curves(
    name: str, dataset: xr.Dataset, setting: str, label: str, look: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for algorithm, panel in ALGORITHMS.items():
        values = dataset[setting].values.astype(float)
        mean, quantile = (_relative(dataset, f"error_{kind}_{setting}", algorithm) for kind in ("mean", "quantile"))
        fields = {"panel": panel, "case": name, "setting": label}
        yield curve("band", fields, {"value": values, "low": mean, "high": quantile}, look)
        yield curve("median", fields, {"value": values, "error": mean}, look)


def _relative(dataset: xr.Dataset, variable: str, algorithm: int) -> FloatArray:
    """The mean over the targets of an algorithm that have a gradient, by value of the setting."""
    known = (dataset["algorithm"].values == algorithm) & (dataset["exact_norm"].values > 0)
    chosen = dataset.isel(target=np.flatnonzero(known))
    return np.asarray((chosen[variable] / chosen["exact_norm"]).mean("target"))


def _findings(name: str, dataset: xr.Dataset, settings: Mapping[str, str]) -> Iterator[Finding]:
    """The error with the last value of each setting."""
    for setting, words in settings.items():
        for algorithm, label in ALGORITHMS.items():
            errors = _relative(dataset, f"error_mean_{setting}", algorithm)
            known = np.flatnonzero(np.isfinite(errors))
            if known.size:
                value, share = dataset[setting].values[known[-1]], number(float(errors[known[-1]]))
                text = f"{name}, {label}: the mean error with {words} {value:g} is {share} of the gradient."
                yield Finding(text, {"setting": words})

"""Learning curves that are predicted without simulation, beside those of the runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.config.registries import sections
from metalqr.reporting.pages.chart import Axis, Chart, Control
from metalqr.reporting.pages.curves import COLOURS, INK, curve, looks
from metalqr.reporting.pages.section import Section

if TYPE_CHECKING:
    import xarray as xr

MEASURED, PREDICTED, RANGE, BAND = "measured median", "predicted median", "range of the runs", "predicted 5 to 95 %"
#: Of the points, whose colours repeat before these do; a cross is a run that diverged.
SHAPES = ("circle", "square", "triangle-up", "diamond")


@sections.register("prediction")
class Prediction(Section):
    """Predicted learning curves against measured ones."""

    reads = "predictions"
    category = "Prediction"
    place = 50
    shows = ("prediction",)

    def charts(self, datasets: Mapping[str, xr.DataTree]) -> Sequence[Chart]:
        """A chart of one predicted curve with a choice of which, and one of all final ratios."""
        places = list(_places(datasets))
        curves = [each for name, place, known in places for each in _curves(name, place, known)]
        ends = [each for each in _ends(places) if None not in (*each["points"]["expected"], *each["points"]["ratio"])]
        experiments = list(dict.fromkeys(each["experiment"] for each in ends))
        if len(ends) > 0:
            values = np.array([[*each["points"]["expected"], *each["points"]["ratio"]] for each in ends])
            span = np.array([values.min(), values.max()])
            diagonal = {"expected": span, "ratio": span}
            ends.append(curve("reference", {"what": "equal"}, diagonal, {"colour": INK, "dash": (5, 3)}))
        return [
            Chart(
                title="One learning curve, predicted and measured",
                caption="The prediction takes the tasks, the settings and the initial gain, and no simulation. It "
                "ends where it is no longer valid.",
                see=[],
                x=Axis("iteration", "iterations"),
                y=Axis("ratio", "average cost difference ratio", is_log=True),
                curves=curves,
                choices=[Control("configuration", "curve", list(dict.fromkeys(name for name, _, _ in places)))],
                switches=[Control("what", "lines", [MEASURED, RANGE, PREDICTED, BAND])],
            ),
            Chart(
                title="Final ratios, predicted and measured",
                caption="A point for each configuration: the median final ratio of its runs against the predicted "
                "median at the same iteration. On the dashed line both are equal. Configurations of which "
                "the median run diverged, or whose prediction ends before, have no point.",
                see=_findings([each for each in ends if each["kind"] == "dot"]),
                x=Axis("expected", "predicted", is_log=True),
                y=Axis("ratio", "measured", is_log=True),
                curves=ends,
                switches=[Control("experiment", "experiments", experiments)],
                height=340,
            ),
        ]


def _places(datasets: Mapping[str, xr.DataTree]) -> Iterator[tuple[str, xr.Dataset, dict[str, str]]]:
    """Each configuration with its name and fields."""
    from metalqr.reporting import predictions

    for experiment, case, compared in predictions.cases(datasets):
        for number in range(compared.sizes["configuration"]):
            place = compared.isel(configuration=number)
            configuration = str(place["configuration"].values)
            words = [experiment, case, *([configuration] if configuration != experiment else [])]
            yield ", ".join(words), place, {"experiment": experiment, "case": case}


def _curves(name: str, place: xr.Dataset, known: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    iteration = place["iteration"].values
    present = np.isfinite(iteration)
    valid = present & (iteration <= int(place["valid_until"]))
    parts = (
        ("band", RANGE, present, {"low": "measured_min", "high": "measured_max"}, COLOURS[0], ()),
        ("band", BAND, valid, {"low": "lower", "high": "upper"}, COLOURS[1], ()),
        ("median", MEASURED, present, {"ratio": "measured"}, COLOURS[0], ()),
        ("median", PREDICTED, valid, {"ratio": "median"}, COLOURS[1], (7, 3)),
    )
    for kind, what, chosen, variables, colour, dash in parts:
        points = {field: place[variable].values[chosen] for field, variable in variables.items()}
        if any(np.isfinite(values).any() for values in points.values()):
            fields = {**known, "configuration": name, "what": what}
            yield curve(kind, fields, {"iteration": iteration[chosen], **points}, {"colour": colour, "dash": dash}, 120)


def _ends(places: Sequence[tuple[str, xr.Dataset, Mapping[str, str]]]) -> Iterator[dict[str, Any]]:
    """The last iteration of each configuration whose prediction is valid until there."""
    names = list(dict.fromkeys(known["experiment"] for _, _, known in places))
    look, shapes = looks(names), dict(zip(names, itertools.cycle(SHAPES), strict=False))
    for name, place, known in places:
        last = int(np.flatnonzero(np.isfinite(place["iteration"].values))[-1])
        if place["iteration"].values[last] <= int(place["valid_until"]):
            points = {"expected": place["median"].values[[last]], "ratio": place["measured"].values[[last]]}
            fields = {**known, "configuration": name, "shape": shapes[known["experiment"]]}
            yield curve("dot", fields, points, look[known["experiment"]])


def _findings(ends: Sequence[Mapping[str, Any]]) -> list[str]:
    pairs = [(one["points"]["ratio"][0], one["points"]["expected"][0]) for one in ends]
    factors = [
        max(measured / predicted, predicted / measured) for measured, predicted in pairs if min(measured, predicted) > 0
    ]
    if not factors:
        return []
    close = sum(factor <= 1.1 for factor in factors)
    return [
        f"Of {len(factors)} configurations, {close} end within 10 % of the prediction; the middle one is off by "
        f"{100 * (float(np.median(factors)) - 1):.2g} %, the worst by a factor of {max(factors):.3g}."
    ]

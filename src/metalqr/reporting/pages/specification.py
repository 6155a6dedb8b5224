"""The specification of a chart in Vega-Lite, by Altair; the page fills in the data, the scales and the theme."""

from __future__ import annotations

from typing import Any

from metalqr.reporting.pages.chart import Chart

#: The name of the data that the page fills in: a row for each point.
ROWS = "rows"
#: What a point has beside its coordinates, for the values under the pointer, with a title each.
SHOWN = {
    "experiment": "experiment", "case": "case", "method": "method", "start": "start", "configuration": "configuration",
    "difference": "difference", "gain": "gain", "task": "task", "seed": "seed", "what": "what",
}  # fmt: skip


def specification(chart: Chart) -> dict[str, Any]:
    """The layers of one panel.

    Fields ``state`` (``plain``, ``faded`` or ``chosen``) and ``order`` of the rows are set by the page.
    """
    import altair as alt

    channels: tuple[Any, Any] = (alt.X, alt.Y)
    x, y = (
        channel(axis.field, type="quantitative", title=axis.title, scale=alt.Scale(zero=False, nice=True))
        for channel, axis in zip(channels, (chart.x, chart.y), strict=True)
    )
    colour = alt.Color("colour:N", scale=None)
    base = alt.Chart(alt.NamedData(ROWS)).encode(x=x, color=colour, detail="curve:N")
    faded = alt.when(alt.datum.state == "faded")
    band = (
        base.transform_filter(alt.datum.kind == "band")
        .mark_area(opacity=0.16, clip=True)
        .encode(y=alt.Y("low", type="quantitative", title=chart.y.title), y2="high")
    )
    layers: list[Any] = [band] if any(curve["kind"] == "band" for curve in chart.curves) else []
    for kind, width, opacity in (("reference", 1.3, 0.9), ("run", 0.9, 0.45), ("median", 2.2, 1.0)):
        if any(curve["kind"] == kind for curve in chart.curves):
            chosen = alt.when(alt.datum.state == "chosen")
            layers.append(
                base.transform_filter(alt.datum.kind == kind)
                .mark_line(clip=True, interpolate="linear", invalid="break-paths-show-domains")
                .encode(
                    y=y,
                    order=alt.Order("order:Q"),
                    strokeDash=alt.StrokeDash("dash:N", scale=None),
                    strokeWidth=chosen.then(alt.value(3.0)).otherwise(alt.value(width)),
                    opacity=faded.then(alt.value(0.08))
                    .when(alt.datum.state == "chosen")
                    .then(alt.value(1.0))
                    .otherwise(alt.value(opacity)),
                )
            )
    tips = [alt.Tooltip(name, type="nominal", title=title) for name, title in _fields(chart).items()]
    tips += [alt.Tooltip(name, type="quantitative", title=title, format=",.5~r") for name, title in _numbers(chart)]
    nearest = alt.selection_point(name="pointer", on="pointerover", nearest=True, clear="pointerout", empty=False)
    reached = base.transform_filter((alt.datum.kind != "band") & (alt.datum.kind != "reference"))
    marks = alt.when(nearest).then(alt.value(1.0)).when(alt.datum.kind == "dot")
    layers.append(
        reached.mark_point(filled=True, size=55, clip=True)
        .encode(
            y=y,
            opacity=marks.then(alt.value(0.85)).otherwise(alt.value(0.0)),
            shape=alt.Shape("shape:N", scale=None),
            tooltip=tips,
        )
        .add_params(nearest)
    )
    found: dict[str, Any] = alt.layer(*layers).properties(width="container", height=chart.height).to_dict()
    # The page has one theme for all charts, and the versions are in its scripts.
    for name in ("config", "$schema"):
        found.pop(name, None)
    return found


def _fields(chart: Chart) -> dict[str, str]:
    present = {name for curve in chart.curves for name in curve}
    return {name: title for name, title in SHOWN.items() if name in present}


def _numbers(chart: Chart) -> list[tuple[str, str]]:
    named = {axis.field: axis.title for axis in (chart.x, chart.y)} | dict(chart.x.others)
    return list(named.items())

"""Curves as the page holds them: few points, few digits, and the colours that all sections share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from metalqr.reporting.figures.palette import CASE_COLOURS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Points of a curve, at most and at least.
MOST, LEAST = 300, 40
#: Points that the curves of one chart have together, while each has more than the least.
TOGETHER = 9000
#: Significant digits that are kept.
DIGITS = 5
#: Those of the figures that can be seen on a dark page, too.
COLOURS = CASE_COLOURS[:6]
#: Black on a light page, white on a dark one.
INK = "ink"
#: The kinds of lines, of charts of runs with seeds.
LINES = {
    "median": "median over seeds",
    "run": "single runs",
    "band": "range over seeds",
    "reference": "best single gain",
}
#: A second distinction, for grey print: dash and gap in pixels, empty for a solid line.
DASHES = ((), (7, 3), (2, 2), (9, 3, 2, 3), (4, 4), (12, 3))


def looks(values: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour and a dash for each value; the dash changes when the colours run out."""
    return {
        value: {"colour": COLOURS[place % len(COLOURS)], "dash": DASHES[place // len(COLOURS) % len(DASHES)]}
        for place, value in enumerate(values)
    }


def points_each(count: int) -> int:
    """Points that each of so many curves of a chart may have."""
    return int(np.clip(TOGETHER // max(count, 1), LEAST, MOST))


def kept(count: int, most: int) -> NDArray[np.int_]:
    """Places that are kept of a curve: half of them even on a linear axis, half on a logarithmic one, and both ends."""
    if count <= most:
        return np.arange(count)
    even, early = np.linspace(0, count - 1, most - most // 2), np.geomspace(1, count, most // 2) - 1
    return np.unique(np.concatenate([even, early]).round().astype(int))


def plain(values: ArrayLike) -> list[float | None]:
    """Numbers with few digits; None for what is not finite, where a curve has a gap."""
    found = np.asarray(values, dtype=float)
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in found.ravel()]


def curve(
    kind: str, fields: Mapping[str, Any], points: Mapping[str, ArrayLike], look: Mapping[str, Any], most: int = MOST
) -> dict[str, Any]:
    """A curve of a chart.

    Parameters
    ----------
    kind : str
        How it is drawn: ``"median"`` is thick, ``"run"`` thin, ``"band"`` an area from ``low`` to ``high``,
        ``"reference"`` thin and without points, ``"dot"`` points alone.
    fields : mapping
        What it is of, for controls, tables and the values under the pointer.
    points : mapping of str to array
        The coordinates of its points, of the same length, by the fields of the axes.
    look : mapping
        ``colour`` and ``dash``, as of :func:`looks`.
    most : int
        Points that are kept.

    Returns
    -------
    dict
        The fields, with ``points``.
    """
    length = np.size(next(iter(points.values())))
    places = kept(length, most)
    thinned = {name: plain(np.asarray(values)[places]) for name, values in points.items()}
    return {**fields, "kind": kind, "colour": look["colour"], "dash": list(look.get("dash", ())), "points": thinned}

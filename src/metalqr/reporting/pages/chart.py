"""What a chart of the page consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Any


@dataclass(frozen=True)
class Control:
    """A choice of one value of a field of the curves, or switches that show and hide each of its values.

    ``values`` is the order in which they are offered, of a choice the chosen one first; ``words`` are others for some.
    """

    field: str
    label: str
    values: Sequence[str]
    words: Mapping[str, str] = with_default(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """An axis: a field of the points and its title.

    A reader may switch it between linear and logarithmic, unless it only counts a few, and ``is_fixed``. Of ``others``,
    fields with their titles, the reader may choose one instead.
    """

    field: str
    title: str
    is_log: bool = False
    is_fixed: bool = False
    others: Mapping[str, str] = with_default(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A sentence of what to see; the page shows it while the choices of the chart are those of its fields."""

    text: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Chart:
    """An interactive chart: curves in one panel or several, with their controls.

    Attributes
    ----------
    title, caption : str
        The heading, and what is shown, in plain text.
    see : sequence of str or Finding
        What to see in it: sentences with numbers from the data; a finding counts for one value of a choice.
    x, y : Axis
        The axes.
    curves : sequence of mappings
        As :func:`metalqr.reporting.pages.curves.curve` makes them.
    panels : sequence of str
        The values of the field ``panel`` of the curves, a panel each; empty for one panel.
    choices, switches : sequence of Control
        The controls.
    table : mapping of str to str
        For a table beside the chart with a row for each run: fields of the curves and their headings; empty without.
    height : int
        Pixels of a panel.
    """

    title: str
    caption: str
    see: Sequence[str | Finding]
    x: Axis
    y: Axis
    curves: Sequence[Mapping[str, Any]]
    panels: Sequence[str] = ()
    choices: Sequence[Control] = ()
    switches: Sequence[Control] = ()
    table: Mapping[str, str] = with_default(default_factory=dict)
    height: int = 300

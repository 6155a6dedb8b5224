"""Colours, markers and lines that several figures share."""

import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")

#: The colours that Okabe and Ito chose for all kinds of sight.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
#: Blue, orange and green as in the paper, then the rest, and two of Paul Tol's where still more are needed.
CASE_COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#882255", "#999933")
#: A second distinction of the curves, for grey print and colour-blind readers.
CASE_MARKERS = ("o", "s", "^", "D", "v", "P", "<", "p")
#: Methods of the default config that two figures show, with their place among colours and markers in each.
PLACES = {"mean cost": 6}
CASE_MARK: dict[str, Any] = {"markersize": 4.0, "markeredgecolor": "white", "markeredgewidth": 0.4}
CROSS: dict[str, Any] = {"marker": "X", "markersize": 6.0, "markeredgecolor": "black", "markeredgewidth": 0.6}
#: Points between axes and title: room for crosses at the top edge.
TITLE_PAD = 7.0
BAND: dict[str, Any] = {"alpha": 0.22, "linewidth": 0}
FLOOR: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 0.9}
#: A predicted learning curve, in a darker shade of the colour of the runs.
PREDICTED: dict[str, Any] = {"linestyle": "-", "linewidth": 0.8}
REFERENCE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.0}


def with_styles(items: Iterable[Item]) -> Iterable[tuple[Item, str, str]]:
    """Each item with its own colour and marker, which :data:`PLACES` keeps for some; both repeat when they run out."""
    found = list(items)
    kept = [PLACES.get(item.replace("_", " ")) if isinstance(item, str) else None for item in found]
    free = itertools.cycle([place for place in range(len(CASE_COLOURS)) if place not in kept])
    for item, own in zip(found, kept, strict=True):
        place = next(free) if own is None else own
        yield item, CASE_COLOURS[place], CASE_MARKERS[place]

"""Colours, markers and lines that several figures share."""

import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")

#: Blue, orange and green as in the paper, then the rest of Matplotlib's cycle.
CASE_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:gray")
#: A second distinction of the curves, for grey print and colour-blind readers.
CASE_MARKERS = ("o", "s", "^", "D", "v", "P", "*")
CASE_MARK: dict[str, Any] = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5}
CROSS: dict[str, Any] = {"marker": "X", "markersize": 8, "markeredgecolor": "black", "markeredgewidth": 0.7}
#: Points between axes and title: room for crosses at the top edge.
TITLE_PAD = 9.0
BAND: dict[str, Any] = {"alpha": 0.22, "linewidth": 0}
FLOOR: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 0.9}
#: A predicted learning curve, in a darker shade of the colour of the runs.
PREDICTED: dict[str, Any] = {"linestyle": "-", "linewidth": 0.8}
REFERENCE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.1}


def with_styles(items: Iterable[Item]) -> Iterable[tuple[Item, str, str]]:
    """Each item with its own colour and marker; both repeat when they run out."""
    return zip(items, itertools.cycle(CASE_COLOURS), itertools.cycle(CASE_MARKERS), strict=False)

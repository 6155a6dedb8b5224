"""Colours, markers and lines that several figures share."""

from typing import Any

#: Blue, orange and green as in the paper, then the rest of Matplotlib's cycle.
CASE_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:gray")
#: A second way to tell the curves apart, for grey print and colour-blind readers.
CASE_MARKERS = ("o", "s", "^", "D", "v", "P", "*")
CROSS: dict[str, Any] = {"marker": "X", "markersize": 8, "markeredgecolor": "black", "markeredgewidth": 0.7}
#: Points between axes and title: room for crosses at the top edge.
TITLE_PAD = 9.0
FLOOR: dict[str, Any] = {"linestyle": (0, (5, 3)), "linewidth": 0.9}
REFERENCE: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.1}

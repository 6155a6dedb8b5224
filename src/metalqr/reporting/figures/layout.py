"""Layouts for any number of cases: panels in rows, curves in groups, titles and legends that fit.

A figure is as wide as one column of a paper or as both, so that print does not make it smaller, and no text is smaller
than :data:`SMALL`. With up to 30 cases it is at most about 34 inches high; more make it higher in proportion.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

Case = TypeVar("Case")
Item = TypeVar("Item")

#: Inches of one column of a paper of two, and of both.
COLUMN, MAX_WIDTH = 3.5, 7.16
#: Points of the texts: of most, of titles, of legends, and the smallest.
TEXT, TITLE, LEGEND, SMALL = 8.0, 8.5, 7.5, 7.0
#: Inches of a line of a legend.
LINE = 0.165
#: Points beside the panels of a row: for a label and for numbers; and between two panels.
MARGIN, BETWEEN = 50.0, 32.0
NO_BREAK = "\xa0"
#: Cases whose curves share one panel; more need a colour twice and hide one another.
MAX_CURVES = 6


def groups(cases: Mapping[str, Case]) -> list[dict[str, Case]]:
    """Cases by name, in as few groups of about one size as panels need that show at most :data:`MAX_CURVES` each.

    Examples
    --------
    >>> [len(group) for group in groups(dict.fromkeys("abcdefgh"))]
    [4, 4]
    """
    parts = _shares(list(cases), math.ceil(len(cases) / MAX_CURVES))
    return [{name: cases[name] for name in part} for part in parts]


def _shares(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Items in so many parts in order, the first of which have one more if the number is not a multiple."""
    short, longer = divmod(len(items), count)
    ends = [short * number + min(number, longer) for number in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(ends)]


def columns_of(count: int, most: int = 3) -> int:
    """Columns of so many panels, at most so many, which leave as few places free as they can.

    Examples
    --------
    >>> [columns_of(count) for count in (1, 2, 4, 5, 30)]
    [1, 2, 2, 3, 3]
    """
    return math.ceil(count / math.ceil(count / most))


def width_of(columns: int) -> float:
    """Inches of a figure with so many columns of panels."""
    return COLUMN if columns == 1 else MAX_WIDTH


def title_width(columns: int) -> float:
    """Points that the title of a panel has, of so many beside one another."""
    return (72.0 * width_of(columns) - MARGIN) / columns - (BETWEEN if columns > 1 else 0.0)


def panels(figure: FigureBase, count: int, columns: int, **options: Any) -> list[Axes]:
    """Axes in rows of so many columns; the options are those of ``subplots``."""
    grid = figure.subplots(math.ceil(count / columns), columns, squeeze=False, **options).ravel()
    for unused in grid[count:]:
        unused.remove()
    return list(grid[:count])


def panel_pairs(
    figure: FigureBase, count: int, columns: int, height_ratios: tuple[float, float]
) -> list[tuple[Axes, Axes]]:
    """Two axes one under the other for each of so many things, in blocks of so many columns."""
    blocks = math.ceil(count / columns)
    grid = figure.subplots(2 * blocks, columns, squeeze=False, height_ratios=height_ratios * blocks)
    places = [divmod(place, columns) for place in range(columns * blocks)]
    pairs = [(grid[2 * block, column], grid[2 * block + 1, column]) for block, column in places]
    for unused in itertools.chain(*pairs[count:]):
        unused.remove()
    return pairs[:count]


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text in points, in the font of all figures; of several lines, that of the longest."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", weight=weight, size=size)
    lines = text.splitlines() or [""]
    return max(float(text_to_path.get_text_width_height_descent(line, font, "$" in line)[0]) for line in lines)


def wrapped(words: str, width: float, size: float, weight: str = "normal") -> str:
    """Plain words in lines of at most so many points; a long name is broken."""
    name, colon, dimensions = words.rpartition(": ")
    # No line ends within the dimensions of a case.
    tied = f"{name}{colon}{dimensions.replace(' ', NO_BREAK)}".replace(" dim: ", f"{NO_BREAK}dim:{NO_BREAK}")
    found = text_width(words, size, weight)
    lines = [tied]
    letters = math.ceil(len(words) * width / found) if found > width else 0
    while letters > 1 and max(text_width(line, size, weight) for line in lines) > width:
        lines = textwrap.wrap(tied, letters)
        letters -= 1
    return "\n".join(lines).replace(NO_BREAK, " ")


def legend_below(figure: FigureBase, handles: Sequence[Artist], width: float, most: int, **options: Any) -> None:
    """A legend under the panels, in as many columns as fit into so many inches, and no more than ``most``.

    It makes a whole figure higher, so that the panels keep their size; a part of a figure has room for it already.
    """
    from matplotlib.figure import Figure

    _fit_labels(handles, width)
    columns = _legend_columns(handles, width, most)
    if isinstance(figure, Figure):
        figure.set_figheight(figure.get_figheight() + LINE * legend_lines(handles, width, most))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **options)


def legend_lines(handles: Sequence[Artist], width: float, most: int) -> int:
    """Lines of the longest column of :func:`legend_below`."""
    _fit_labels(handles, width)
    lines = [str(handle.get_label()).count("\n") + 1 for handle in handles]
    return max(map(sum, _shares(lines, _legend_columns(handles, width, most))))


def _fit_labels(handles: Sequence[Artist], width: float) -> None:
    """Break the lines of labels that are wider than a legend of one column."""
    room = 72.0 * width - 6.0 * LEGEND
    for handle in handles:
        label = str(handle.get_label())
        if text_width(label, LEGEND) > room:
            handle.set_label("\n".join(wrapped(line, room, LEGEND) for line in label.split("\n")))


def _legend_columns(handles: Sequence[Artist], width: float, most: int) -> int:
    """The number of columns, which Matplotlib fills one after the other."""
    widths = [text_width(str(handle.get_label()), LEGEND) for handle in handles]

    def points(columns: int) -> float:
        # Of style.py: the keys with what separates them from the words, what is between columns, the frame.
        return sum(map(max, _shares(widths, columns))) + LEGEND * (2.8 * columns + 1.5 * (columns - 1) + 2.0)

    fitting = (columns for columns in range(min(most, len(widths)), 1, -1) if points(columns) <= 72.0 * width)
    return next(fitting, 1)

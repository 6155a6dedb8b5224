"""Layouts for any number of cases: panels in rows, curves in groups, titles and legends that fit.

A figure is at most :data:`MAX_WIDTH` wide, and with up to 30 cases at most about 30 inches high. More cases make it
higher in proportion.
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

#: Width of a wide figure in inches.
MAX_WIDTH = 12.0
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


def panels(figure: FigureBase, count: int, columns: int, **options: Any) -> list[Axes]:
    """Axes in rows of so many columns; the options are those of ``subplots``."""
    grid = figure.subplots(math.ceil(count / columns), columns, squeeze=False, **options).ravel()
    for unused in grid[count:]:
        unused.remove()
    return list(grid[:count])


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
    tied = name + colon + dimensions.replace(" ", "\xa0")  # no line ends within the dimensions of a case
    found = text_width(words, size, weight)
    lines = [tied]
    letters = math.ceil(len(words) * width / found) if found > width else 0
    while letters > 1 and max(text_width(line, size, weight) for line in lines) > width:
        lines = textwrap.wrap(tied, letters)
        letters -= 1
    return "\n".join(lines).replace("\xa0", " ")


def legend_below(figure: FigureBase, handles: Sequence[Artist], width: float, most: int, **options: Any) -> None:
    """A legend under the panels, in as many columns as fit into so many inches, and no more than ``most``."""
    columns = _legend_columns(handles, width, most)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **options)


def legend_lines(handles: Sequence[Artist], width: float, most: int) -> int:
    """Lines of the longest column of :func:`legend_below`."""
    lines = [str(handle.get_label()).count("\n") + 1 for handle in handles]
    return max(map(sum, _shares(lines, _legend_columns(handles, width, most))))


def _legend_columns(handles: Sequence[Artist], width: float, most: int) -> int:
    """The number of columns, which Matplotlib fills one after the other."""
    size = 8.0
    widths = [text_width(str(handle.get_label()), size) for handle in handles]

    def points(columns: int) -> float:
        return sum(map(max, _shares(widths, columns))) + size * (2.8 * columns + 2.0 * (columns - 1) + 2.0)

    fitting = (columns for columns in range(min(most, len(widths)), 1, -1) if points(columns) <= 72.0 * width)
    return next(fitting, 1)

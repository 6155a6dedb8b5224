"""Tables in Markdown, and their files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.common import atomic

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """A column of a table in Markdown.

    ``write`` turns a row into the text of its cell; without it the value is written as it is. Numbers and the output of
    ``write`` are right-aligned, unless it is ``text``. A column of ``text`` is left out where every cell is empty.
    """

    heading: str
    write: Callable[[dict[Any, Any]], str] | None = None
    text: bool = False


#: The columns of a table by their names in its frame; None for one that is part of another.
Columns = Mapping[str, Column | None]


def to_markdown(frame: pd.DataFrame, columns: Columns) -> str:
    """A table in GitHub's Markdown, aligned in the source as well; a column that is not named is headed by its name."""
    from pandas.api.types import is_numeric_dtype

    rows = frame.to_dict("records")
    blocks = []
    for name in map(str, frame.columns):
        column = columns.get(name, Column(name.removeprefix("tasks.").replace("_", " ")))
        if column is None:
            continue
        texts = [column.write(row) if column.write else _plain(row[name]) for row in rows]
        if column.text and not any(texts):
            continue
        cells = [column.heading, *(text.replace("|", "\\|") for text in texts)]
        width = max(3, *map(len, cells))
        if not column.text and (column.write or is_numeric_dtype(frame[name])):
            heading, *cells = (cell.rjust(width) for cell in cells)
            rule = "-" * (width - 1) + ":"
        else:
            heading, *cells = (cell.ljust(width) for cell in cells)
            rule = "-" * width
        blocks.append([heading, rule, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*blocks, strict=True))


def save(
    frame: pd.DataFrame, *, markdown: str | os.PathLike[str], csv: str | os.PathLike[str], columns: Columns
) -> None:
    """Write a table as Markdown to read and as CSV to compute with, each file atomically; missing folders are made."""
    contents = {markdown: to_markdown(frame, columns), csv: frame.to_csv(index=False, lineterminator="\n")}
    for path, text in contents.items():
        atomic.write(path, text.encode())


def number(value: float) -> str:
    """Three significant digits, as few as a ratio of noisy costs deserves; infinity and missing values as signs."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}" if decimals <= 5 else f"{value:.2e}"


def percent(share: float) -> str:
    """A share in percent, with the digits of :func:`number`."""
    return "–" if math.isnan(share) else f"{number(100 * share)} %"


def power(value: float) -> str:
    """Two digits and a power of ten, as much as an order of magnitude deserves."""
    return "–" if math.isnan(value) else f"{value:.2g}"


def spread(name: str, heading: str) -> Column:
    """The column of a value with its range, which the columns ``name_min`` and ``name_max`` have."""

    def text(row: Mapping[Any, Any]) -> str:
        if math.isnan(row[name]):
            return "–"
        return f"{_signed(row[name])} ({_signed(row[f'{name}_min'])} to {_signed(row[f'{name}_max'])})"

    return Column(heading, text)


def _signed(value: float) -> str:
    return f"−{number(-value)}" if value < 0 else number(value)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

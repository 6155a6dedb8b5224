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

    ``write`` turns a row into the text of its cell; without it the value is written as it is. Numbers are aligned to
    the right, and so is what ``write`` makes unless it is ``text``.
    """

    heading: str
    write: Callable[[dict[Any, Any]], str] | None = None
    text: bool = False


#: The columns of a table by their names in its frame; None for one that is part of another.
Columns = Mapping[str, Column | None]


def to_markdown(frame: pd.DataFrame, columns: Columns) -> str:
    """A table in GitHub's Markdown, aligned in the source as well.

    Parameters
    ----------
    frame : pandas.DataFrame
    columns : mapping of str to Column or None
        How the columns look, by their names in the frame; None for one that is part of another. Others (a wall time,
        say) are headed by their names.

    Returns
    -------
    str
        The table, with a newline at its end. Numbers are aligned to the right.
    """
    from pandas.api.types import is_numeric_dtype

    shown: list[tuple[str, list[str], bool]] = []
    for name in map(str, frame.columns):
        column = columns.get(name, Column(name.removeprefix("tasks.").replace("_", " ")))
        if column is None:
            continue
        write = column.write
        cells = [write(row) if write else _plain(row[name]) for row in frame.to_dict("records")]
        right = not column.text and (write is not None or is_numeric_dtype(frame[name]))
        shown.append((column.heading, [cell.replace("|", "\\|") for cell in cells], right))
    widths = [max(3, len(heading), *map(len, cells)) for heading, cells, _ in shown]
    lines = [[heading for heading, _, _ in shown], *zip(*(cells for _, cells, _ in shown), strict=True)]
    text = [
        " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, (_, _, right) in zip(line, widths, shown, strict=True)
        )
        for line in lines
    ]
    rule = " | ".join("-" * (w - 1) + (":" if right else "-") for w, (_, _, right) in zip(widths, shown, strict=True))
    return "".join(f"| {line} |\n" for line in [text[0], rule, *text[1:]])


def save(
    frame: pd.DataFrame,
    *,
    markdown: str | os.PathLike[str],
    csv: str | os.PathLike[str],
    columns: Columns,
) -> None:
    """Write a table: as Markdown to read, as CSV to compute with. No file is ever half written.

    Parameters
    ----------
    frame : pandas.DataFrame
    markdown, csv : path
        The two files. Missing folders are made.
    columns : mapping of str to Column or None
        As in :func:`to_markdown`.
    """
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


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

"""The numbers of an experiment as a table, a row for each case and value of the swept settings; tables in Markdown."""

import itertools
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from metalqr import atomic, summaries


class Column(NamedTuple):
    """How a column of a table looks in Markdown.

    ``write`` turns a row into the text of its cell; without it the value is written as it is. Numbers are aligned to
    the right, and so is what ``write`` makes unless it is ``text``.
    """

    heading: str
    write: Callable[[dict[Any, Any]], str] | None = None
    text: bool = False


def summary(dataset: xr.DataTree) -> pd.DataFrame:
    """The outcome of an experiment, a row for each case and, within it, each combination of swept values.

    Parameters
    ----------
    dataset : xarray.DataTree
        An experiment: a group per case.

    Returns
    -------
    pandas.DataFrame
        Columns: ``case``, one for each swept setting, and

        - ``state_dim``, ``action_dim``;
        - ``first_ratio``, ``final_ratio``: medians over seeds of the average cost difference ratio; a diverged run
          ends at infinity;
        - ``final_ratio_min``, ``final_ratio_max``: range of the final ratio over seeds;
        - ``floor_ratio``: the ratio of the best single gain;
        - ``unstable_perturbations``: number of unstable perturbed policies in all runs of the row, and
          ``unstable_share``, their share of all perturbed policies;
        - ``rollout_steps``: median over seeds of the simulated steps of a run;
        - ``diverged_runs``, ``runs``: numbers of runs.

    Raises
    ------
    metalqr.summaries.DatasetError
        If the dataset has no case or lacks a variable.
    """
    rows = []
    for name, case in summaries.cases(dataset).items():
        swept = summaries.swept_settings(case)
        for places in itertools.product(*(range(case.sizes[setting]) for setting in swept)):
            point = case.isel(dict(zip(swept, places, strict=True)))
            values = {setting: point[setting].item() for setting in swept}
            rows.append({"case": name, **values, **_outcome(point)})
    return pd.DataFrame(rows)


def to_markdown(frame: pd.DataFrame, columns: Mapping[str, Column | None] | None = None) -> str:
    """A table in GitHub's Markdown, aligned in the source as well.

    Parameters
    ----------
    frame : pandas.DataFrame
    columns : mapping of str to Column or None, optional
        How the columns look, by their names in the frame; None for one that is part of another. By default, those of
        :func:`summary`. Others (a wall time, say) are headed by their names.

    Returns
    -------
    str
        The table, with a newline at its end. Numbers are aligned to the right.
    """
    known = COLUMNS if columns is None else columns
    shown: list[tuple[str, list[str], bool]] = []
    for name in map(str, frame.columns):
        column = known.get(name, Column(name.replace("_", " ")))
        if column is None:
            continue
        write = column.write
        cells = [write(row) if write else _plain(row[name]) for row in frame.to_dict("records")]
        right = not column.text and (write is not None or pd.api.types.is_numeric_dtype(frame[name]))
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
    columns: Mapping[str, Column | None] | None = None,
) -> None:
    """Write a table: as Markdown to read, as CSV to compute with. No file is ever half written.

    Parameters
    ----------
    frame : pandas.DataFrame
    markdown, csv : path
        The two files. Missing folders are made.
    columns : mapping of str to Column or None, optional
        As in :func:`to_markdown`.
    """
    contents = {markdown: to_markdown(frame, columns), csv: frame.to_csv(index=False, lineterminator="\n")}
    for path, text in contents.items():
        atomic.write(path, text.encode())


def _outcome(point: xr.Dataset) -> dict[str, Any]:
    """The columns of one row, from one case at one point of its sweep."""
    final = summaries.final_ratio(point)
    unstable = int(summaries.unstable_count(point).sum())
    tried = float(summaries.perturbation_count(point).sum())
    diverged = summaries.diverged(point)
    return {
        "state_dim": int(point.attrs["state_dim"]),
        "action_dim": int(point.attrs["action_dim"]),
        "first_ratio": float(point["ratio"].isel(iteration=0).median()),
        "final_ratio": float(final.median()),
        "final_ratio_min": float(final.min()),
        "final_ratio_max": float(final.max()),
        "floor_ratio": summaries.floor_ratio(point),
        "unstable_perturbations": unstable,
        "unstable_share": unstable / tried if tried else math.nan,
        "rollout_steps": round(float(point["rollout_steps"].max("iteration").median())),
        "diverged_runs": int(diverged.sum()),
        "runs": diverged.size,
    }


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


def _unstable(row: dict[Any, Any]) -> str:
    count = f" ({row['unstable_perturbations']:,})" if "unstable_perturbations" in row else ""
    return percent(row["unstable_share"]) + count


def _diverged(row: dict[Any, Any]) -> str:
    return f"{row['diverged_runs']} of {row['runs']}" if "runs" in row else str(row["diverged_runs"])


def _range(row: dict[Any, Any]) -> str:
    return f"{number(row['final_ratio_min'])} to {number(row['final_ratio_max'])}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


#: How the columns of :func:`summary` look.
COLUMNS: dict[str, Column | None] = {
    "state_dim": Column("state dim"),
    "action_dim": Column("action dim"),
    "first_ratio": Column("first ratio", lambda row: number(row["first_ratio"])),
    "final_ratio": Column("final ratio", lambda row: number(row["final_ratio"])),
    "final_ratio_min": Column("range over seeds", _range),
    "final_ratio_max": None,
    "floor_ratio": Column("best single gain", lambda row: number(row["floor_ratio"])),
    "unstable_perturbations": None,
    "unstable_share": Column("unstable perturbations", _unstable),
    "rollout_steps": Column("roll-out steps a run", lambda row: f"{row['rollout_steps']:,}"),
    "diverged_runs": Column("diverged runs", _diverged),
    "runs": None,
}

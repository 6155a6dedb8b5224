"""The numbers of an experiment as a table: one row for each case and value of the swept settings."""

import itertools
import math
import os
from collections.abc import Callable
from typing import Any

import pandas as pd
import xarray as xr

from metalqr import atomic, summaries

#: Headings of the Markdown table for the columns of :func:`summary`; other columns are headed by their names.
HEADINGS = {
    "state_dim": "state dim",
    "action_dim": "action dim",
    "first_ratio": "first ratio",
    "final_ratio": "final ratio",
    "final_ratio_range": "range over seeds",
    "floor_ratio": "best single gain",
    "unstable_share": "unstable perturbations",
    "rollout_steps": "roll-out steps a run",
    "diverged_runs": "diverged runs",
}


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


def to_markdown(frame: pd.DataFrame) -> str:
    """A table of :func:`summary` in GitHub's Markdown, aligned in the source as well.

    Range and numbers of runs are each put together in one column; columns that were added (a wall time, say) are kept.

    Parameters
    ----------
    frame : pandas.DataFrame

    Returns
    -------
    str
        The table, with a newline at its end. Numbers are aligned to the right.
    """
    columns: list[tuple[str, list[str], bool]] = []
    for name in map(str, frame.columns):
        if name in ("final_ratio_max", "unstable_perturbations", "runs"):
            continue  # part of another column
        key = "final_ratio_range" if name == "final_ratio_min" else name
        write = _WRITERS.get(key)
        cells = [write(row) if write else _plain(row[name]) for row in frame.to_dict("records")]
        right = write is not None or pd.api.types.is_numeric_dtype(frame[name])
        columns.append((HEADINGS.get(key, name.replace("_", " ")), [cell.replace("|", "\\|") for cell in cells], right))
    widths = [max(3, len(heading), *map(len, cells)) for heading, cells, _ in columns]
    lines = [[heading for heading, _, _ in columns], *zip(*(cells for _, cells, _ in columns), strict=True)]
    text = [
        " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, (_, _, right) in zip(line, widths, columns, strict=True)
        )
        for line in lines
    ]
    rule = " | ".join("-" * (w - 1) + (":" if right else "-") for w, (_, _, right) in zip(widths, columns, strict=True))
    return "".join(f"| {line} |\n" for line in [text[0], rule, *text[1:]])


def save(frame: pd.DataFrame, *, markdown: str | os.PathLike[str], csv: str | os.PathLike[str]) -> None:
    """Write a table of :func:`summary`: as Markdown to read, as CSV to compute with. No file is ever half written.

    Parameters
    ----------
    frame : pandas.DataFrame
    markdown, csv : path
        The two files. Missing folders are made.
    """
    contents = {markdown: to_markdown(frame), csv: frame.to_csv(index=False, lineterminator="\n")}
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


def _number(value: float) -> str:
    """Three significant digits, as few as a ratio of noisy costs deserves; infinity and missing values as signs."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}" if decimals <= 5 else f"{value:.2e}"


def _unstable(row: dict[Any, Any]) -> str:
    share = 100 * row["unstable_share"]
    count = f" ({row['unstable_perturbations']:,})" if "unstable_perturbations" in row else ""
    return ("–" if math.isnan(share) else f"{_number(share)} %") + count


def _diverged(row: dict[Any, Any]) -> str:
    return f"{row['diverged_runs']} of {row['runs']}" if "runs" in row else str(row["diverged_runs"])


def _range(row: dict[Any, Any]) -> str:
    return f"{_number(row['final_ratio_min'])} to {_number(row['final_ratio_max'])}"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_WRITERS: dict[str, Callable[[dict[Any, Any]], str]] = {
    "first_ratio": lambda row: _number(row["first_ratio"]),
    "final_ratio": lambda row: _number(row["final_ratio"]),
    "final_ratio_range": _range,
    "floor_ratio": lambda row: _number(row["floor_ratio"]),
    "unstable_share": _unstable,
    "rollout_steps": lambda row: f"{row['rollout_steps']:,}",
    "diverged_runs": _diverged,
}

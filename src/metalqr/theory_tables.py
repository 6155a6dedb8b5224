"""The tables of the stage `theory`, each from the datasets of its cases by name."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from metalqr.summaries import DatasetError
from metalqr.tables import Column, number, percent

#: What is promised, in words; the keys are those of the files.
PROMISES = {
    "stabilising": "`K_n` stabilises every task",
    "perturbed_stabilising": "every `K_n + U_m` stabilises its task",
    "maml_stabilising": "`K_n` is MAML-stabilising (Definition 1)",
    "adapted_stabilising": "every adapted `K_n^i` stabilises its task (Theorem 1)",
    "in_sublevel_set": "`J_i(K_n) <= J_i(K_0)` for every task (Definition 2, Theorem 1)",
    "adapted_in_sublevel_set": "`J_i(K_n^i) <= J_i(K_0)` for every task (Theorem 1)",
    "mean_cost_falls": "the mean cost falls (Theorem 1)",
    "objective_falls": "the meta-objective falls",
    "every_cost_falls": "the cost of every task falls",
}


def stability(datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """How the runs of each case kept what Definitions 1 and 2 and Theorem 1 promise: a row for each case and promise.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        Files of :func:`metalqr.storage.save_stability` by case.

    Returns
    -------
    pandas.DataFrame
        Columns:

        - ``case``, ``promise``;
        - ``kept_share``: share of the iterations of all runs at which it was kept, and ``kept_share_min``, that of the
          run with the lowest;
        - ``runs_kept``, ``runs``: number of runs that kept it throughout, and of all;
        - ``first_broken``: the earliest iteration at which a run broke it, missing if none did;
        - ``largest_rise``: of what should fall, the largest rise in one step, relative to the value before it; of the
          costs of single tasks, the largest of all. Missing for promises of another kind.

    Raises
    ------
    metalqr.summaries.DatasetError
        If there is no dataset.
    """
    _require(datasets)
    return pd.DataFrame(
        [
            {"case": case, "promise": promise, **_outcome(dataset, promise)}
            for case, dataset in datasets.items()
            for promise in dataset["promise"].values.tolist()
        ]
    ).astype({"first_broken": "Int64"})


def _outcome(dataset: xr.Dataset, promise: str) -> dict[str, Any]:
    """The columns of one row."""
    runs = dataset.sel(promise=promise)
    checked = runs["checked"].sum()
    broken = runs["first_broken"].where(runs["first_broken"] >= 0)
    rise = f"{promise.removesuffix('_falls').removeprefix('every_')}_rise"
    return {
        "kept_share": float((runs["kept"] * runs["checked"]).sum() / checked) if checked else math.nan,
        "kept_share_min": float(runs["kept"].min()),
        "runs_kept": int(broken.isnull().sum()),
        "runs": runs.sizes["seed"],
        "first_broken": None if broken.isnull().all() else int(broken.min()),
        "largest_rise": float(dataset[rise].max()) if rise in dataset else math.nan,
    }


def theory_audit(datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """The audit of every inequality: a row for each case and inequality.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        Files of :func:`metalqr.storage.save_theory` by case.

    Returns
    -------
    pandas.DataFrame
        Columns: ``case``, ``inequality`` (its name), ``source`` in the paper, ``erratum`` (the entry of
        ``docs/errata.md``), and for each form ``worst_ratio``, the largest left side over right side, ``checked`` and
        ``broken``, numbers of places, ``left``, ``right`` and ``origin`` at the worst ratio: -1 for the case's own
        tasks, otherwise the number of a random set.

    Raises
    ------
    metalqr.summaries.DatasetError
        If there is no dataset.
    """
    _require(datasets)
    rows = []
    for case, dataset in datasets.items():
        for name in dataset["inequality"].values.tolist():
            found = dataset.sel(inequality=name)
            row = {
                "case": case,
                "inequality": name,
                "source": found["source"].item(),
                "erratum": found["erratum"].item(),
            }
            for form in dataset["form"].values.tolist():
                columns = ("worst_ratio", "broken", "checked", "left", "right", "origin")
                row |= {f"{column}_{form}": found[column].sel(form=form).item() for column in columns}
            rows.append(row)
    return pd.DataFrame(rows)


def theory_vs_practice(datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """What Theorems 1 and 2 ask for beside what a case uses: a row for each case and setting.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        Files of :func:`metalqr.storage.save_theory` by case.

    Returns
    -------
    pandas.DataFrame
        Columns: ``case``, ``setting``, ``used``, and for each form its value and ``decades``, the decimal logarithm of
        the value over that used.

    Raises
    ------
    metalqr.summaries.DatasetError
        If there is no dataset.
    """
    _require(datasets)
    rows = []
    for case, dataset in datasets.items():
        for setting in dataset["setting"].values.tolist():
            found = dataset.sel(setting=setting)
            used = found["used"].item()
            row = {"case": case, "setting": setting, "used": used}
            for form in dataset["form"].values.tolist():
                asked = found["required"].sel(form=form).item()
                row[form] = asked
                row[f"decades_{form}"] = math.log10(asked / used) if used > 0 and asked > 0 else math.nan
            rows.append(row)
    return pd.DataFrame(rows)


def learnability(datasets: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Whether the tasks of each case are MAML-learnable at its adaptation rate, and why: a row for each case.

    Parameters
    ----------
    datasets : mapping of str to xarray.Dataset
        Files of :func:`metalqr.storage.save_meta_optimum` by case.

    Returns
    -------
    pandas.DataFrame
        Columns: ``case``, ``adaptation_rate``, ``verdict``; ``largest_adaptation_rate`` up to which the initial gain is
        MAML-stabilising; the meta-objective of the initial gain, the best single gain and its own optimum,
        ``objective_K0``, ``objective_shared`` and ``objective_meta``, the last missing where no optimum is known; and
        the ``certificate`` of the verdict in one line.

    Raises
    ------
    metalqr.summaries.DatasetError
        If there is no dataset.
    """
    _require(datasets)
    values = ("largest_adaptation_rate", "objective_K0", "objective_shared", "objective_meta")
    return pd.DataFrame(
        [
            {
                "case": case,
                "adaptation_rate": float(json.loads(dataset.attrs["settings"])["adaptation_rate"]),
                "verdict": dataset["verdict"].item(),
                **{name: dataset[name].item() for name in values},
                "certificate": "; ".join(line.strip() for line in dataset["certificate"].item().splitlines()),
            }
            for case, dataset in datasets.items()
        ]
    )


def _require(datasets: Mapping[str, xr.Dataset]) -> None:
    if not datasets:
        raise DatasetError("the table needs the dataset of at least one case")


def _broken(row: Mapping[Any, Any], form: str) -> str:
    checked = row[f"checked_{form}"]
    return f"{row[f'broken_{form}']:,} of {checked:,}" if checked else "–"


def _counterexample(row: Mapping[Any, Any]) -> str:
    if not row["broken_printed"]:
        return ""
    return "in the case's tasks" if row["origin_printed"] < 0 else f"in random set {row['origin_printed']}"


def _power(value: float) -> str:
    """Two digits and a power of ten, as much as an order of magnitude deserves."""
    return "–" if math.isnan(value) else f"{value:.2g}"


def _decades(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.0f}"


_VERDICTS = {"learnable": "yes", "not learnable": "no", "not found": "not found"}

#: How the columns of all tables of this module look.
COLUMNS: dict[str, Column | None] = {
    "promise": Column("promise", lambda row: PROMISES[row["promise"]], text=True),
    "kept_share": Column("kept at", lambda row: percent(row["kept_share"])),
    "kept_share_min": Column("least of a run", lambda row: percent(row["kept_share_min"])),
    "runs_kept": Column("runs that kept it", lambda row: f"{row['runs_kept']} of {row['runs']}"),
    "runs": None,
    "first_broken": Column(
        "first broken at", lambda row: "–" if pd.isna(row["first_broken"]) else str(row["first_broken"])
    ),
    "largest_rise": Column("largest rise", lambda row: percent(row["largest_rise"])),
    "worst_ratio_printed": Column("worst ratio, printed", lambda row: _power(row["worst_ratio_printed"])),
    "broken_printed": Column("broken, printed", lambda row: _broken(row, "printed")),
    "worst_ratio_corrected": Column("worst ratio, corrected", lambda row: _power(row["worst_ratio_corrected"])),
    "broken_corrected": Column("broken, corrected", lambda row: _broken(row, "corrected")),
    # Of the worst ratio: in the CSV and the file, not in the Markdown, which has room for what broke.
    **dict.fromkeys(f"{name}_{form}" for name in ("checked", "left", "right") for form in ("printed", "corrected")),
    "origin_printed": Column("counterexample", lambda row: _counterexample(row), text=True),
    "origin_corrected": None,
    "used": Column("used", lambda row: _power(row["used"])),
    "printed": Column("asked for as printed", lambda row: _power(row["printed"])),
    "decades_printed": Column("decades", lambda row: _decades(row["decades_printed"])),
    "corrected": Column("as corrected", lambda row: _power(row["corrected"])),
    "decades_corrected": Column("decades", lambda row: _decades(row["decades_corrected"])),
    "adaptation_rate": Column("adaptation rate"),
    "verdict": Column("MAML-learnable", lambda row: _VERDICTS[row["verdict"]], text=True),
    "largest_adaptation_rate": Column("largest rate at K_0", lambda row: number(row["largest_adaptation_rate"])),
    "objective_K0": Column("L(K_0)", lambda row: number(row["objective_K0"])),
    "objective_shared": Column("L(best single gain)", lambda row: number(row["objective_shared"])),
    "objective_meta": Column("L(K*)", lambda row: number(row["objective_meta"])),
}

"""The tables of the stage `theory`, each from the datasets of its cases by name."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from metalqr.summaries import DatasetError
from metalqr.tables import Column, percent

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
    if not datasets:
        raise DatasetError("the table needs the dataset of at least one case")
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
}

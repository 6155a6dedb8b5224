"""The table of the learnability, from the files of the meta-objective's optima."""

import math
from pathlib import Path

import numpy as np
import xarray as xr

from metalqr.config.registries import tables
from metalqr.optimal import learnability
from metalqr.reporting.tables.learnability import warnings
from metalqr.reporting.tables.markdown import save, to_markdown

TABLE = tables.get("learnability")()


def optimum(verdict: str, certificate: str, **values: float) -> xr.Dataset:
    """What of a file the table needs."""
    texts = {"verdict": verdict, "certificate": certificate}
    return xr.Dataset({name: ((), value) for name, value in {**texts, **values}.items()})


LEARNABLE = optimum(
    "learnable", "K0 is MAML-stabilising",
    largest_adaptation_rate=1.6875, objective_K0=2.5, objective_shared=1.25, objective_meta=1.2,
)  # fmt: skip
IMPOSSIBLE = optimum(
    "not learnable", "no gain stabilises both:\n  task 0 | task 1",
    largest_adaptation_rate=np.inf, objective_K0=np.inf, objective_shared=2.0, objective_meta=np.nan,
)  # fmt: skip


def test_table_has_a_row_for_each_case() -> None:
    one, two = TABLE.make({"one/1e-05": LEARNABLE, "two/0.5": IMPOSSIBLE}).to_dict("records")
    assert one == {
        "case": "one", "adaptation_rate": 1e-5, "verdict": "learnable", "initial_gain": True,
        "largest_adaptation_rate": 1.6875, "objective_K0": 2.5, "objective_shared": 1.25, "objective_meta": 1.2,
        "certificate": "K0 is MAML-stabilising",
    }  # fmt: skip
    assert (two["initial_gain"], two["objective_K0"]) == (False, math.inf)
    assert math.isnan(two["objective_meta"])
    assert two["certificate"] == "no gain stabilises both:; task 0 | task 1"


def test_markdown_says_what_is_known_and_what_is_not() -> None:
    text = to_markdown(TABLE.make({"one/1e-05": LEARNABLE, "two/0.5": IMPOSSIBLE}), TABLE.columns)
    one, two = (
        [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in text.splitlines()[2:]
    )
    assert one == ["one", "1e-05", "yes", "yes", "1.69", "2.50", "1.25", "1.20", "K0 is MAML-stabilising"]
    assert two == ["two", "0.5", "no", "no", "∞", "∞", "2.00", "–", "no gain stabilises both:; task 0 / task 1"]


def test_every_verdict_has_a_word() -> None:
    for verdict in learnability.Verdict:
        table = TABLE.make({"one/1e-05": LEARNABLE.assign(verdict=((), str(verdict)))})
        assert to_markdown(table, TABLE.columns).count("| one") == 1


def test_warnings_name_the_rows_whose_runs_may_diverge(tmp_path: Path) -> None:
    assert list(warnings(tmp_path / "learnability.csv")) == []
    late = LEARNABLE.assign(objective_K0=((), np.inf))
    table = TABLE.make({"one/1e-05": LEARNABLE, "two/0.5": IMPOSSIBLE, "one/2.0": late})
    save(table, markdown=tmp_path / "learnability.md", csv=tmp_path / "learnability.csv", columns=TABLE.columns)
    assert list(warnings(tmp_path / "learnability.csv")) == [
        "two at adaptation_rate 0.5: the tasks are not known to be MAML-learnable (not learnable): no gain stabilises "
        "both:; task 0 | task 1",
        "two at adaptation_rate 0.5: the initial gain is MAML-stabilising only up to inf",
        "one at adaptation_rate 2.0: the initial gain is MAML-stabilising only up to 1.6875",
    ]

"""The table of the learnability, from the files of the meta-objective's optima."""

import json
import math

import numpy as np
import pytest
import xarray as xr

from metalqr import learnability, tables, theory_tables
from metalqr.summaries import DatasetError


def optimum(verdict: str, certificate: str, rate: float, **values: float) -> xr.Dataset:
    """What of a file the table needs."""
    texts = {"verdict": verdict, "certificate": certificate}
    return xr.Dataset(
        {name: ((), value) for name, value in {**texts, **values}.items()},
        attrs={"settings": json.dumps({"adaptation_rate": rate})},
    )


LEARNABLE = optimum(
    "learnable", "K0 is MAML-stabilising", 1e-5,
    largest_adaptation_rate=1.6875, objective_K0=2.5, objective_shared=1.25, objective_meta=1.2,
)  # fmt: skip
IMPOSSIBLE = optimum(
    "not learnable", "no gain stabilises both:\n  task 0 | task 1", 0.5,
    largest_adaptation_rate=np.inf, objective_K0=np.inf, objective_shared=2.0, objective_meta=np.nan,
)  # fmt: skip


def test_table_has_a_row_for_each_case() -> None:
    table = theory_tables.learnability({"one": LEARNABLE, "two": IMPOSSIBLE})
    assert table["case"].tolist() == ["one", "two"]
    assert table["adaptation_rate"].tolist() == [1e-5, 0.5]
    assert table["verdict"].tolist() == ["learnable", "not learnable"]
    assert table["largest_adaptation_rate"].tolist() == [1.6875, math.inf]
    assert table["objective_K0"].tolist() == [2.5, math.inf]
    assert table["objective_meta"].isna().tolist() == [False, True]
    assert table["certificate"][1] == "no gain stabilises both:; task 0 | task 1"


def test_markdown_says_what_is_known_and_what_is_not() -> None:
    text = tables.to_markdown(theory_tables.learnability({"one": LEARNABLE, "two": IMPOSSIBLE}), theory_tables.COLUMNS)
    one, two = (
        [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in text.splitlines()[2:]
    )
    assert one == ["one", "1e-05", "yes", "1.69", "2.50", "1.25", "1.20", "K0 is MAML-stabilising"]
    assert two == ["two", "0.5", "no", "∞", "∞", "2.00", "–", "no gain stabilises both:; task 0 / task 1"]


def test_every_verdict_has_a_word() -> None:
    for verdict in learnability.Verdict:
        table = theory_tables.learnability({"one": LEARNABLE.assign(verdict=((), str(verdict)))})
        assert tables.to_markdown(table, theory_tables.COLUMNS).count("| one") == 1


def test_nothing_to_show() -> None:
    with pytest.raises(DatasetError, match="at least one case"):
        theory_tables.learnability({})

"""Cases whose optima cost nothing: they have no ratio, and their absolute gap is shown in its place."""

import math
from typing import Any

import numpy as np
import pytest
import synthetic
import xarray as xr

from metalqr.config.registries import figures, tables
from metalqr.reporting import summaries
from metalqr.reporting.figures import curves

SWEEP: dict[str, Any] = {"variant": ["paper", "other"]}


def without_ratio(case: xr.Dataset) -> xr.Dataset:
    """The same costs less the optimal ones, so that these are zero, as the stage of the datasets stores it."""
    J_star = case["J_star"]
    return case.assign(
        cost=case["cost"] - J_star,
        J_shared=case["J_shared"] - J_star,
        J_star=0.0 * J_star,
        ratio=case["ratio"] * math.nan,
    )


def test_the_gap_takes_the_place_of_the_ratio() -> None:
    case = synthetic.case(ends={(1,): ("diverged", 60), (2,): ("tolerance", 30)})
    tree = synthetic.experiment("e", plain=case, free=without_ratio(case))
    plain, free = summaries.cases(tree).values()
    assert not summaries.is_gap(plain)
    assert summaries.is_gap(free)
    unit = float(case["J_star"].sum())
    for quantity in (summaries.continued_ratio, summaries.final_ratio, summaries.last_iteration):
        scale = 1.0 if quantity is summaries.last_iteration else unit
        np.testing.assert_allclose(quantity(free), scale * quantity(plain), rtol=1e-12)
    assert summaries.floor_ratio(free) == pytest.approx(unit * summaries.floor_ratio(plain))


def test_the_summary_has_columns_for_it() -> None:
    case = synthetic.case()
    tree = synthetic.experiment("e", plain=case, free=without_ratio(case))
    frame = tables.get("summary")().make({"e": tree}).set_index("case")
    unit = float(case["J_star"].sum())
    for gap, ratio in (("first_gap", "first_ratio"), ("final_gap", "final_ratio"), ("floor_gap", "floor_ratio")):
        assert frame[gap]["free"] == pytest.approx(unit * frame[ratio]["plain"])
        assert math.isnan(frame[gap]["plain"])
        assert math.isnan(frame[ratio]["free"])
    assert "first_gap" not in tables.get("summary")().make({"e": synthetic.experiment("e", plain=case)})


def test_steps_are_those_to_multiples_of_the_floor_gap() -> None:
    case = synthetic.case(sweep=SWEEP)
    trees = [{"e": synthetic.experiment("e", c=each)} for each in (case, without_ratio(case))]
    plain, free = (tables.get("sample_efficiency")().make(tree) for tree in trees)
    for steps in ("steps_to_2x", "steps_to_1_2x", "steps_to_reference", "factor"):
        assert free[steps].tolist() == plain[steps].tolist()
    assert free["final_ratio"].isna().all()
    np.testing.assert_allclose(free["final_gap"], float(case["J_star"].sum()) * plain["final_ratio"], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "sweep"), [("learning_curves", None), ("variants", SWEEP), ("sample_efficiency", SWEEP)]
)
def test_figures_say_what_they_show(name: str, sweep: dict[str, Any] | None) -> None:
    case = synthetic.case(sweep=sweep, state_dim=1, action_dim=1)
    alone = figures.get(name)().draw({"e": synthetic.experiment("e", free=without_ratio(case))})
    axes = alone.axes[0]
    assert axes.get_ylabel() == curves.GAP_LABEL
    both = figures.get(name)().draw({"e": synthetic.experiment("e", plain=case, free=without_ratio(case))})
    texts = [text.get_text() for text in both.findobj() if hasattr(text, "get_text")]
    assert both.axes[0].get_ylabel() == curves.RATIO_LABEL
    assert any("free: d = 1, k = 1 (absolute gap)" in text.replace("\n", " ") for text in texts)
    top = max(float(line.get_ydata().max()) for line in axes.lines if len(line.get_ydata()) > 2)
    assert axes.get_ylim()[1] >= top

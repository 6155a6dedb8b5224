"""The figures and the table of the benefit of meta-learning: what is drawn and written is what the files hold."""

import math
from typing import Any

import benefits
import numpy as np
import pytest
import xarray as xr
from drawn import faults, legend_texts, xs, ys
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from metalqr.config.evaluation import Evaluation
from metalqr.config.registries import figures, tables
from metalqr.reporting import benefit
from metalqr.reporting.figures.palette import BLUE, ORANGE, PURPLE
from metalqr.reporting.tables.markdown import to_markdown

#: The median of the tasks 1 to 4, and that of the draws.
TASKS, DRAW = 2.5, 1.0


def drawn(name: str, dataset: xr.Dataset) -> Figure:
    figure: Figure = figures.get(name)().make({"one": dataset})
    return figure


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return benefits.benefit()


@pytest.fixture(scope="module")
def rows(whole: xr.Dataset) -> dict[tuple[str, float, float], dict[str, Any]]:
    found = tables.get("meta_benefit")().make({"one": whole}).to_dict("records")
    return {(row["difference"], row["heterogeneity"], row["share"]): row for row in found}


def solid(axes: Axes, colour: str) -> Any:
    (line,) = [line for line in axes.get_lines() if line.get_color() == colour and line.get_linestyle() == "-"]
    return ys(line)


@pytest.mark.slow
def test_lines_are_medians_over_tasks_then_over_draws(whole: xr.Dataset) -> None:
    figure = drawn("meta_benefit", whole)
    assert len(figure.axes) == 2 * 2 * 3
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "dynamics, × 0.5",
        "dynamics, × 1",
        "dynamics, × 2\n(1 of 3 draws incomplete)",
    ]
    above, below = figure.axes[1], figure.axes[4]  # dynamics at 1
    assert_allclose(solid(above, ORANGE), [TASKS * 0.1] * 3)
    assert_allclose(solid(above, BLUE), np.array([1, 1, benefits.OVERFIT]) * TASKS * 0.05)
    assert_allclose(solid(below, "0.25"), [0.5, 0.5, 2.0])
    assert_allclose(solid(below, PURPLE), [0.5, 0.5, 2.0])
    assert xs(above.get_lines()[0]).tolist() == [0.1, 0.3, 0.9]
    assert legend_texts(figure)[:4] == ["best single gain", "optimum of L", "unseen tasks", "training tasks"]


@pytest.mark.slow
def test_a_line_ends_where_half_of_the_tasks_are_unstable(whole: xr.Dataset) -> None:
    lost = whole.copy(deep=True)
    lost["unseen_gap"].loc[{"heterogeneity": 1.0, "share": 0.9, "start": "meta_optimum", "unseen": [0, 1]}] = math.inf
    above = drawn("meta_benefit", lost).axes[1]
    assert np.isfinite(solid(above, BLUE)).tolist() == [True, True, False]
    assert np.isfinite(solid(above, ORANGE)).all()


@pytest.mark.slow
def test_gaps_against_distances(whole: xr.Dataset) -> None:
    figure = drawn("heterogeneity", whole)
    assert len(figure.axes) == 6
    assert "0.3" in figure.axes[3].get_ylabel()
    first, second = figure.axes[1], figure.axes[4]  # gradients

    def large(axes: Axes, colour: str) -> list[Any]:
        return [line for line in axes.get_lines() if line.get_color() == colour and line.get_markersize() == 5.0]

    (line,) = large(first, BLUE)  # dynamics
    assert_allclose(xs(line), 10 * np.array([0.5, 1.0, 2.0]))
    assert_allclose(ys(line), TASKS * 0.2 * np.array([0.5, 1.0, 2.0]))
    gains = [ys(line) for line in large(second, ORANGE)]  # both, from either gain
    assert_allclose(gains, 2 * TASKS * np.outer([0.1, 0.05], [0.5, 1.0, 2.0]))
    (draws,) = [line for line in first.get_lines() if line.get_color() == BLUE and line.get_alpha() == 0.4]
    assert_allclose(sorted(xs(draws)), sorted(10 * np.outer([0.5, 1.0, 2.0], benefits.DRAWS).ravel()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta_benefit", "heterogeneity"])
def test_without_any_result_the_panels_are_empty(name: str, whole: xr.Dataset) -> None:
    lost = whole.sel(share=[0.9], draw=[1], heterogeneity=[2.0])
    figure = drawn(name, lost)
    assert all(not np.isfinite(ys(line)).any() for axes in figure.axes for line in axes.get_lines()[1:])
    assert not faults(figure)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta_benefit", "heterogeneity"])
@pytest.mark.parametrize("kinds", [["both"], ["dynamics", "both"]])
def test_nothing_overlaps(name: str, kinds: list[str], whole: xr.Dataset) -> None:
    assert not faults(drawn(name, whole.sel(difference=kinds)))


def test_the_table_has_medians_and_paired_differences(rows: dict[tuple[str, float, float], dict[str, Any]]) -> None:
    assert len(rows) == 2 * 3 * 3
    row = rows["both", 0.5, 0.1]
    assert row["unseen_gap_0"] == pytest.approx(TASKS * 0.2)
    assert row["unseen_single"] == pytest.approx(TASKS * 0.1)
    assert row["unseen_meta"] == pytest.approx(TASKS * 0.05)
    assert row["training_meta"] == pytest.approx(1.5 * 0.05)
    # Of four differences, all negative, the lower median is that of the third task; the draws scale the gaps.
    assert row["difference_unseen"] == pytest.approx(-3 * 0.05 * DRAW)
    assert row["difference_unseen_max"] == pytest.approx(-3 * 0.05 * 0.8)
    assert row["difference_unseen_min"] == pytest.approx(-3 * 1.5 * (0.1 - 0.05 * 1.1))
    assert row["medians_apart"] == pytest.approx(-TASKS * 0.05 * DRAW)
    assert row["medians_apart_max"] == pytest.approx(-TASKS * 0.05 * 0.8)
    assert rows["both", 0.5, 0.9]["difference_unseen"] > 0 > rows["both", 0.5, 0.9]["difference_training"]
    assert (row["restarts"], row["better_seen"], row["draws"], row["failed"], row["remark"]) == (3, 0, 3, 0, "")


def test_what_is_unstable_or_failed_is_counted(rows: dict[tuple[str, float, float], dict[str, Any]]) -> None:
    row = rows["dynamics", 2.0, 0.9]
    assert (row["failed"], row["remark"]) == (1, benefits.FAILED)
    assert row["unstable_meta"] == row["unstable_single"] == pytest.approx(1 / 8)  # of the tasks of two draws
    # The draws 0, whose fourth task is unstable, and 2, with the lower of two as the median.
    assert row["unseen_single"] == pytest.approx(2 * TASKS * 0.1)
    assert math.isfinite(row["difference_unseen"])
    assert rows["dynamics", 2.0, 0.1]["failed"] == 0


def test_without_any_result_there_is_a_reason_and_no_number(whole: xr.Dataset) -> None:
    lost = whole.sel(share=[0.9], draw=[1], heterogeneity=[2.0])
    product = tables.get("meta_benefit")()
    frame = product.make({"one": lost})
    assert frame["unseen_meta"].isna().all()
    text = to_markdown(frame, product.columns)
    assert frame["remark"].tolist() == [benefits.FAILED] * 2
    assert "nan" not in text


def test_ratios_have_the_sign_of_differences_and_no_undefined_value() -> None:
    odd = benefits.benefit(failed=False)
    gaps = odd["unseen_gap"]
    gaps.loc[{"start": "meta_optimum", "step": 1, "unseen": 0}] = math.inf
    gaps.loc[{"draw": 1, "start": "best_single_gain", "step": 1, "unseen": 0}] = math.inf
    gaps.loc[{"unseen": 1}] = 0.0
    gaps.loc[{"draw": 2, "unseen": [2, 3]}] = math.inf
    pairs = (benefit.ratios, benefit.differences), (benefit.ratios_of_medians, benefit.apart)
    for ratio, difference in ((first(odd, "unseen"), second(odd, "unseen")) for first, second in pairs):
        assert not np.isnan(ratio).any()
        np.testing.assert_array_equal(np.sign(ratio - 1), np.sign(difference))


def test_spreads_are_over_the_draws_with_a_result() -> None:
    values = xr.DataArray([[3.0, np.nan, 1.0, np.inf], [np.nan] * 4, [2.0, np.nan, np.nan, 5.0]], dims=("a", "draw"))
    found = benefit.Spread.of(values)
    np.testing.assert_array_equal(found.middle, [3.0, np.nan, 2.0])
    np.testing.assert_array_equal(found.low, [1.0, np.nan, 2.0])
    np.testing.assert_array_equal(found.high, [np.inf, np.nan, 5.0])


def test_captions_say_what_is_compared() -> None:
    config = {
        "algorithm": {},
        "cases": {"one": {"state_dim": 2, "action_dim": 1}},
        "evaluation": Evaluation().model_dump(mode="json"),
    }
    for product in (figures.get("meta_benefit"), figures.get("heterogeneity"), tables.get("meta_benefit")):
        caption = product().caption(config, ["one"])
        assert "draws of training tasks: 5, unseen tasks: 50" in caption
        assert "one: d = 2, k = 1" in caption

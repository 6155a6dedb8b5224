"""The figures and the table of the stage `evaluation`: what is drawn and written is what the files hold."""

import math
from typing import Any

import adapted
import numpy as np
import pytest
import xarray as xr
from drawn import faults, legend_texts
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from metalqr.config.evaluation import Evaluation
from metalqr.config.registries import figures, tables
from metalqr.reporting import adaptation
from metalqr.reporting.figures.adaptation_panels import COMPARATORS
from metalqr.reporting.figures.palette import BLUE, ORANGE
from metalqr.reporting.tables.markdown import to_markdown

STEPS = np.arange(4)


def drawn(name: str, datasets: dict[str, xr.Dataset]) -> Figure:
    figure: Figure = figures.get(name)().make(datasets)
    return figure


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return adapted.whole()


@pytest.fixture(scope="module")
def table(whole: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    return by_start(whole)


def by_start(dataset: xr.Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows of the table by starting gain and choice of the step size."""
    rows = tables.get("adaptation")().make({"mine/one": dataset}).to_dict("records")
    return {(row["start"], row["rate"]): row for row in rows}


def heights(axes: Axes, colour: str) -> list[Any]:
    return [line.get_ydata() for line in axes.get_lines() if line.get_color() == colour]


def test_lines_are_medians_and_quantiles_over_all_tasks(whole: xr.Dataset) -> None:
    figure = drawn("adaptation", {"mine/one": whole})
    exact, estimated, unstable = figure.axes
    gaps = whole["gap"].sel(start="fast", estimator="exact", rate="tuned")
    median, quantile = heights(exact, BLUE)
    assert_allclose(median, gaps.median(["seed", "repeat", "task"]))
    ordered = np.sort(gaps.transpose("step", ...).values.reshape(4, -1), axis=1)
    assert_allclose(quantile, ordered[:, 35])  # 36 of 40 are at most that
    # With 2 of 10 tasks unstable the median is finite, and the 90 % quantile is not.
    median, quantile = heights(estimated, ORANGE)
    assert np.isfinite(median).all()
    assert_array_equal(np.isfinite(quantile), [True, False, False, False])
    assert_allclose(heights(unstable, ORANGE)[0], [0.0, 20.0, 20.0, 20.0])
    assert_array_equal(estimated.get_lines()[0].get_xdata(), 20 * STEPS)
    assert "pairs, 4 rollouts a step" in unstable.get_xlabel()
    assert legend_texts(figure) == [
        "fast",
        "slow",
        *(name.replace("_", " ") for name in list(COMPARATORS)[:3]),
        "90 % quantile",
    ]


def test_regret_is_in_costs_and_in_costs_of_all_rollouts(whole: xr.Dataset) -> None:
    exact, estimated = drawn("regret", {"mine/one": whole}).axes
    for axes, estimator, scale in ((exact, "exact", 1), (estimated, "pairs", 4)):
        regret = whole["regret"].sel(start="fast", estimator=estimator, rate="tuned")
        expected = scale * regret.median(["seed", "repeat", "task"])
        assert_allclose(heights(axes, BLUE)[0][1:], expected[1:])


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("name", ["adaptation", "regret"])
def test_nothing_overlaps(name: str, count: int, whole: xr.Dataset) -> None:
    figure = drawn(name, {f"mine/case{place}": whole for place in range(count)})
    assert len(figure.axes) == count * (3 if name == "adaptation" else 2)
    assert not faults(figure)


def test_what_does_not_exist_is_left_out(whole: xr.Dataset) -> None:
    without = whole.copy(deep=True)
    without["gap"].loc[{"start": "slow", "estimator": "exact"}] = np.nan
    exact, estimated, _ = drawn("adaptation", {"mine/one": without}).axes
    assert not heights(exact, ORANGE)
    assert heights(estimated, ORANGE)
    row = by_start(without)["slow", "own"]
    assert math.isnan(row["exact_gap_1"])
    assert math.isfinite(row["gap_1"])


def test_the_table_has_gaps_steps_and_factors(whole: xr.Dataset, table: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [start for start, rate in table if rate == "own"] == list(whole["start"].values)
    row = table["fast", "tuned"]
    found = {each: whole["gap"].sel(start="fast", estimator=each, rate="tuned") for each in ("exact", "pairs")}
    for name, estimator, step in (("gap_0", "pairs", 0), ("exact_gap_1", "exact", 1), ("gap_5", "pairs", 3)):
        assert row[name] == pytest.approx(float(found[estimator].sel(step=step).median()))
    assert (row["training_steps"], row["rollouts"], row["estimator"]) == (1000, 4, "pairs")
    assert (row["exact_rate"], row["estimated_rate"]) == (0.01, 0.01)
    assert table["fast", "own"]["estimated_rate"] == 0.1
    # Gaps 0.3 (1 to 1.9) x 0.6^s: the median task is at 0.156 after 2 steps and at 0.094 after 3.
    assert row["steps_to_10"] == 3 * 20
    assert row["steps_to_1"] == math.inf
    assert (row["factor"], row["factor_is_bound"]) == (1.0, True), "K_0 is not there after 3 steps"
    assert table["slow", "own"]["unstable_share"] == pytest.approx(0.2)
    assert table["slow", "own"]["quantile_5"] == math.inf


def test_differences_are_paired_by_task_and_range_over_seeds(
    whole: xr.Dataset, table: dict[tuple[str, str], dict[str, Any]]
) -> None:
    row = table["slow", "tuned"]
    pairs = whole["gap"].sel(estimator="pairs", rate="tuned", step=1)
    apart = (pairs.sel(start="slow") - pairs.sel(start="best_single_gain")).transpose("seed", ...).values
    lower = [float(np.sort(each, axis=None)[9]) for each in apart]  # of 20
    assert row["difference_min"] == pytest.approx(min(lower))
    assert row["difference_max"] == pytest.approx(max(lower))
    assert row["difference_min"] <= row["difference"] <= row["difference_max"]
    assert math.isnan(table["best_single_gain", "tuned"]["difference"])


def test_a_better_gain_than_the_optimum_of_the_meta_objective_is_named(
    table: dict[tuple[str, str], dict[str, Any]],
) -> None:
    """Those of training have 1 - seed/100 and the optimum 3."""
    assert table["meta_optimum", "own"]["better_objective"] == pytest.approx(0.96)
    assert math.isnan(table["fast", "own"]["better_objective"])


def test_markdown_marks_bounds_and_infinite_values(whole: xr.Dataset) -> None:
    product = tables.get("adaptation")()
    text = to_markdown(product.make({"mine/one": whole}), product.columns)
    assert "≥ 1.00" in text
    assert "∞" in text
    assert "a remark" in text
    assert "nan" not in text


def test_absolute_gaps_have_no_steps_to_a_share(whole: xr.Dataset) -> None:
    absolute = whole.copy(deep=True)
    absolute["relative"][:] = 0
    row = by_start(absolute)["fast", "own"]
    assert math.isnan(row["steps_to_10"])
    assert math.isnan(row["factor"])
    assert math.isfinite(row["gap_1"])


def test_several_experiments_are_named(whole: xr.Dataset) -> None:
    frame = tables.get("adaptation")().make({"mine/one": whole, "other/one": whole})
    assert list(dict.fromkeys(frame["experiment"])) == ["mine", "other"]
    assert adaptation.title("mine/one", ["mine/one", "mine/two"]) == "one"
    assert adaptation.title("mine/one", ["mine/one", "other/one"]) == "mine, one"


def test_captions_say_what_estimators_need() -> None:
    config = {
        "algorithm": {},
        "cases": {"one": {"state_dim": 2, "action_dim": 1}},
        "experiments": {"mine": {"cases": ["one"], "seeds": [0, 1]}},
        "evaluation": Evaluation().model_dump(mode="json"),
    }
    lines = adaptation.details(config, ["mine/one"])
    assert any("common_noise" in line and "replay" in line for line in lines), lines
    assert "experiment mine, seeds 0, 1" in lines

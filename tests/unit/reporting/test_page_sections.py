"""The sections of the page: the numbers of their curves and sentences are those of the datasets."""

import math
from typing import Any

import adapted
import benefits
import descents
import measurements
import numpy as np
import pytest
import synthetic
import xarray as xr
from numpy.testing import assert_allclose

from metalqr.config.plan import Plan
from metalqr.config.registries import sections
from metalqr.config.registry import load_plugins
from metalqr.evaluation.exact_methods.dataset import exact_methods_dataset
from metalqr.reporting import summaries
from metalqr.reporting.pages import curves
from metalqr.reporting.pages.chart import Chart, Finding
from metalqr.reporting.pages.specification import specification
from metalqr.reporting.tables.markdown import number

#: Half a unit of the last of five digits.
ROUNDED = 5.1e-5


def charts(name: str, datasets: dict[str, Any]) -> list[Chart]:
    return list(sections.get(name)().charts(datasets))


def chosen(chart: Chart, **fields: str) -> dict[str, Any]:
    """The only curve with these fields."""
    (found,) = (each for each in chart.curves if all(each.get(name) == value for name, value in fields.items()))
    return dict(found)


def measured_case() -> xr.Dataset:
    """A case with a simulator: costs alone, with their standard errors."""
    case = synthetic.case()
    return case.drop_vars(["J_star", "J_shared", "ratio"]).assign(cost_error=0.01 * case["cost"])


# --- curves ----------------------------------------------------------------------------------------------------------


def test_a_long_curve_keeps_its_ends_and_its_beginning() -> None:
    places = curves.kept(100_001, 300)
    assert (places[0], places[-1]) == (0, 100_000)
    assert 200 < len(places) <= 300
    assert (np.diff(places) > 0).all()
    assert np.diff(places).max() <= 100_000 / 149 + 1
    assert places[:10].tolist() == list(range(10))  # for a logarithmic axis
    assert curves.kept(300, 300).tolist() == list(range(300))


def test_numbers_have_five_digits_and_what_is_not_finite_is_a_gap() -> None:
    assert curves.plain([1 / 3, -123456.7, np.inf, np.nan, 0.0]) == [0.33333, -123460.0, None, None, 0.0]


def test_looks_differ() -> None:
    found = curves.looks(map(str, range(30)))
    assert len({(look["colour"], look["dash"]) for look in found.values()}) == 30


# --- learning curves -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset() -> xr.DataTree:
    """Longer than what is kept; a run of d2k2 diverged."""
    tree = synthetic.figure1_dataset(iterations=900)
    tree["d2k2"].dataset = synthetic.case(iterations=900, ends={(1,): ("diverged", 60)})
    return tree


@pytest.fixture(scope="module")
def first(dataset: xr.DataTree) -> Chart:
    swept = synthetic.experiment("rates", d2k2=synthetic.case(sweep={"learning_rate": [1.0e-3, 1.0e-2]}))
    (chart,) = charts("learning_curves", {"rates": swept, "figure1": dataset})
    return chart


@pytest.mark.parametrize("case", ["d1k1", "d20k10"])
def test_curves_of_runs_and_their_median_are_those_of_the_dataset(
    case: str, first: Chart, dataset: xr.DataTree
) -> None:
    stored = dataset[case].to_dataset()
    for seed in (0, 1, 2):
        points = chosen(first, experiment="figure1", case=case, kind="run", seed=str(seed))["points"]
        places = np.array(points["iteration"], dtype=int)
        assert (places[0], places[-1]) == (0, 900)
        assert len(places) <= curves.MOST
        run = stored.sel(seed=seed, iteration=places)
        assert_allclose(points["ratio"], run["ratio"], rtol=ROUNDED)
        assert_allclose(points["steps"], run["rollout_steps"], rtol=ROUNDED)
    points = chosen(first, experiment="figure1", case=case, kind="median")["points"]
    middle = np.median(stored["ratio"].values, axis=0)[np.array(points["iteration"], dtype=int)]
    assert_allclose(points["ratio"], middle, rtol=ROUNDED)


def test_a_diverged_run_ends_with_a_cross_and_the_table_says_so(first: Chart, dataset: xr.DataTree) -> None:
    run = chosen(first, experiment="figure1", case="d2k2", kind="run", seed="1")
    assert run["points"]["iteration"][-1] == 60
    assert (run["final"], run["outcome"]) == (None, "diverged")
    cross = chosen(first, experiment="figure1", case="d2k2", kind="dot")
    last = float(dataset["d2k2"]["ratio"].sel(seed=1, iteration=60))
    assert cross["points"]["iteration"] == [60]
    assert_allclose(cross["points"]["ratio"], [last], rtol=ROUNDED)
    assert cross["shape"] == "cross"


def test_the_table_has_the_numbers_of_each_run(first: Chart, dataset: xr.DataTree) -> None:
    stored = dataset["d1k1"].to_dataset()
    run = chosen(first, experiment="figure1", case="d1k1", kind="run", seed="2")
    found = [run[name] for name in ("first", "final", "floor", "total_steps")]
    ratio = stored["ratio"].sel(seed=2).values
    expected = [ratio[0], ratio[-1], summaries.floor_ratio(stored), float(stored["rollout_steps"].sel(seed=2)[-1])]
    assert_allclose(found, expected, rtol=ROUNDED)
    assert set(first.table) <= run.keys()


def test_figure1_is_first_and_swept_values_are_methods(first: Chart) -> None:
    assert first.choices[0].values == ["figure1", "rates"]
    named = {each["method"] for each in first.curves if each["experiment"] == "rates" and "method" in each}
    assert named == {"learning rate 0.001", "learning rate 0.01"}


def test_floors_are_straight(first: Chart, dataset: xr.DataTree) -> None:
    floor = chosen(first, experiment="figure1", case="d20k10", kind="reference")["points"]
    assert floor["iteration"] == [0.0, 900.0]
    assert_allclose(floor["ratio"], summaries.floor_ratio(dataset["d20k10"].to_dataset()), rtol=ROUNDED)


def test_where_a_sweep_changes_the_tasks_each_value_has_its_floor() -> None:
    case = synthetic.case(sweep={"tasks.perturbation_deviation": [0.1, 0.2]})
    costs = case["J_shared"] * xr.DataArray([1.0, 1.1], dims="tasks.perturbation_deviation")
    (chart,) = charts("learning_curves", {"e": synthetic.experiment("e", d2k2=case.assign(J_shared=costs))})
    optimal = float(case["J_star"].sum())
    for value, factor in (("0.1", 1.0), ("0.2", 1.1)):
        (method,) = {each["method"] for each in chart.curves if each.get("method", "").endswith(value)}
        floor = chosen(chart, kind="reference", method=method)["points"]["ratio"]
        assert_allclose(floor, factor * float(case["J_shared"].sum()) / optimal - 1.0, rtol=1e-4)


def test_a_case_with_a_simulator_shows_relative_costs_without_a_floor() -> None:
    case = measured_case()
    (chart,) = charts("learning_curves", {"mine": synthetic.experiment("mine", pump=case)})
    assert {each["case"] for each in chart.curves} == {"pump (measured cost)"}
    assert {each["kind"] for each in chart.curves} == {"run", "median"}
    run = chosen(chart, kind="run", seed="1")
    total = case["cost"].sum("task").sel(seed=1).values
    assert_allclose(run["points"]["ratio"], total / total[0], rtol=ROUNDED)
    assert run["floor"] is None
    (line,) = chart.see
    assert isinstance(line, Finding)
    assert "measured cost" in line.text
    assert line.fields == {"experiment": "mine"}


def test_many_runs_have_fewer_points_each() -> None:
    tree = synthetic.experiment("many", d2k2=synthetic.case(seeds=range(60), iterations=500))
    (chart,) = charts("learning_curves", {"many": tree})
    lengths = [len(each["points"]["iteration"]) for each in chart.curves if each["kind"] == "run"]
    assert max(lengths) * len(lengths) <= curves.TOGETHER


# --- the other sections ----------------------------------------------------------------------------------------------


def test_sample_efficiency_has_median_and_range_over_steps() -> None:
    case = synthetic.case(sweep={"variant": ["paper", "fast"]}, by_value={"fast": {"time_constant": 5.0}})
    (chart,) = charts("sample_efficiency", {"e": synthetic.experiment("e", d2k2=case)})
    fast = case.sel(variant="fast")
    points = chosen(chart, method="fast", kind="median")["points"]
    assert_allclose(points["ratio"], np.median(fast["ratio"].values, axis=0), rtol=ROUNDED)
    assert_allclose(points["steps"], fast["rollout_steps"].values[0], rtol=ROUNDED)
    band = chosen(chart, method="fast", kind="band")["points"]
    assert_allclose(band["low"], fast["ratio"].min("seed"), rtol=ROUNDED)
    assert_allclose(band["high"], fast["ratio"].max("seed"), rtol=ROUNDED)
    target = float(case["ratio"].sel(variant="paper").isel(iteration=-1).median())
    steps = []
    for point in (case.sel(variant="paper"), fast):
        runs = zip(point["ratio"].values, point["rollout_steps"].values, strict=True)
        steps.append(float(np.median([np.append(count[ratio <= target], np.inf)[0] for ratio, count in runs])))
    assert f"{steps[0]:,.0f}" in str(chart.see[0])
    assert f"{steps[1]:,.0f}" in str(chart.see[0])


def test_adaptation_has_the_median_over_everything() -> None:
    (chart,) = charts("adaptation", {"mine/one": adapted.whole()})
    points = chosen(chart, start="slow", estimator="exact")["points"]
    # Tasks have 1 to 1.9 times the first gap, the two runs 1 and 1.01 times.
    firsts = np.median(np.outer([1.0, 1.01], 0.2 * (1 + np.arange(adapted.TASKS) / 10)))
    assert_allclose(points["gap"], firsts * 0.9 ** np.arange(adapted.STEPS + 1), rtol=0.01)
    assert chart.choices[0].values == ["pairs", "exact"]
    lines = [line for line in chart.see if isinstance(line, Finding)]
    assert [(line.fields["estimator"], f"({line.fields['estimator']})" in line.text) for line in lines] == [
        (str(name), True) for name in adapted.whole()["estimator"].values
    ]
    assert chart.curves[0]["panel"] == "one"


def test_benefit_has_the_ratios_of_the_report() -> None:
    (chart,) = charts("meta_benefit", {"one": benefits.benefit(failed=False)})
    dataset = benefits.benefit(failed=False)
    difference, level = str(dataset["difference"].values[0]), float(dataset["heterogeneity"].values[0])
    points = chosen(
        chart, kind="median", tasks="training", difference=difference, heterogeneity=f"{level:g}"
    )["points"]  # fmt: skip
    at = dataset["training_gap"].isel(difference=0, heterogeneity=0).sel(step=1)
    ratio = (at.sel(start="meta_optimum") / at.sel(start="best_single_gain")).transpose("draw", "share", "task").values
    assert_allclose(points["ratio"], np.median(np.median(ratio, axis=2), axis=0), rtol=ROUNDED)
    assert_allclose(points["share"], dataset["share"], rtol=ROUNDED)


def test_systems_have_the_costs_of_every_task() -> None:
    case = synthetic.case(state_dim=3).assign(J0=("task", [3.0, 4.0, 5.0, 6.0, 7.0]))
    tree = synthetic.experiment("e", mine=case, pump=measured_case())
    (chart,) = charts("systems", {"e": tree})
    for variable, gain in (("J0", "initial gain"), ("J_shared", "best single gain"), ("J_star", "optimum of the task")):
        assert_allclose(chosen(chart, gain=gain)["points"]["cost"], case[variable], rtol=ROUNDED)
    assert chart.panels == ["mine: d = 3, k = 2"]
    more = 100 * (25.0 / float(case["J_star"].sum()) - 1)
    assert f"initial gain costs {more:.3g} %" in str(chart.see[0])


def test_exact_methods_are_relative_to_the_first_gap() -> None:
    paths = [descents.descent(method) for method in descents.GAP_RATES]
    (chart,) = charts("exact_methods", {"one": exact_methods_dataset(paths, descents.meta_descent(), {}, case="one")})
    rates = next(rates for method, rates in descents.GAP_RATES.items() if str(method) == "gradient_descent")
    for task, rate in enumerate(rates):
        points = chosen(chart, method="gradient descent", task=str(task))["points"]
        assert_allclose(points["gap"], rate ** np.array(points["iteration"]), rtol=ROUNDED)
    words = f"gradient descent {'does not get there' if np.median(rates) ** 40 > 1e-3 else 'takes'}"
    assert words in str(chart.see[0])


def test_estimation_errors_are_relative_to_the_gradient() -> None:
    found = measurements.estimation_error().to_dataset(measurements.SETTINGS, 0, case="one")
    (chart,) = charts("estimation_error", {"one": found})
    values = np.array(measurements.VALUES["perturbations"]) / measurements.SETTINGS["perturbations"]
    points = chosen(chart, panel="Algorithm 2", setting="perturbations", kind="median")["points"]
    assert_allclose(points["error"], np.hypot(2.0 * values**-0.5, 0.02), rtol=ROUNDED)
    lines = [line for line in chart.see if isinstance(line, Finding)]
    assert {line.fields["setting"] for line in lines} == set(chart.choices[0].values)
    last = chosen(chart, panel="Algorithm 1", setting="smoothing radius", kind="median")["points"]
    ends = [(value, error) for value, error in zip(last["value"], last["error"], strict=True) if error is not None]
    (line, _) = (line for line in lines if line.fields["setting"] == "smoothing radius")
    assert f"smoothing radius {ends[-1][0]:g} is {number(ends[-1][1])} of" in line.text


# --- charts ----------------------------------------------------------------------------------------------------------


def test_a_chart_is_valid_vega_lite_without_data_and_shows_its_fields(first: Chart) -> None:
    spec = specification(first)  # Altair checks it against the schema
    assert spec["data"] == {"name": "rows"}
    assert "datasets" not in spec
    (tips,) = (layer["encoding"]["tooltip"] for layer in spec["layer"] if "tooltip" in layer["encoding"])
    titles = {tip["title"] for tip in tips}
    assert {"iterations", "average cost difference ratio", "rollout steps", "seed", "case", "method"} <= titles


def test_a_chart_without_curves_is_left_out() -> None:
    assert sections.get("systems")().make({"e": synthetic.experiment("e", pump=measured_case())})["charts"] == []


def test_the_example_shows_the_gradient_norms(forgotten: None, dataset: xr.DataTree) -> None:
    from configs import DEFAULT
    from places import ROOT

    load_plugins(["own_section.py"], ROOT / "examples")
    assert Plan(DEFAULT).sections.by_name["gradient_norms"].names == ["figure1"]
    (chart,) = charts("gradient_norms", {"figure1": dataset})
    points = chosen(chart, case="d1k1")["points"]
    places = np.array(points["iteration"], dtype=int)
    middle = np.median(dataset["d1k1"].to_dataset()["gradient_norm"].values, axis=0)[places]
    known = np.isfinite(middle)
    assert_allclose(np.array(points["norm"], dtype=float)[known], middle[known], rtol=ROUNDED)
    assert math.isfinite(middle[0])

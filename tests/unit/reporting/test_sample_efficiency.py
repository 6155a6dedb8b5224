"""The figure and the table of sample efficiency, on made-up runs."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import synthetic
import xarray as xr
from drawn import curve, dashed_heights, legend_texts

from metalqr.config.experiments import Base, Experiment
from metalqr.config.registries import figures, tables
from metalqr.reporting import sample_efficiency, summaries
from metalqr.reporting.tables.markdown import to_markdown

FIGURE, TABLE = figures.get("sample_efficiency")(), tables.get("sample_efficiency")()
NAMES = ["paper", "pairs", "wild"]
BLOCK = {"learning_rate": [0.1, 0.2], "seeds": [7], "by": "steps_to_target", "target": 2.0}
FAST = {"pairs": {"time_constant": 4.0, "last": 0.022}}
ENDS = {("wild", seed): ("diverged", 30 + seed) for seed in (0, 1)}


def made() -> xr.Dataset:
    """The second variant is fast and tuned; of the third, whose tuning failed, two of three runs diverge."""
    case = synthetic.case(sweep={"variant": NAMES}, by_value=FAST, ends=ENDS)
    tuning = np.array([math.nan, 1234.0, 99.0])[:, np.newaxis] * np.ones(3)
    reached = np.array([math.nan, 1.0, 0.0])[:, np.newaxis] * np.ones(3)
    case = case.assign(
        tuning_steps=(("variant", "seed"), tuning),
        tuning_reached=(("variant", "seed"), reached),
        rollout_steps=case["rollout_steps"].where(np.isfinite(case["ratio"])),
    )
    fixed = case.attrs["settings"].replace('"learning_rate": 0.001, ', "").replace('"estimator": "one_point", ', "")
    case = case.assign_coords(
        learning_rate=("variant", [1e-3, 0.2, 0.1]), estimator=("variant", ["one_point", "two_point", "residual"])
    )
    return case.assign_attrs(settings=fixed)


def plainly(case: xr.Dataset, variant: str, target: float) -> float:
    """The median steps to a target, in a loop."""
    found = []
    for seed in case["seed"].values:
        run = case.sel(variant=variant, seed=seed)
        pairs = zip(run["ratio"].values, run["rollout_steps"].values, strict=True)
        below = [steps for ratio, steps in pairs if ratio <= target]
        found.append(math.inf if run["status"].item() == "diverged" or not below else below[0])
    return float(np.median(found))


def test_table_has_the_steps_to_each_ratio() -> None:
    case = made()
    frame = TABLE.make({"mine": synthetic.experiment("mine", d2k2=case)}).set_index("variant")
    floor, reference = summaries.floor_ratio(case), float(summaries.final_ratio(case.sel(variant="paper")).median())
    for variant in NAMES:
        row = frame.loc[variant]
        assert row["steps_to_2x"] == plainly(case, variant, 2.0 * floor)
        assert row["steps_to_1_2x"] == plainly(case, variant, 1.2 * floor)
        assert row["steps_to_reference"] == plainly(case, variant, reference)
        assert row["reference_ratio"] == reference
    fast, wild = frame.loc["pairs"], frame.loc["wild"]
    assert fast["factor"] == frame.loc["paper"]["steps_to_reference"] / fast["steps_to_reference"] > 1.0
    assert frame.loc["paper"]["factor"] == 1.0
    assert math.isinf(wild["steps_to_reference"])
    assert wild["factor"] == 0.0
    assert wild["diverged_runs"] == 2
    assert (fast["tuning_steps"], wild["tuning_reached"]) == (1234, 0)
    assert math.isnan(frame.loc["paper"]["tuning_steps"])
    assert frame["learning_rate"].tolist() == [1e-3, 0.2, 0.1]
    assert frame["needs"].tolist() == [
        "",
        "pairs of rollouts; with common_noise, a simulator that replays its noise",
        "memory of the costs of the iteration before",
    ]


def test_table_in_words() -> None:
    frame = TABLE.make({"mine": synthetic.experiment("mine", d2k2=made())})
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in to_markdown(frame, TABLE.columns).splitlines()
    ]
    rows = [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]
    assert [row["steps of tuning"] for row in rows] == ["–", "1,234", "99, target not reached"]
    assert rows[2]["to the reference"] == "∞"
    assert rows[0]["needs"] == "–"
    assert rows[2]["diverged runs"] == "2 of 3"


def test_reference_is_not_tuned_wherever_it_stands() -> None:
    case = made().isel(variant=[1, 2, 0])
    assert sample_efficiency.reference(case) == "paper"
    assert sample_efficiency.reference_ratio(case) == sample_efficiency.reference_ratio(made())
    assert sample_efficiency.reference(case.drop_vars(["tuning_steps", "tuning_reached"])) == "pairs"


def test_reference_that_diverged_is_no_reference() -> None:
    case = synthetic.case(sweep={"variant": NAMES}, ends={("paper", seed): ("diverged", 9) for seed in (0, 1, 2)})
    frame = TABLE.make({"mine": synthetic.experiment("mine", d2k2=case)})
    assert frame[["steps_to_reference", "factor", "reference_ratio"]].isna().all(axis=None)
    FIGURE.make({"mine": synthetic.experiment("mine", d2k2=case)})


@pytest.mark.slow
def test_figure_has_every_median_over_steps_on_logarithmic_axes() -> None:
    first, second = made(), synthetic.case(state_dim=1, action_dim=1, sweep={"variant": NAMES}, by_value=FAST)
    figure = FIGURE.make({"mine": synthetic.experiment("mine", d2k2=first, d1k1=second)})
    assert [axes.get_title() for axes in figure.axes] == ["state dim: 2, action dim: 2", "state dim: 1, action dim: 1"]
    for (axes, case), name in itertools.product(zip(figure.axes, (first, second), strict=True), NAMES):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        shown = summaries.continued_ratio(case.sel(variant=name)).isel(iteration=slice(1, None))
        median = shown.median("seed", skipna=False).values
        np.testing.assert_array_equal(curve(axes, name), np.where(np.isfinite(median), median, np.nan))
        (line,) = (each for each in axes.lines if each.get_label() == name)
        steps = case["rollout_steps"].sel(variant=name).isel(iteration=slice(1, None)).max("seed").values
        np.testing.assert_array_equal(line.get_xdata(), steps)
        assert summaries.floor_ratio(case) in [height for height, _ in dashed_heights(axes)]
    assert legend_texts(figure) == [
        *NAMES, "best single gain found", "range of 3 seeds (line: median)", "diverged (2 of 18 runs)",
        "final ratio of paper",
    ]  # fmt: skip


def test_both_take_experiments_with_a_tuned_variant_alone() -> None:
    base = {"one": Base({}, {})}
    tuned: dict[str, dict[str, Any]] = {"paper": {}, "pairs": {"estimator": "two_point", "tune": BLOCK}}
    for product in (FIGURE, TABLE):
        assert product.takes(Experiment("mine", base, [0], tuned))
        assert not product.takes(Experiment("mine", base, [0], {"paper": {}}))
        assert not product.takes(Experiment("mine", base, [0], tuned, {"tolerance": [0.0, 1.0]}))


@pytest.mark.parametrize("product", [FIGURE, TABLE])
def test_captions_have_the_rule_and_the_needs(product: Any) -> None:
    variants = {"paper": {}, "pairs": {"estimator": "two_point", "tune": BLOCK}}
    block = {"cases": ["one"], "seeds": [0, 1], "variants": variants}
    config = {"algorithm": {}, "cases": {"one": {"state_dim": 2, "action_dim": 1}}, "experiments": {"mine": block}}
    assert product.caption(config, ["mine"]).split("\n\n* ")[1:] == [
        "paper; needs nothing beside costs",
        "pairs, estimator two_point, learning_rate tuned from 0.1, 0.2 (by steps_to_target 2 on seeds 7); needs pairs "
        "of rollouts; with common_noise, a simulator that replays its noise",
        "experiment mine, seeds 0, 1",
        "one: d = 2, k = 1",
    ]


def test_needs_name_what_either_layer_takes() -> None:
    assert sample_efficiency.needs_of({"method": "exact_maml"}) == "the model"
    both = sample_efficiency.needs_of({"estimator": "residual", "inner_estimator": "two_point"})
    assert both.startswith("memory of the costs of the iteration before; pairs of rollouts")

"""The figure of variants: a panel for each case, a curve for each variant."""

import numpy as np
import pytest
import synthetic
from drawn import curve, dashed_heights, legend_texts

from metalqr.config.experiments import Base, Experiment
from metalqr.config.registries import figures
from metalqr.reporting import summaries

FIGURE = figures.get("variants")()
NAMES = ["paper", "pairs"]


@pytest.mark.slow
def test_every_variant_has_its_curve_in_every_panel() -> None:
    """The second variant of the first case learns faster, and one of its runs diverges."""
    ends = {("pairs", 1): ("diverged", 40)}
    first = synthetic.case(sweep={"variant": NAMES}, ends=ends, by_value={"pairs": {"time_constant": 5.0}})
    second = synthetic.case(state_dim=1, action_dim=1, sweep={"variant": NAMES}, first=2.0)
    figure = FIGURE.make({"methods": synthetic.experiment("methods", d2k2=first, d1k1=second)})
    assert [axes.get_title() for axes in figure.axes] == ["state dim: 2, action dim: 2", "state dim: 1, action dim: 1"]
    for axes, case in zip(figure.axes, (first, second), strict=True):
        for name in NAMES:
            median = summaries.continued_ratio(case.sel(variant=name)).median("seed", skipna=False).values
            np.testing.assert_array_equal(curve(axes, name), np.where(np.isfinite(median), median, np.nan))
        assert [height for height, _ in dashed_heights(axes)] == [summaries.floor_ratio(case)]
    assert figure.axes[1].get_ylim()[1] > 2.0
    assert legend_texts(figure) == [
        *NAMES, "best single gain found", "range of 3 seeds (line: median)", "diverged (1 of 12 runs)"
    ]  # fmt: skip


def test_it_takes_experiments_with_variants_alone() -> None:
    base = {"one": Base({}, {})}
    variants = {"paper": {}, "pairs": {"estimator": "two_point"}}
    assert FIGURE.takes(Experiment("mine", base, [0], variants))
    assert not FIGURE.takes(Experiment("mine", base, [0]))
    assert not FIGURE.takes(Experiment("mine", base, [0], variants, {"tolerance": [0.0, 1.0]}))
    assert not figures.get("hyperparameters")().takes(Experiment("mine", base, [0], variants))


def test_caption_lists_the_settings_of_each_variant() -> None:
    block = {"cases": ["one"], "seeds": [0, 1], "variants": {"paper": {}, "pairs": {"estimator": "two_point"}}}
    case = {"state_dim": 2, "action_dim": 1}
    config = {"algorithm": {"iterations": 3}, "cases": {"one": case}, "experiments": {"mine": block}}
    assert FIGURE.caption(config, ["mine"]).split("\n\n* ")[1:] == [
        "paper", "pairs, estimator two_point", "experiment mine, seeds 0, 1", "one: d = 2, k = 1, iterations 3"
    ]  # fmt: skip

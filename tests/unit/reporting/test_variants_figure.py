"""The figure of variants: a panel for each case, a curve for each variant."""

import numpy as np
import pytest
import synthetic
import xarray as xr

from metalqr.config.experiments import Base, Experiment
from metalqr.config.registries import figures
from metalqr.reporting import summaries
from metalqr.reporting.summaries import DatasetError

FIGURE = figures.get("variants")()
NAMES = ["paper", "pairs"]


def dataset() -> xr.DataTree:
    """Two cases; the second variant of the first learns faster, and one of its runs diverges."""
    ends = {("pairs", 1): ("diverged", 40)}
    faster = {"pairs": {"time_constant": 20.0}}
    first = synthetic.case(iterations=100, sweep={"variant": NAMES}, ends=ends, by_value=faster)
    second = synthetic.case(state_dim=1, action_dim=1, iterations=100, sweep={"variant": NAMES}, first=2.0)
    return synthetic.experiment("methods", d2k2=first, d1k1=second)


def test_every_variant_has_its_curve_in_every_panel() -> None:
    tree = dataset()
    figure = FIGURE.make({"methods": tree})
    assert [axes.get_title() for axes in figure.axes] == ["state dim: 2, action dim: 2", "state dim: 1, action dim: 1"]
    for axes, case in zip(figure.axes, summaries.cases(tree).values(), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for name in NAMES:
            median = summaries.continued_ratio(case.sel(variant=name)).median("seed", skipna=False).values
            shown = np.asarray(lines[name].get_ydata())
            np.testing.assert_array_equal(shown[np.isfinite(median)], median[np.isfinite(median)])
        assert any(np.allclose(line.get_ydata(), summaries.floor_ratio(case)) for line in axes.get_lines())
    assert figure.axes[1].get_ylim()[1] > 2.0
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *NAMES, "best single gain", "range of 3 seeds (line: median)", "diverged (1 of 12 runs)"
    ]  # fmt: skip


def test_it_takes_experiments_with_variants_alone() -> None:
    base = {"one": Base({}, {})}
    variants = {"paper": {}, "pairs": {"estimator": "two_point"}}
    assert FIGURE.takes(Experiment("mine", base, [0], variants))
    assert not FIGURE.takes(Experiment("mine", base, [0]))
    assert not FIGURE.takes(Experiment("mine", base, [0], variants, {"tolerance": [0.0, 1.0]}))
    assert not figures.get("hyperparameters")().takes(Experiment("mine", base, [0], variants))


def test_caption_says_what_each_variant_changes() -> None:
    block = {"cases": ["one"], "seeds": [0, 1], "variants": {"paper": {}, "pairs": {"estimator": "two_point"}}}
    case = {"state_dim": 2, "action_dim": 1}
    config = {"algorithm": {"iterations": 3}, "cases": {"one": case}, "experiments": {"mine": block}}
    caption = FIGURE.caption(config, ["mine"])
    assert "seeds 0, 1" in caption
    assert "* paper\n\n* pairs, estimator two_point\n\n* one: d = 2, k = 1, iterations 3" in caption


def test_nothing_to_show() -> None:
    with pytest.raises(DatasetError, match="variants needs the dataset of at least one experiment"):
        FIGURE.make({})

"""Tuned variants: the block, the identity of their runs, the jobs of the plan."""

from types import SimpleNamespace
from typing import Any

import pytest
from configs import overlaid, planned, problems, with_value

from metalqr.config import Plan
from metalqr.config.algorithm import MetaSettings
from metalqr.config.identity import configuration_digest, difference, identity
from metalqr.config.tuning import grid, stated

TUNE: dict[str, Any] = {"learning_rate": [1e-4, 1e-2], "seeds": [100, 101, 102]}
WHOLE = {"seeds": [100, 101, 102], "by": "steps_to_target", "target": 1.2, "learning_rate": [1e-4, 1e-2]}
PAIRS: dict[str, Any] = {"estimator": "two_point", "iterations": 9}


def mine(tune: dict[str, Any], seeds: tuple[int, ...] = (0,), **variant: Any) -> dict[str, Any]:
    """An overlay with an experiment of the paper's method and a tuned variant."""
    variants = {"paper": {}, "tuned": {**PAIRS, **variant, "tune": tune}}
    return {"experiments": {"mine": {"cases": ["d2k2"], "seeds": list(seeds), "variants": variants}}}


def jobs(plan: Plan, name: str = "mine") -> list[SimpleNamespace]:
    """The wildcards of the first run of each variant."""
    parts = [path.split("/")[2:4] for path in plan.run_files(name) if path.endswith("seed-0.nc")]
    return [SimpleNamespace(case=case, configuration=digest) for case, digest in parts]


@pytest.mark.slow
def test_identity_of_a_tuned_run_holds_the_block_in_place_of_the_setting() -> None:
    plan = planned(mine(TUNE))
    paper, run = jobs(plan)
    assert plan.settings(run) == {"adaptation_rate": 1e-5, **PAIRS, "tune": WHOLE}
    other_rate = planned(mine(TUNE), "cases: {d2k2: {algorithm: {learning_rate: 0.5}}}")
    assert jobs(other_rate)[1] == run, "the case's own learning rate does not count"
    assert jobs(other_rate)[0] != paper
    spelled = {**dict(reversed(TUNE.items())), "target": 1.2, "by": "steps_to_target"}
    assert jobs(planned(mine(spelled)))[1] == run, "nor do order and defaults"
    for change in ({"target": 1}, {"seeds": [100, 101]}, {"learning_rate": [1e-4, 1e-3]}, {"smoothing_radius": [0.1]}):
        assert jobs(planned(mine({**TUNE, **change})))[1] != run, change


def test_untuned_runs_are_those_of_before() -> None:
    settings = MetaSettings(learning_rate=1e-3, adaptation_rate=1e-5)
    assert configuration_digest(settings) == configuration_digest(settings, None) == "96440e351fe1"
    assert identity(settings) == settings.changed()
    plan = planned(mine(TUNE))
    paper, run = jobs(plan)
    assert paper.configuration == "96440e351fe1"
    assert plan.tuned_file(paper) == [], "so that training waits for no optimum"
    assert plan.tuned_file(run) == [f"results/tuned/d2k2/{run.configuration}.nc"]
    assert plan.tuned_files(SimpleNamespace(experiment="mine")) == plan.tuned_file(run)
    assert plan.tuned_files(SimpleNamespace(experiment="figure1")) == []
    assert plan.tuned_file(run)[0] in plan.all_tuned_files()


def test_grid_is_a_product_with_the_last_setting_fastest() -> None:
    block = {**WHOLE, "smoothing_radius": [0.1, 0.2]}
    assert [tuple(each.values()) for each in grid(block)] == [(1e-4, 0.1), (1e-4, 0.2), (1e-2, 0.1), (1e-2, 0.2)]
    assert grid(None) == [{}]


def test_tuning_takes_the_time_of_all_its_runs_and_so_comes_before_the_runs_that_wait_for_it() -> None:
    plan = planned(mine(TUNE))
    _, run = jobs(plan)
    assert plan.priority("tune")(run) > plan.priority("train_policy")(run) > 0
    one, all_six = plan._needs("train_policy", run), plan._needs("tune", run)
    assert all_six[1] == pytest.approx(6 * one[1])
    assert one[0] <= all_six[0] < 1.01 * one[0]


def test_a_tuned_run_may_have_any_value_that_was_tried() -> None:
    settings = MetaSettings(learning_rate=1e-4, adaptation_rate=1e-5).as_dict()
    wanted = stated(settings, WHOLE)
    assert difference(stated({**settings, "learning_rate": 1e-2}, WHOLE), wanted) is None
    found = difference(stated({**settings, "learning_rate": 0.5}, WHOLE), wanted)
    assert found == "it was run with learning_rate: 0.5, but learning_rate: 0.0001 is wanted"
    assert "but tune: None is wanted" in str(difference(wanted, settings))
    assert "with tune: None, but tune: {" in str(difference(settings, wanted))


KEY = "experiments.mine.variants.tuned"


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        (
            {"seeds": [100]},
            ".tune: no setting to choose; give one a list of values, such as learning_rate: [1.0e-3, 1.0e-2]",
        ),
        ({"learning_rate": [0.1]}, ".tune.seeds: missing; add it"),
        ({**TUNE, "learning_rate": []}, ".tune.learning_rate: empty; give at least one entry"),
        ({**TUNE, "learning_rate": [0.1, 0.0]}, ".tune.learning_rate[1]: 0.0 is not > 0"),
        ({**TUNE, "learning_rates": [0.1]}, ".tune.learning_rates: unknown key; did you mean learning_rate?"),
        ({**TUNE, "perturbations": [3]}, ".tune.perturbations: unknown key; "),  # a size
        ({**TUNE, "adaptation_rate": [0.1]}, ".tune.adaptation_rate: unknown key; "),  # optima depend on it
        (
            {**TUNE, "momentum_decay": [0.5]},
            ".tune.momentum_decay: a setting of update_rule: momentum, not of gradient; remove it or change ",
        ),
        (
            {**TUNE, "seeds": [100, 0]},
            ".tune.seeds[1]: 0 is also a seed of the experiment, whose runs the choice must not see; choose another",
        ),
        ({**TUNE, "by": "luck"}, ".tune.by: 'luck' is not allowed; use one of: steps_to_target"),
        ({**TUNE, "target": 0.5}, ".tune.target: 0.5 is not >= 1"),
        ({**TUNE, "iterations": [5]}, ".tune.iterations: unknown key; "),
    ],
)
def test_bad_blocks(tune: dict[str, Any], message: str) -> None:
    (found,) = problems(overlaid(mine(tune)))
    assert found.startswith(KEY + message), found


def test_a_setting_is_given_once() -> None:
    given = problems(overlaid(mine(TUNE, learning_rate=0.1)))
    assert given == (f"{KEY}.tune.learning_rate: the variant sets it too; remove one of the two",)
    swept = overlaid(mine(TUNE))
    swept["experiments"]["mine"]["sweep"] = {"learning_rate": [0.1, 0.2]}
    assert f"{KEY}.tune.learning_rate: the sweep sets it too; remove one of the two" in problems(swept)


def test_only_variants_are_tuned() -> None:
    for key in ("algorithm.tune", "cases.d1k1.algorithm.tune", "experiments.figure1.sweep.tune"):
        assert problems(with_value(key, TUNE))[0].startswith(f"{key}: unknown key; "), key

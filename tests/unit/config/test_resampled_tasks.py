"""Tasks resampled in every iteration: the identity of sets of tasks, the sources and the needs of their runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from configs import overlaid, planned, problems

from metalqr.config import Plan
from metalqr.config.registries import families

RESAMPLED: dict[str, Any] = {"cases": {"d2k2": {"tasks": {"resample": "each_iteration"}}}}
#: A variant of it has the estimator residual.
WITHOUT_ESTIMATORS: dict[str, Any] = {"experiments": {"estimators": None}}


def train(plan: Plan, case: str) -> SimpleNamespace:
    """The wildcards of the run of figure1."""
    (path,) = {path.rpartition("/")[0] for path in plan.run_files("figure1") if f"/{case}/" in path}
    return SimpleNamespace(case=case, configuration=path.rpartition("/")[2])


def test_without_it_nothing_is_another_run() -> None:
    plan, written = planned(), planned({"cases": {"d2k2": {"tasks": {"resample": "never"}}}})
    assert "resample" not in plan.task_block(SimpleNamespace(case="d2k2"))["tasks"]
    assert written.task_block(SimpleNamespace(case="d2k2")) == plan.task_block(SimpleNamespace(case="d2k2"))
    assert written.all_run_files() == plan.all_run_files()
    assert families.get("similar").source not in plan.run_plugins(train(plan, "d2k2"))


def test_tasks_are_made_again_and_runs_depend_on_the_family() -> None:
    plan, usual = planned(WITHOUT_ESTIMATORS, RESAMPLED), planned(WITHOUT_ESTIMATORS)
    assert plan.task_block(SimpleNamespace(case="d2k2"))["tasks"]["resample"] == "each_iteration"
    assert families.get("similar").source in plan.run_plugins(train(plan, "d2k2"))
    assert families.get("similar").source not in plan.run_plugins(train(plan, "d1k1"))
    needs, before = (each.resources("train_policy")["mem_mb"](train(each, "d2k2"), 1) for each in (plan, usual))
    assert before < needs < before + 200


def test_it_can_be_swept_so_that_both_ways_of_training_stand_side_by_side() -> None:
    block = {"cases": ["d2k2"], "seeds": [0], "sweep": {"tasks.resample": ["never", "each_iteration"]}}
    sets = planned({"experiments": {"mine": block}}).experiments["mine"].families("d2k2")
    assert [family.resamples for family in sets.values()] == [False, True]
    assert next(iter(sets)) == "d2k2"


@pytest.mark.parametrize("method", ["gradient_descent", "exact_maml"])
def test_a_variant_that_cannot_do_it_is_named(method: str) -> None:
    block = {"cases": ["d2k2"], "seeds": [0], "variants": {"paper": {}, "other": {"method": method}}}
    (found,) = problems(overlaid(RESAMPLED, {"experiments": {"mine": block, "estimators": None}}))
    assert found.startswith(
        "experiments.mine: tasks.resample of d2k2: each_iteration changes the tasks, but the method"
    )

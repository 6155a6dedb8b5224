"""The block `evaluation.benefit` in the plan: its files, what its jobs are given, and what they need."""

from types import SimpleNamespace
from typing import Any

from configs import overlaid, planned, problems

from metalqr.config.needs import META_BENEFIT

#: Without the experiment whose cases the default config compares.
OFF = "experiments: {unseen_tasks: null}"
ON: dict[str, Any] = {
    "cases": {name: {"meta_benefit": True} for name in ("d1k1", "d2k2")}, "experiments": {"unseen_tasks": None}
}  # fmt: skip
BUS = """
cases: {bus: {meta_benefit: true, tasks: {family: bus, speed: {low: 5, high: 15}, count: 3}, initial_gain: zero,
              algorithm: {learning_rate: 1.0e-3, adaptation_rate: 1.0e-5}}}
experiments: {figure1: {cases: [bus]}, unseen_tasks: null}
evaluation: {benefit: {heterogeneity: [1.0, 0.5]}}
"""


def of(case: str) -> SimpleNamespace:
    return SimpleNamespace(case=case)


def test_without_cases_nothing_is_compared() -> None:
    plan = planned(OFF)
    assert plan.benefit.files == {}
    assert not plan.evaluates
    assert not [name for name in plan.figures.by_name if name.startswith(("meta_benefit", "heterogeneity"))]


def test_each_case_has_a_file_and_figures_and_all_share_a_table() -> None:
    plan, without = planned(ON), planned(OFF)
    assert plan.evaluates
    assert plan.results("meta_benefit") == {name: f"results/meta_benefit/{name}.nc" for name in ("d1k1", "d2k2")}
    names = {f"{figure}-{case}" for figure in ("meta_benefit", "heterogeneity") for case in ("d1k1", "d2k2")}
    assert set(plan.figures.by_name) - set(without.figures.by_name) == names
    assert plan.tables.by_name["meta_benefit"].names == ["d1k1", "d2k2"]
    assert all(plan.figures.by_name[name].stage == "evaluation" for name in names)
    assert plan.all_run_files() == without.all_run_files()
    assert set(plan.task_sets) == set(without.task_sets)


def test_jobs_are_given_the_family_and_the_levels_that_it_has() -> None:
    plan = planned(BUS)
    assert plan.benefit.comparison(of("bus"))["differences"] == ["both"]
    assert plan.benefit.comparison(of("bus"))["heterogeneity"] == [0.5, 1.0]
    assert plan.drawn_block(of("bus")) == {
        "state_dim": 5,
        "action_dim": 1,
        "tasks": {"family": "bus", "count": 3, "speed": {"low": 5.0, "high": 15.0}},
        "seed": 2025,
    }
    assert [path.name for path in plan.family_plugins(of("bus"))] == ["bus.py"]
    assert planned(ON).benefit.comparison(of("d1k1"))["differences"] == ["dynamics", "costs", "both"]


def test_needs_grow_with_the_levels_and_are_refused_where_too_large() -> None:
    plan = planned(ON)
    (small,), (large,) = (plan.benefit.sizes(case) for case in ("d1k1", "d2k2"))
    assert (small.runs, small.steps, large.state_dim) == (9, 8, 2)
    requests = plan.resources(META_BENEFIT)
    assert 500 < requests["mem_mb"](of("d2k2"), 1) < 1000
    assert 10 <= requests["runtime"](of("d2k2"), 1) < 60
    found = problems(overlaid(ON, {"evaluation": {"benefit": {"unseen_tasks": 10**9}}}))
    assert "evaluation.benefit: the job measure_meta_benefit of d1k1 would need about" in found[0]
    assert "lower unseen_tasks, which is 1000000000, or raise the limit" in found[0]

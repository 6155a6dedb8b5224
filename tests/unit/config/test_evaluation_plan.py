"""The stage `evaluation` in the config and in the plan: which files it makes of what, and what its jobs need."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import configs
import pytest
from configs import DEFAULT, problems

from metalqr.config import Plan, check_config
from metalqr.config.algorithm import MetaSettings
from metalqr.config.evaluation import Evaluation, estimate_settings
from metalqr.config.needs import EVALUATION

#: Without the experiment that the default config evaluates.
NONE = "{experiments: {unseen_tasks: null}}"
overlaid, planned = partial(configs.overlaid, NONE), partial(configs.planned, NONE)
ON = "{experiments: {figure1: {evaluated: true}}}"
SMALL = "{experiments: {figure1: {cases: [d2k2], seeds: [0, 1], evaluated: true}}}"


def at(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**values)


def test_without_experiments_nothing_is_evaluated_and_no_run_changes() -> None:
    plan = planned()
    assert plan.evaluation.files == plan.evaluation.inputs == []
    assert plan.figures.files("evaluation") == plan.tables.files("evaluation") == []
    other = planned(ON)
    assert other.all_run_files() == plan.all_run_files()
    assert other.results("datasets") == plan.results("datasets")


def test_a_config_without_the_block_has_the_defaults_of_the_config_file() -> None:
    """config.yaml writes out what the code has as defaults."""
    without = {name: block for name, block in DEFAULT.items() if name != "evaluation"}
    assert check_config(without).evaluation == check_config(DEFAULT).evaluation
    assert check_config(DEFAULT).evaluation.model_dump() == Evaluation().model_dump()


def test_files_of_the_stage() -> None:
    plan = planned(SMALL)
    (trained,) = plan.evaluation.trained
    configuration = trained.point.configuration
    assert sorted(plan.evaluation.files) == sorted(
        [
            "results/evaluation/d2k2/test.nc",
            "results/evaluation/d2k2/validation.nc",
            f"results/evaluation/figure1/d2k2/{configuration}.nc",
            "results/evaluation/d2k2/comparators-1e-05.nc",
            "results/evaluation/figure1.d2k2.nc",
        ]
    )
    job = at(experiment="figure1", case="d2k2", configuration=configuration)
    assert plan.evaluation.runs_of(job) == [f"results/runs/d2k2/{configuration}/seed-{seed}.nc" for seed in (0, 1)]
    assert plan.evaluation.stated(job) == trained.point.settings.as_dict()
    assert plan.results("evaluation") == {"figure1/d2k2": "results/evaluation/figure1.d2k2.nc"}
    assert {"results/figures/adaptation.pdf", "results/figures/regret.svg"} < set(plan.figures.files("evaluation"))
    assert plan.figures.by_name["adaptation"].names == ["figure1/d2k2"]


def test_variants_sweeps_and_moved_tasks_are_parts_of_one_file() -> None:
    swept = (
        "{experiments: {figure1: {cases: [d2k2], seeds: [0], variants: {a: {}, b: {adaptation_rate: 0.1}}, "
        'sweep: {"tasks.perturbation_deviation": [0.25, 0.5]}}}}'
    )
    plan = planned(swept, ON)
    whole = at(experiment="figure1", case="d2k2")
    assert plan.evaluation.names(whole) == [
        "a, tasks.perturbation_deviation 0.25",
        "a, tasks.perturbation_deviation 0.5",
        "b, tasks.perturbation_deviation 0.25",
        "b, tasks.perturbation_deviation 0.5",
    ]
    parts, others = plan.evaluation.parts_of(whole), plan.evaluation.comparators_of(whole)
    assert len(set(parts)) == len(set(others)) == 4
    (moved,) = {file.split("/")[2] for file in others} - {"d2k2"}
    assert f"results/evaluation/{moved}/test.nc" in plan.evaluation.files
    assert f"results/evaluation/{moved}/comparators-0.1.nc" in others
    assert f"results/optima/{moved}/adaptation_rate-0.1.nc" in plan.evaluation.inputs
    assert list(plan.results("evaluation")) == ["figure1/d2k2"]


def test_estimates_take_the_case_s_own_simulation_and_nothing_else() -> None:
    given = {"rollout_length": 7, "smoothing_radius": 0.2, "perturbations": 9, "estimator": "two_point"}
    settings = estimate_settings({**given, "common_noise": True, "update_rule": "adam"}, {"perturbations": 3})
    assert (settings.rollout_length, settings.smoothing_radius, settings.perturbations) == (7, 0.2, 3)
    assert (settings.estimator, settings.common_noise, settings.update_rule) == ("one_point", False, "gradient")
    plan = planned(SMALL, "{cases: {d2k2: {algorithm: {rollout_length: 8, update_rule: momentum}}}}")
    found = {name: MetaSettings(**each) for name, each in plan.evaluation.estimates(at(case="d2k2")).items()}
    assert {name: (each.estimator, each.rollout_length) for name, each in found.items()} == {
        "common_noise": ("two_point", 8),
        "two_point": ("two_point", 8),
        "baseline": ("one_point_baseline", 8),
    }
    names = {path.stem for path in plan.evaluation.plugins(at(case="d2k2"))}
    assert names == {"two_point", "one_point_baseline", "orthogonal", "sphere"}


def test_unseen_tasks_may_be_those_of_a_case_or_a_file(tmp_path: Path) -> None:
    case = (
        "{cases: {more: {state_dim: 2, action_dim: 2, seed: 5, initial_gain: zero, tasks: {family: similar, count: 3, "
        "spectral_radius: 0.8, perturbed_share: 0.1, perturbation_deviation: 0.25}, algorithm: {learning_rate: 1.0e-3, "
        "adaptation_rate: 1.0e-5}}}, evaluation: {tasks: more, validation_tasks: mine.yaml}}"
    )
    (tmp_path / "mine.yaml").write_text(
        "{A: [[0.5, 0.0], [0.0, 0.4]], B: [[1.0, 0.0], [0.0, 1.0]], Q: [[1.0, 0.0], [0.0, 1.0]], "
        "R: [[1.0, 0.0], [0.0, 1.0]], Psi: [[1.0, 0.0], [0.0, 1.0]]}"
    )
    plan = Plan(overlaid(SMALL, case), tmp_path)
    assert plan.evaluation.unseen(at(case="d2k2", pool="test")) == {"case": "more"}
    assert plan.evaluation.unseen_inputs(at(case="d2k2", pool="test")) == [
        "results/tasks/d2k2.nc", "results/tasks/more.nc",
    ]  # fmt: skip
    assert "more" in plan.task_sets, "its tasks are made although no experiment uses them"
    found = plan.evaluation.unseen(at(case="d2k2", pool="validation"))
    assert found["path"] == "mine.yaml"
    assert found["digest"]


@pytest.mark.parametrize("rule", EVALUATION)
def test_jobs_need_more_for_more(rule: str) -> None:
    """Memory and time of every job are bounded by the sizes of the block."""

    def needs(overlay: str) -> tuple[float, float]:
        plan = planned(SMALL, overlay)
        (trained,) = plan.evaluation.trained
        names = {"experiment": "figure1", "case": "d2k2", "configuration": trained.point.configuration}
        return plan._needs(rule, at(**names, rate="1e-05", pool="test"))

    few = needs("{}")
    many = needs("{evaluation: {tasks: 2000, repeats: 50, steps: 20}}")
    assert 250 <= few[0] < many[0]
    assert 0 < few[1] < many[1]


def test_what_needs_too_much_memory_is_refused_first() -> None:
    (problem,) = problems(overlaid(SMALL, "{evaluation: {tasks: 10000000}}"))
    assert problem.startswith("evaluation: the job ")
    assert "execution.largest_memory_mb" in problem
    assert "evaluation.tasks" in problem or "cases.d2k2" in problem


def test_memory_of_figures_counts_what_they_read() -> None:
    plan = planned(SMALL, "{evaluation: {tasks: 20000, repeats: 20}}")
    assert plan.figures.memory(at(figure="adaptation"), 1) > planned(SMALL).figures.memory(at(figure="adaptation"), 1)

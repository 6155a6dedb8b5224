"""The stage `evaluation` on a tiny config: what it makes, what starts it again, and a kill."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from project import Project, assert_same_results, kill_group, until

from metalqr.evaluation.adaptation.dataset import load_evaluation
from metalqr.evaluation.benefit.dataset import load_meta_benefit
from metalqr.results import load_optima, load_tasks
from metalqr.systems.further import digest

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).with_name("evaluation.yaml")
WHOLE = "results/evaluation/estimators.d1k1.nc"
COMPARATORS = "results/evaluation/d1k1/comparators-1e-05.nc"
FIGURES = ("adaptation", "regret", "meta_benefit-d1k1", "heterogeneity-d1k1")
RULE, BENEFIT = "measure_meta_benefit", "results/meta_benefit/d1k1.nc"
BENEFIT_AGAIN = {
    RULE: [BENEFIT],
    "draw": ["results/figures/heterogeneity-d1k1.pdf", "results/figures/meta_benefit-d1k1.pdf"],
    "tabulate": ["results/tables/meta_benefit.md"],
}
REPORTED = {
    "draw": ["results/figures/adaptation.pdf", "results/figures/regret.pdf"],
    "tabulate": ["results/tables/adaptation.md"],
}


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stage, run to the end once."""
    project = Project(fresh.root, tmp_path_factory.mktemp("evaluation") / "made", [CONFIG])
    project.snakemake("evaluation", "--cores", "2")
    return project


def again(made: Project, *pools: str) -> dict[str, list[str]]:
    """What a change starts: unseen tasks, all evaluations, and what follows."""
    parts = [path.relative_to(made.directory).as_posix() for path in made.directory.glob("results/evaluation/*/*/*.nc")]
    drawn = {"draw_unseen_tasks": [f"results/evaluation/d1k1/{pool}.nc" for pool in pools]} if pools else {}
    evaluated = {"evaluate_trained": sorted(parts), "evaluate_comparators": [COMPARATORS], "join_evaluation": [WHOLE]}
    return {**drawn, **evaluated, **REPORTED}


def test_everything_is_made_alone_and_nothing_again(made: Project) -> None:
    parts = {name for name in made.results() if name.startswith("evaluation/")}
    assert len(parts) == 6
    assert {"evaluation/estimators.d1k1.nc", "evaluation/d1k1/test.nc", "evaluation/d1k1/validation.nc"} < parts
    assert {name for name in made.results() if name.startswith(("figures/", "tables/"))} == {
        *(f"figures/{name}.{form}" for name in FIGURES for form in ("pdf", "svg", "png")),
        "tables/adaptation.csv",
        "tables/adaptation.md",
        "tables/learnability.csv",
        "tables/learnability.md",
        "tables/meta_benefit.csv",
        "tables/meta_benefit.md",
        "tables/method_bias.csv",
        "tables/method_bias.md",
    }
    assert made.planned("evaluation") == {}
    dataset = load_evaluation(made.directory / WHOLE, "estimators/d1k1")
    assert dict(dataset.sizes) == {
        "start": 7, "estimator": 3, "rate": 2, "seed": 2, "repeat": 2, "task": 3, "step": 3, "candidate": 2,
    }  # fmt: skip
    assert dataset["start"].values.tolist() == [
        "two_point", "two_point, averaged", "paper",
        "initial_gain", "best_single_gain", "meta_optimum", "certainty_equivalence",
    ]  # fmt: skip
    assert dataset["rollout_steps"].values.tolist() == [[0, 0, 0], *[[0, 2 * 6, 4 * 6]] * 2]


def test_unseen_tasks_are_none_of_training_and_not_those_of_validation(made: Project) -> None:
    folder = made.directory / "results"
    files = [folder / "tasks/d1k1.nc", *(folder / f"evaluation/d1k1/{pool}.nc" for pool in ("validation", "test"))]
    digests = [each for file in files for each in digest(load_tasks(file))]
    assert len(set(digests)) == len(digests) == 2 + 2 + 3


def test_the_first_draw_of_the_benefit_is_the_case(made: Project) -> None:
    """At the heterogeneity of the case; its optimum of L is also a comparator, at another rate."""
    dataset = load_meta_benefit(made.directory / BENEFIT, "d1k1")
    assert (dataset["failure"] == "").all()
    optima = load_optima(made.directory / "results/optima/d1k1.nc", "d1k1")
    first = dataset["K_shared"].sel(difference="both", heterogeneity=1.0, draw=0)
    np.testing.assert_allclose(first, optima["K_shared"], rtol=1e-12)
    settings = json.loads(dataset.attrs["settings"])
    assert settings["tasks"]["count"] == 2
    assert settings["comparison"]["draws"] == 2


@pytest.mark.parametrize("overlay", ["{draws: 3}", "{heterogeneity: [1.0]}"])
def test_a_changed_comparison_makes_nothing_else_again(overlay: str, made: Project) -> None:
    planned = made.overlay(f"evaluation: {{benefit: {overlay}}}\n").planned("evaluation")
    assert planned == BENEFIT_AGAIN


def test_edited_sources_of_the_benefit_make_nothing_else_again(made: Project) -> None:
    for name in ("evaluation/benefit/comparison.py", "evaluation/heterogeneity.py"):
        with made.edited(f"src/metalqr/{name}"):
            assert made.planned("evaluation") == BENEFIT_AGAIN
    assert made.overlay("cases: {d1k1: {initial_gain: [[0.1]]}}\n").planned("meta_benefit").get(RULE) is None


def test_everything_is_part_of_figures_tables_and_all(made: Project) -> None:
    for target, wanted in (("figures", "draw"), ("tables", "tabulate")):
        planned = made.planned(target, "--forcerun", "join_evaluation")
        assert set(REPORTED[wanted]) <= set(planned[wanted])
    assert "join_evaluation" in made.planned("all", "--forcerun", "join_evaluation")


@pytest.mark.parametrize(
    ("overlay", "pools"),
    [
        ("{seed: 1}", ()),
        ("{steps: 3}", ()),
        ("{learning_rates: [1.0e-3]}", ()),
        ("{estimators: {common_noise: {perturbations: 2}}}", ()),
        ("{tasks: 4}", ("test",)),
        ("{tasks: 4, validation_tasks: 3}", ("test", "validation")),
    ],
)
def test_a_changed_setting_trains_nothing_again(overlay: str, pools: tuple[str, ...], made: Project) -> None:
    assert made.overlay(f"evaluation: {overlay}\n").planned("evaluation") == again(made, *pools)


def test_other_comparators_leave_the_trained_gains(made: Project) -> None:
    planned = made.overlay("evaluation: {comparators: [initial_gain]}\n").planned("evaluation")
    assert planned == {rule: files for rule, files in again(made).items() if rule != "evaluate_trained"}


def test_edited_sources_evaluate_again_and_train_nothing(made: Project) -> None:
    with made.edited("src/metalqr/evaluation/adaptation/paths.py"):
        assert made.planned("evaluation") == again(made)
    with made.edited("src/metalqr/reporting/figures/adaptation_panels.py"):
        assert made.planned("evaluation") == {"draw": REPORTED["draw"]}


def test_without_experiments_the_stage_is_empty(made: Project) -> None:
    assert made.overlay("experiments: {estimators: {evaluated: false}}\n").planned("evaluation") == {}


def test_a_killed_evaluation_goes_on(made: Project, tmp_path: Path) -> None:
    """Killed while the comparators are evaluated: what was finished is not made again, and the end is the same."""
    project = made.copied(tmp_path)
    folder = project.directory / "results"
    for path in [*folder.glob("evaluation/*.nc"), *folder.glob("evaluation/*/*/*.nc"), folder.parent / COMPARATORS]:
        path.unlink()
    logs = folder / "logs/evaluation"
    begin = time.time()
    process = project.start("evaluation", "--cores", "1")
    assert until(lambda: any(path.stat().st_mtime >= begin for path in logs.rglob("*.log")), process)
    time.sleep(0.5)
    kill_group(process)
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("evaluation/**/*.nc")}
    for path in finished:
        with xr.open_dataset(path) as dataset:
            dataset.load()
    project.snakemake("evaluation", "--cores", "2")
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert_same_results(project, made)


def test_a_task_of_training_among_the_unseen_ones_is_refused(made: Project, tmp_path: Path) -> None:
    """Another case that happens to have the same tasks."""
    other = made.copied(tmp_path).overlay(
        "cases: {same: {state_dim: 1, action_dim: 1, initial_gain: zero, tasks: {family: similar, count: 3, "
        "spectral_radius: 0.9, perturbed_share: 1.0, perturbation_deviation: 0.1}, algorithm: {learning_rate: 1.0e-3, "
        "adaptation_rate: 1.0e-5}}}\nevaluation: {tasks: same}\n"
    )
    printed = other.snakemake("evaluation", "--cores", "2", succeeds=False)
    assert "task 0 of the test tasks is task 0 of the training tasks, so it is not unseen" in printed

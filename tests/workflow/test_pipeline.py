"""The whole pipeline on a tiny config: what it makes, that it makes it again the same, and what it makes again when."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import xarray as xr
from drawn import faults
from places import ROOT
from project import Project

from metalqr import results
from metalqr.config import Plan, read_configs
from metalqr.config.reading import lay_over
from metalqr.config.registries import figures
from metalqr.reporting.predictions import load_compared
from metalqr.results.tuned import choice

pytestmark = pytest.mark.slow

EXPERIMENTS = ["estimators", "figure1", "learning_rate", "perturbations"]
CURVES, HYPERPARAMETERS = "results/figures/figure1.pdf", "results/figures/hyperparameters.pdf"
VARIANTS, EFFICIENCY = "results/figures/estimators.pdf", "results/figures/sample_efficiency.pdf"
#: One of d1k1 is tuned; the other two are of figure1, and one of them also of estimators.
RUNS_PER_CASE = {"d1k1": 3, "d2k2": 4}
PAGE, SECTIONS = "results/page.html", ("learning_curves", "sample_efficiency", "systems")
LEARNABILITY, METHOD_BIAS = "results/tables/learnability.md", "results/tables/method_bias.md"
#: All runs have the cases' own adaptation rate.
META_OPTIMA = [f"results/optima/{case}/adaptation_rate-1e-05.nc" for case in RUNS_PER_CASE]


def runs_of(plan: dict[str, list[str]]) -> dict[str, int]:
    """Number of runs in a plan, by case."""
    cases = [path.split("/")[2] for path in plan.get("train_policy", [])]
    return {case: cases.count(case) for case in sorted(set(cases))}


def page_with(*sections: str) -> dict[str, list[str]]:
    """The page, after these sections."""
    return {"page": [PAGE], **({"section": [f"results/sections/{name}.json" for name in sections]} if sections else {})}


def after(*experiments: str) -> dict[str, list[str]]:
    """What follows from new datasets of these experiments."""
    curves = [CURVES] if "figure1" in experiments else []
    hyperparameters = [HYPERPARAMETERS] if set(experiments) - {"figure1", "estimators"} else []
    variants, efficiency = ([VARIANTS], [EFFICIENCY]) if "estimators" in experiments else ([], [])
    names = sorted([*experiments, *(["sample_efficiency"] if efficiency else [])])
    return {
        "collect_dataset": [f"results/datasets/{name}.nc" for name in sorted(experiments)],
        "draw": [*variants, *curves, *hyperparameters, *efficiency],
        "tabulate": [f"results/tables/{name}.md" for name in names],
        **page_with("learning_curves", *(["sample_efficiency"] if efficiency else []), "systems"),
    }


AFTER_DATASETS = {rule: files for rule, files in after(*EXPERIMENTS).items() if rule != "collect_dataset"}


#: The one tuning there is, and the run that reads it.
TUNED_AGAIN: dict[str, Any] = {"tune": 1, "train_policy": {"d1k1": 1}}


def counted(plan: dict[str, list[str]]) -> dict[str, Any]:
    """The plan with its tunings counted, and its runs by case."""
    counts = {"train_policy": runs_of(plan), "tune": len(plan.get("tune", []))}
    return {rule: counts.get(rule, files) for rule, files in plan.items()}


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


# --- what it makes ---------------------------------------------------------------------------------------------------


def test_everything_is_made_under_the_directory(finished: Project) -> None:
    made = {path.relative_to(finished.directory).as_posix() for path in finished.directory.rglob("*") if path.is_file()}
    expected = {*after(*EXPERIMENTS)["collect_dataset"], *META_OPTIMA}
    figures = ("estimators", "figure1", "hyperparameters", "sample_efficiency")
    tables = (*EXPERIMENTS, "learnability", "method_bias", "sample_efficiency")
    expected |= {f"results/figures/{name}.{form}" for name in figures for form in ("pdf", "svg", "png")}
    expected |= {f"results/tables/{name}.{form}" for name in tables for form in ("md", "csv")}
    expected |= {PAGE, *(f"results/sections/{name}.json" for name in SECTIONS)}
    expected |= {f"results/{stage}/{case}.nc" for stage in ("tasks", "optima") for case in RUNS_PER_CASE}
    assert expected <= made
    results = {name for name in made if not name.startswith((".snakemake/", "results/logs/", "results/timings/"))}
    others = sorted(name.split("/")[1] for name in results - expected)
    assert others == ["runs"] * sum(RUNS_PER_CASE.values()) + ["tuned"]
    assert not (finished.root / "results").exists()


def test_every_job_has_its_log_and_its_timing(finished: Project) -> None:
    results = finished.directory / "results"
    jobs = 2 + 2 + 2 + 1 + 1 + sum(RUNS_PER_CASE.values()) + 4 + 4 + 6 + 3 + 1
    assert len(list((results / "logs").rglob("*.log"))) == jobs
    timings = list((results / "timings").rglob("*.tsv"))
    assert len(timings) == jobs
    assert all(float(path.read_text().splitlines()[1].split("\t")[0]) > 0 for path in timings)


def test_log_of_a_run_shows_settings_progress_and_end(finished: Project) -> None:
    (log, *_) = (finished.directory / "results/logs/runs/d1k1").rglob("seed-1.log")
    text = log.read_text()
    assert "case d1k1, seed 1, threads 1, settings {'learning_rate': 0.001" in text
    assert "iteration 0 of 3, mean cost" in text
    assert "iteration 3 of 3, mean cost" in text
    assert text.rstrip().endswith("completed at iteration 3")
    assert "WARNING" not in text


def test_figures_have_no_legend_over_curves_and_no_words_over_words(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs, folder = read_configs([ROOT / "config.yaml", ROOT / "tests/workflow/tiny.yaml"])
    config: dict[str, Any] = {}
    for each in configs:
        lay_over(config, each)
    monkeypatch.chdir(finished.directory)
    shown = Plan(config, folder).figures.by_name
    assert shown.keys() >= {"estimators", "figure1", "hyperparameters", "sample_efficiency"}
    for name, output in shown.items():
        load = resolve_name(output.reader)
        datasets = {each: load(file, each) for each, file in zip(output.names, output.inputs, strict=True)}
        assert not faults(figures.get(output.plugin)().make(datasets)), name


def test_diverged_runs_are_results(finished: Project) -> None:
    case = results.load_experiment(finished.directory / "results/datasets/learning_rate.nc")["d2k2"].to_dataset()
    assert case["status"].sel(learning_rate=1e-3).values.tolist() == ["completed"]
    assert case["status"].sel(learning_rate=1e3).values.tolist() == ["diverged"]


def test_run_whose_tasks_are_not_learnable_at_its_rate_says_so(finished: Project, tmp_path: Path) -> None:
    """No run fails for a rate that is too large: the end of `snakemake optima` says so, and the table."""
    rates = "experiments: {rate: {cases: [d1k1], seeds: [0], sweep: {adaptation_rate: [1.0e+6]}}}\n"
    other = finished.copied(tmp_path).overlay(rates)
    printed = other.snakemake("optima", "--cores", "1")
    known = results.load_meta_optimum(tmp_path / "made/results/optima/d1k1/adaptation_rate-1000000.0.nc", "d1k1")
    assert known["verdict"].item() == "not learnable"
    assert known["K_meta"].isnull().all()
    place, largest = "Warning: d1k1 at adaptation_rate 1000000.0:", known["largest_adaptation_rate"].item()
    first, second = (line for line in printed.splitlines() if line.startswith("Warning"))
    assert first.startswith(f"{place} the tasks are not known to be MAML-learnable (not learnable): no gain is MAML-st")
    assert second == f"{place} the initial gain is MAML-stabilising only up to {largest:.6g}"
    assert printed.rstrip().endswith(second)
    assert "| no gain is MAML-stabilising at" in (tmp_path / "made" / LEARNABILITY).read_text(encoding="utf-8")
    printed = other.snakemake("results/datasets/rate.nc", "--cores", "1")
    (warning,) = (line for line in printed.splitlines() if "set warm_up" in line)
    assert warning.startswith(
        "train_policy(case=d1k1, seed=0): K_0 is not MAML-stabilising at adaptation_rate: 1e+06: "
    )
    case = results.load_experiment(tmp_path / "made/results/datasets/rate.nc")["d1k1"].to_dataset()
    assert case["status"].values.tolist() == [["diverged"]]


def test_predictions_are_made_beside_the_runs_and_nothing_again(finished: Project, tmp_path: Path) -> None:
    """Of the tuned variant with the rate that was chosen; in the tiny config itself the stage is skipped."""
    stage, shown = "prediction: {experiments: [estimators, figure1]}\n", "estimators: {show_prediction: true"
    other = finished.copied(tmp_path).overlay(f"{stage}experiments: {{{shown}}}}}\n")
    planned = other.planned("predictions")
    assert set(planned) == {"predict", "join_predictions", "draw", "tabulate"}
    assert len(planned["predict"]) == 3  # two share the configuration of figure1 on d1k1
    other.snakemake("predictions", "--cores", "2")
    assert other.planned("predictions") == {}
    # Of the figures of curves, those of `estimators` show predictions, and that of `figure1` does not.
    waiting = other.planned()
    assert set(waiting) == {"draw", "section", "page"}
    assert sorted(Path(file).stem for file in waiting["draw"]) == ["estimators", "sample_efficiency"]
    other.snakemake("--cores", "2")
    assert other.planned() == {}
    made = load_compared(other.directory / "results/predictions/estimators.nc", "estimators")["d1k1"].to_dataset()
    assert set(made["configuration"].values.tolist()) == {"paper", "two_point"}
    (path,) = (other.directory / "results/tuned/d1k1").iterdir()
    predicted = xr.load_dataset(path.parents[2] / "predictions/d1k1" / path.name)
    chosen = json.loads(predicted.attrs["settings"])["learning_rate"]
    assert {"learning_rate": chosen} == choice(results.load_tuned(path))
    assert np.isfinite(made["measured"]).all()
    assert (other.directory / "results/figures/prediction.pdf").exists()
    assert "| two_point " in (other.directory / "results/tables/prediction.md").read_text(encoding="utf-8")
    other.overlay(f"{stage}experiments: {{{shown}, variants: {{adam: {{update_rule: adam}}}}}}}}\n")
    other.snakemake("results/figures/estimators.pdf", "--cores", "2")
    log = (other.directory / "results/logs/figures/estimators.log").read_text(encoding="utf-8")
    assert "estimators, d1k1: no predicted curve of adam (update rule adam)" in log


def test_linked_settings_move_together(finished: Project) -> None:
    case = results.load_experiment(finished.directory / "results/datasets/perturbations.nc")["d2k2"].to_dataset()
    assert case["ratio"].dims == ("perturbations", "seed", "iteration")
    assert case["inner_perturbations"].values.tolist() == case["perturbations"].values.tolist() == [3, 4]


def test_stages_are_targets(fresh: Project) -> None:
    stages = {
        "tasks",
        "optima",
        "meta_optima",
        "runs",
        "datasets",
        "predictions",
        "figures",
        "tables",
        "theory",
        "pages",
        "all",
    }
    assert stages <= set(fresh.snakemake("--list-rules").split())


def test_cores_and_threads_change_nothing(finished: Project, tmp_path: Path) -> None:
    """The finished run had one thread a job, so two jobs at a time; here it is the other way round."""
    other = Project(finished.root, tmp_path, finished.configs).overlay("execution: {threads: 2}\n")
    files = [f"results/figures/figure1.{form}" for form in ("pdf", "svg", "png")]
    other.snakemake(*files, "--cores", "2")
    trees = [results.load_experiment(each.directory / "results/datasets/figure1.nc") for each in (finished, other)]
    xr.testing.assert_identical(*trees)
    for file in files:
        assert (finished.directory / file).read_bytes() == (tmp_path / file).read_bytes(), file
    log = next((tmp_path / "results/logs/runs").rglob("*.log")).read_text()
    assert "threads 2," in log


def test_report_shows_figure_caption_and_settings(finished: Project) -> None:
    # With the rates in another place, which are the same, so that the finished runs are those of this config.
    rates = "{learning_rate: 1.0e-3, adaptation_rate: 1.0e-5}"
    other = finished.overlay(f"algorithm: {rates}\ncases: {{d1k1: {{algorithm: null}}}}\n")
    printed = other.snakemake("--report", "results/report.html")
    assert "ERROR" not in printed
    assert "WARNING" not in printed
    page = (finished.directory / "results/report.html").read_text(encoding="utf-8")
    shown = ("figure1.svg", "hyperparameters.svg", "learning_rate.csv", "Figure 1 of the paper")
    assert [text for text in (*shown, "smoothing_radius 0.05") if text not in page] == []


def test_tuned_run_has_the_choice_and_says_the_rule(finished: Project) -> None:
    (file,) = (finished.directory / "results/tuned/d1k1").glob("*.nc")
    tuning = results.load_tuned(file, "d1k1")
    run = results.load_run(finished.directory / f"results/runs/d1k1/{file.stem}/seed-0.nc", "d1k1")
    settings = json.loads(run.attrs["settings"])
    assert settings["tune"]["learning_rate"] == [1e-3, 1e-2]
    assert settings["learning_rate"] == json.loads(tuning["values"].values[tuning["chosen"].item()])["learning_rate"]
    case = results.load_experiment(finished.directory / "results/datasets/estimators.nc")["d1k1"].to_dataset()
    assert case["learning_rate"].sel(variant="two_point").item() == settings["learning_rate"]
    assert case["learning_rate"].sel(variant="paper").item() == 1e-3
    assert case["tuning_steps"].sel(variant="two_point").item() == tuning["rollout_steps"].sum() > 0
    log = (finished.directory / f"results/logs/tuned/d1k1/{file.stem}.log").read_text()
    assert f"chosen: {{'learning_rate': {settings['learning_rate']}}}" in log


# --- what it makes again ---------------------------------------------------------------------------------------------


def test_nothing_in_a_moved_folder_with_new_times(finished: Project, tmp_path: Path) -> None:
    moved = finished.moved(tmp_path)
    for path in moved.root.rglob("*"):
        os.utime(path)
    assert moved.planned() == {}


#: What no result of this config depends on.
UNUSED = [
    "src/metalqr/__init__.py",
    "Snakefile",
    "config.yaml",
    "workflow/report/caption.rst",
    "src/metalqr/reporting/figures/exact_methods.py",
    "src/metalqr/reporting/tables/stability.py",
    "src/metalqr/evaluation/exact_methods/dataset.py",
]


def test_edited_files_that_nothing_uses_make_nothing_again(finished: Project) -> None:
    """All at once: each edit can only add to the plan."""
    with ExitStack() as edits:
        for name in UNUSED:
            edits.enter_context(finished.edited(name))
        assert finished.planned() == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("src/metalqr/reporting/figures/learning_curves.py", {"draw": [CURVES], **page_with()}),
        ("src/metalqr/reporting/figures/hyperparameters.py", {"draw": [HYPERPARAMETERS], **page_with()}),
        (
            "src/metalqr/reporting/tables/sample_efficiency.py",
            {"tabulate": ["results/tables/sample_efficiency.md"], **page_with()},
        ),
        ("src/metalqr/reporting/pages/systems.py", page_with("systems")),
        ("src/metalqr/reporting/pages/words.py", page_with()),
        ("src/metalqr/reporting/pages/assets/chart.js", page_with()),
        ("src/metalqr/reporting/figures/style.py", {"draw": AFTER_DATASETS["draw"], **page_with()}),
        (
            "src/metalqr/reporting/tables/summary.py",
            {"tabulate": [f"results/tables/{name}.md" for name in EXPERIMENTS], **page_with()},
        ),
        ("src/metalqr/reporting/tables/learnability.py", {"tabulate": [LEARNABILITY], **page_with()}),
        (
            "src/metalqr/optimal/learnability.py",
            {"solve_meta_optimum": META_OPTIMA, "tabulate": [LEARNABILITY, METHOD_BIAS], **page_with()},
        ),
        ("src/metalqr/results/datasets.py", after(*EXPERIMENTS)),
        ("src/metalqr/training/tuning.py", {**TUNED_AGAIN, **after("estimators")}),
        ("src/metalqr/reporting/summaries.py", AFTER_DATASETS),
        (
            "src/metalqr/simulation/lqr_rollouts.py",
            {**TUNED_AGAIN, "train_policy": RUNS_PER_CASE, **after(*EXPERIMENTS)},
        ),
        ("workflow/scripts/collect_dataset.py", after(*EXPERIMENTS)),
    ],
)
def test_edited_source_makes_what_uses_it_again(name: str, expected: dict[str, Any], finished: Project) -> None:
    with finished.edited(name):
        assert counted(finished.planned()) == expected


def test_another_library_version_makes_its_stages_again(finished: Project) -> None:
    path = finished.root / "envs/figures.yaml"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before.replace("seaborn ==", "seaborn ==9."), encoding="utf-8")
        assert finished.planned() == {"draw": AFTER_DATASETS["draw"], **page_with(*SECTIONS)}
    finally:
        path.write_text(before, encoding="utf-8")


def test_edited_helper_of_all_scripts_makes_everything_again(finished: Project) -> None:
    with finished.edited("workflow/scripts/stage.py"):
        plan = finished.planned()
    assert runs_of(plan) == RUNS_PER_CASE
    assert plan["generate_tasks"] == [f"results/tasks/{case}.nc" for case in RUNS_PER_CASE]


OF_MINE = {"collect_dataset": ["results/datasets/mine.nc"]}
OF_MINE |= {"draw": ["results/figures/mine.pdf"], "tabulate": ["results/tables/mine.md"]}
OF_MINE |= page_with("learning_curves", "systems")


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("execution: {threads: 2}", {}),
        (
            "cases: {d1k1: {algorithm: {learning_rate: 2.0e-3}}}",  # which the tuned run does not have
            {"train_policy": {"d1k1": 2}, **after("estimators", "figure1")},
        ),
        (
            "experiments: {estimators: {variants: {two_point: {tune: {seeds: [101]}}}}}",
            {**TUNED_AGAIN, **after("estimators")},
        ),
        ("experiments: {learning_rate: {seeds: [0, 1]}}", {"train_policy": {"d2k2": 1}, **after("learning_rate")}),
        ("experiments: {mine: {cases: [d1k1], seeds: [1], sweep: {}}}", OF_MINE),  # all of its runs exist
    ],
)
def test_changed_config_makes_what_it_changes(overlay: str, expected: dict[str, Any], finished: Project) -> None:
    assert counted(finished.overlay(f"{overlay}\n").planned()) == expected


def test_another_adaptation_rate_makes_its_optimum_and_its_runs(finished: Project) -> None:
    rates = "{adaptation_rate: [1.0e-5, 0.001]}"
    plan = finished.overlay(f"experiments: {{mine: {{cases: [d1k1], seeds: [0, 1], sweep: {rates}}}}}\n").planned()
    assert plan["solve_meta_optimum"] == ["results/optima/d1k1/adaptation_rate-0.001.nc"]
    assert runs_of(plan) == {"d1k1": 2}
    assert plan["collect_dataset"] == ["results/datasets/mine.nc"]
    assert not {"generate_tasks", "solve_optima"} & set(plan)


@pytest.mark.parametrize("package", ["optimal", "theory", "reporting"])
def test_edits_beside_the_critical_path_train_nothing_again(package: str, finished: Project) -> None:
    """All files of the package at once. Training needs the tasks, and these need no optimum; only tuning does."""
    with ExitStack() as edits:
        for path in (finished.root / "src" / "metalqr" / package).rglob("*.py"):
            edits.enter_context(finished.edited(path.relative_to(finished.root).as_posix()))
        plan = finished.planned()
    assert "generate_tasks" not in plan
    assert ("solve_optima" in plan) == (package == "optimal")
    assert (runs_of(plan), len(plan.get("tune", []))) == (({"d1k1": 1}, 1) if package == "optimal" else ({}, 0))


@pytest.mark.parametrize("change", ["tasks: {spectral_radius: 0.5}", "initial_gain: [[0.1]]"])
def test_family_and_initial_gain_of_one_case_make_everything_of_it_again(change: str, finished: Project) -> None:
    plan = finished.overlay(f"cases: {{d1k1: {{{change}}}}}\n").planned()
    assert plan["generate_tasks"] == ["results/tasks/d1k1.nc"]
    assert plan["solve_optima"] == ["results/optima/d1k1.nc"]
    assert plan["solve_meta_optimum"] == META_OPTIMA[:1]
    assert runs_of(plan) == {"d1k1": RUNS_PER_CASE["d1k1"]}
    assert plan["collect_dataset"] == ["results/datasets/estimators.nc", "results/datasets/figure1.nc"]


def test_a_new_setting_with_a_default_makes_no_run_again(finished: Project, tmp_path: Path) -> None:
    """Datasets are gathered again: they say all settings."""
    project = finished.moved(tmp_path)
    edit(
        project.root / "src/metalqr/config/algorithm.py",
        "    precision: Precision = setting(",
        '    patience: Count = setting(3, label="patience", about="of a saint")\n    precision: Precision = setting(',
    )
    assert set(project.planned()) == {"collect_dataset", "draw", "tabulate", "section", "page"}
    project.snakemake("results/datasets/figure1.nc", "--cores", "1")


def test_a_run_of_an_older_default_is_refused(finished: Project, tmp_path: Path) -> None:
    project = finished.moved(tmp_path).overlay("algorithm: {tolerance: null}\n")
    assert project.planned() == {}, "it is the default"
    algorithm = project.root / "src/metalqr/config/algorithm.py"
    edit(algorithm, "tolerance: Real = setting(\n        0.0,", "tolerance: Real = setting(\n        1.0e-9,")
    assert "train_policy" not in project.planned()
    printed = project.snakemake("results/datasets/figure1.nc", "--cores", "1", succeeds=False)
    assert (
        "it was run with tolerance: 0.0, but tolerance: 1e-09 is wanted, since the default has changed; "
        "delete it and run the stage again"
    ) in printed


def test_one_deleted_run(finished: Project, tmp_path: Path) -> None:
    other = finished.copied(tmp_path)
    (run, *_) = (other.directory / "results/runs/d1k1").rglob("seed-1.nc")
    run.unlink()
    assert other.planned() == {"train_policy": [run.relative_to(other.directory).as_posix()], **after("figure1")}

"""The stage `theory` on a tiny config: what it makes, what starts it again, and what the report shows of it."""

import csv
from pathlib import Path

import pytest
import xarray as xr
from project import Project

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).with_name("theory.yaml")
FIGURES = ("certificates", "estimation_error", "exact_methods", "theory_vs_practice")
TABLES = (
    "certificates",
    "estimation_error",
    "exact_methods",
    "learnability",
    "method_bias",
    "stability",
    "theory_audit",
    "theory_promises",
    "theory_vs_practice",
)


def tables(*names: str) -> list[str]:
    return [f"results/tables/{name}.md" for name in names]


def figure(name: str) -> dict[str, list[str]]:
    return {"draw": [f"results/figures/{name}.pdf"]}


def together(*parts: dict[str, list[str]]) -> dict[str, list[str]]:
    """What several parts of the stage start again."""
    return {rule: sorted({file for part in parts for file in part.get(rule, [])}) for rule in set().union(*parts)}


#: What each part of the stage starts again, with all that follows from it.
AUDIT = {
    "audit_theory": ["results/theory/d1k1.nc"],
    **figure("theory_vs_practice"),
    "tabulate": tables("theory_audit", "theory_promises", "theory_vs_practice"),
}
ESTIMATION_ERROR = {
    "measure_estimation_error": ["results/estimation_error/d1k1.nc"],
    **figure("estimation_error"),
    "tabulate": tables("estimation_error"),
}
EXACT_METHODS = {
    "run_exact_methods": ["results/exact_methods/d1k1.nc"],
    **figure("exact_methods"),
    "tabulate": tables("exact_methods"),
}
STABILITY = {"check_stability": ["results/stability/d1k1.nc"], "tabulate": tables("stability")}
CERTIFICATES = {
    "certify_runs": ["results/certificates/d1k1.nc"],
    **figure("certificates"),
    "tabulate": tables("certificates"),
}


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stage, run to the end once."""
    project = Project(fresh.root, tmp_path_factory.mktemp("theory") / "made", [CONFIG])
    project.snakemake("theory", "--cores", "2")
    return project


def test_everything_is_made(made: Project) -> None:
    names = {name for name in made.results() if not name.startswith("runs/")}
    folders = ("tasks", "optima", "theory", "estimation_error", "exact_methods", "stability", "certificates")
    data = {f"{folder}/d1k1.nc" for folder in folders} | {"optima/d1k1/adaptation_rate-1e-05.nc"}
    drawn = {f"figures/{name}.{form}" for name in FIGURES for form in ("pdf", "svg", "png")}
    written = {f"tables/{name}.{form}" for name in TABLES for form in ("md", "csv")}
    assert names == data | drawn | written
    assert len(made.results()) - len(names) == 2, "the runs whose stability is checked"


def test_every_job_has_its_log_and_its_timing(made: Project) -> None:
    results = made.directory / "results"
    jobs = 3 + 2 + 5 + len(FIGURES) + len(TABLES)
    assert len(list((results / "logs").rglob("*.log"))) == len(list((results / "timings").rglob("*.tsv"))) == jobs


@pytest.mark.parametrize("name", TABLES)
def test_tables_name_the_case(name: str, made: Project) -> None:
    with (made.directory / f"results/tables/{name}.csv").open(encoding="utf-8", newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"d1k1"}
    assert "d1k1" in (made.directory / f"results/tables/{name}.md").read_text(encoding="utf-8")


def test_cores_and_threads_change_nothing(made: Project, tmp_path: Path) -> None:
    """The stage was made with one thread a job, two jobs at a time."""
    other = Project(made.root, tmp_path / "made", made.configs).overlay("execution: {threads: 2}\n")
    file = "results/estimation_error/d1k1.nc"
    other.snakemake(file, "--cores", "2")
    with xr.open_dataset(made.directory / file) as expected, xr.open_dataset(other.directory / file) as found:
        xr.testing.assert_identical(expected, found)


# --- what it makes again ---------------------------------------------------------------------------------------------


#: It has no run, so no stability and no certificates; figures and tables show it beside the others.
A_CASE_MORE = {
    "generate_tasks": ["results/tasks/d2k2.nc"],
    "solve_optima": ["results/optima/d2k2.nc"],
    "solve_meta_optimum": ["results/optima/d2k2/adaptation_rate-1e-05.nc"],
    "audit_theory": ["results/theory/d2k2.nc"],
    "measure_estimation_error": ["results/estimation_error/d2k2.nc"],
    "run_exact_methods": ["results/exact_methods/d2k2.nc"],
    **together(*map(figure, FIGURES[1:])),
    "tabulate": tables(
        "estimation_error",
        "exact_methods",
        "learnability",
        "method_bias",
        "theory_audit",
        "theory_promises",
        "theory_vs_practice",
    ),
}


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("execution: {threads: 2}", {}),
        ("theory: {cases: [d1k1], audit: {sublevel_factor: 1}}", {}),  # all and 1.0, written in another way
        ("theory: {audit: {gains: 5}}", AUDIT),
        ("theory: {requirements: {target: 0.2}, exact_methods: {iterations: 6}}", together(AUDIT, EXACT_METHODS)),
        ("theory: {estimation_error: {smoothing_radius: [0.1, 0.2]}}", ESTIMATION_ERROR),
        ("theory: {certificates: {every: 2}}", CERTIFICATES),
        ("theory: {seed: 1}", together(AUDIT, ESTIMATION_ERROR)),
        ("theory: {cases: [d1k1, d2k2]}", A_CASE_MORE),
    ],
)
def test_changed_value_makes_its_part_again(overlay: str, expected: dict[str, list[str]], made: Project) -> None:
    assert made.overlay(f"{overlay}\n").planned("theory") == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reporting/figures/exact_methods", figure("exact_methods")),
        ("reporting/tables/learnability", {"tabulate": tables("learnability")}),
        ("theory/inequalities", AUDIT),
        ("theory/certificates/ball", CERTIFICATES),
    ],
)
def test_edited_source_makes_its_own_files_again(name: str, expected: dict[str, list[str]], made: Project) -> None:
    with made.edited(f"src/metalqr/{name}.py"):
        assert made.planned("theory") == expected


def test_one_deleted_run_makes_the_stability_again(made: Project, tmp_path: Path) -> None:
    other = made.copied(tmp_path)
    (run,) = (other.directory / "results/runs/d1k1").rglob("seed-1.nc")
    run.unlink()
    assert other.planned("theory") == {
        "train_policy": [run.relative_to(other.directory).as_posix()],
        **together(STABILITY, CERTIFICATES),
    }


def test_without_cases_the_stage_is_empty(made: Project) -> None:
    """Of everything, only what belongs to the experiment is still to be made."""
    planned = made.overlay("theory: {cases: []}\n").planned()
    assert set(planned) == {"collect_dataset", "draw", "tabulate", "section", "page"}


#: A scalar task that starts at its optimum.
STEADY = """\
cases:
  steady:
    state_dim: 1
    action_dim: 1
    initial_gain: [[0.5376665585318331]]
    tasks: {family: given, A: [[[0.9]]], B: [[[1.0]]], Q: [[[1.0]]], R: [[[1.0]]], Psi: [[[1.0]]]}
    algorithm: {learning_rate: 1.0e-6, adaptation_rate: 1.0e-8}
theory: {cases: [d1k1, steady]}
"""


def test_what_a_case_lacks_stands_in_the_tables_and_harms_no_other(made: Project, tmp_path: Path) -> None:
    other = made.copied(tmp_path).overlay(STEADY)
    other.snakemake("theory", "--cores", "2")
    rows = {}
    for name in ("theory_audit", "theory_vs_practice"):
        with (other.directory / f"results/tables/{name}.csv").open(encoding="utf-8", newline="") as file:
            rows[name] = list(csv.DictReader(file))
        assert {row["case"] for row in rows[name]} == {"d1k1", "steady"}
        applicable = [row for row in rows[name] if row.get("setting") != "task_batch"]
        assert {row["remark"] for row in applicable if row["case"] == "d1k1"} == {""}
    (remark,) = {row["remark"] for row in rows["theory_audit"] if row["case"] == "steady"}
    assert remark.startswith("K_0 is the optimum of task 0 up to rounding, so the set of Definition 2 is one gain")
    (row,) = (row for row in rows["theory_vs_practice"] if (row["case"], row["setting"]) == ("steady", "iterations"))
    assert row["printed"] == row["corrected"] == ""
    assert "the initial gain is the optimum of the meta-objective up to rounding" in row["remark"]
    with xr.open_dataset(other.directory / "results/estimation_error/steady.nc") as errors:
        assert errors["exact_norm"].values.tolist() == [0.0, 0.0]
    with xr.open_dataset(other.directory / "results/exact_methods/steady.nc") as methods:
        assert set(methods["remark"].values) == {"K_0 is the optimum of task 0 up to rounding: no gap to close"}

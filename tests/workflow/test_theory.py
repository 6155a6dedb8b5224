"""The stage `theory` on a tiny config: what it makes, what starts it again, and what the report shows of it."""

import csv
import shutil
from pathlib import Path

import pytest
import xarray as xr
from project import Project

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).with_name("theory.yaml")
CASES = ("d1k1", "d2k2")
FIGURES = ("estimation_error", "exact_methods", "theory_vs_practice")
TABLES = ("learnability", "stability", "theory_audit", "theory_vs_practice")


def files(folder: str) -> list[str]:
    return [f"results/{folder}/{case}.nc" for case in CASES]


def tables(*names: str) -> list[str]:
    return [f"results/tables/{name}.md" for name in names]


def figure(name: str) -> dict[str, list[str]]:
    return {f"draw_{name}": [f"results/figures/{name}.pdf"]}


#: What each part of the stage starts again, with all that follows from it.
AUDIT = {
    "audit_theory": files("theory"),
    **figure("theory_vs_practice"),
    "tabulate_theory": tables("theory_audit", "theory_vs_practice"),
}
ESTIMATION_ERROR = {"measure_estimation_error": files("estimation_error"), **figure("estimation_error")}
EXACT_METHODS = {"run_exact_methods": files("exact_methods"), **figure("exact_methods")}
STABILITY = {"check_stability": ["results/stability/d1k1.nc"], "tabulate_theory": tables("stability")}


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stage, run to the end once."""
    project = Project(fresh.root, tmp_path_factory.mktemp("theory") / "made", [CONFIG])
    project.snakemake("theory", "--cores", "2")
    return project


def test_everything_is_made(made: Project) -> None:
    names = {name for name in made.results() if not name.startswith("runs/")}
    data = {f"{folder}/{case}.nc" for folder in ("theory", "estimation_error", "exact_methods") for case in CASES}
    rates = {f"optima/{case}/adaptation_rate-1e-05.nc" for case in CASES}
    drawn = {f"figures/{name}.{form}" for name in FIGURES for form in ("pdf", "svg", "png")}
    written = {f"tables/{name}.{form}" for name in TABLES for form in ("md", "csv")}
    before = {f"{folder}/{case}.nc" for folder in ("tasks", "optima") for case in CASES}
    assert names == before | rates | data | {"stability/d1k1.nc"} | drawn | written
    assert len(made.results()) - len(names) == 2, "the runs whose stability is checked"


def test_every_job_has_its_log_and_its_timing(made: Project) -> None:
    results = made.directory / "results"
    jobs = 3 * len(CASES) + 2 + 3 * len(CASES) + 1 + len(FIGURES) + len(TABLES)
    assert len(list((results / "logs").rglob("*.log"))) == len(list((results / "timings").rglob("*.tsv"))) == jobs


def test_files_name_their_case(made: Project) -> None:
    for path in made.results().values():
        if path.suffix == ".nc":
            with xr.open_dataset(path) as dataset:
                assert dataset.attrs["case"] in path.as_posix().removeprefix(str(made.directory))


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_every_case(name: str, made: Project) -> None:
    with (made.directory / f"results/tables/{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = (made.directory / f"results/tables/{name}.md").read_text(encoding="utf-8")
    shown = CASES[:1] if name == "stability" else CASES
    assert list(dict.fromkeys(row["case"] for row in rows)) == list(shown)
    assert all(case in text for case in shown)


def test_cores_and_threads_change_nothing(made: Project, tmp_path: Path) -> None:
    """The stage was made with one thread a job, two jobs at a time."""
    other = Project(made.root, tmp_path / "made", made.configs).overlay("execution: {threads: 2}\n")
    file = "results/estimation_error/d2k2.nc"
    other.snakemake(file, "--cores", "2")
    with xr.open_dataset(made.directory / file) as expected, xr.open_dataset(other.directory / file) as found:
        xr.testing.assert_identical(expected, found)


def test_report_shows_figures_tables_and_captions(made: Project) -> None:
    printed = made.snakemake("theory", "--report", "results/report.html")
    assert "ERROR" not in printed
    assert "WARNING" not in printed
    page = (made.directory / "results/report.html").read_text(encoding="utf-8")
    (made.directory / "results/report.html").unlink()
    assert all(f"{name}.svg" in page for name in FIGURES)
    assert all(f"{name}.csv" in page for name in TABLES)
    for caption in ("The true error of Algorithms 1 and 2", "Learnability", "smoothing_radius 0.05"):
        assert caption in page


# --- what it makes again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overlay",
    [
        "{}",
        "execution: {threads: 2}\ntheory: {audit: {sublevel_factor: 1}}\n",
    ],
    ids=["finished", "how it runs, how it is written"],
)
def test_nothing_again(overlay: str, made: Project) -> None:
    assert made.overlay(overlay).planned("theory") == {}


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("audit: {gains: 5}", AUDIT),
        ("requirements: {target: 0.2}", AUDIT),
        ("estimation_error: {smoothing_radius: [0.1, 0.2]}", ESTIMATION_ERROR),
        ("exact_methods: {iterations: 6}", EXACT_METHODS),
        ("seed: 1", AUDIT | ESTIMATION_ERROR),
    ],
)
def test_a_changed_value_makes_its_part_again(overlay: str, expected: dict[str, list[str]], made: Project) -> None:
    assert made.overlay(f"theory: {{{overlay}}}\n").planned("theory") == expected


def test_a_case_less_makes_figures_and_tables_again(made: Project) -> None:
    planned = made.overlay("theory: {cases: [d1k1]}\n").planned("theory")
    assert planned == {
        **{rule: outputs for name in FIGURES for rule, outputs in figure(name).items()},
        "tabulate_theory": tables("learnability", "theory_audit", "theory_vs_practice"),
    }


def test_edited_theory_makes_the_audit_again(made: Project) -> None:
    modules = (made.root / "src/metalqr/theory").glob("*.py")
    module = next(path for path in sorted(modules) if path.stem != "__init__")
    with made.edited(module.relative_to(made.root).as_posix()):
        assert made.planned("theory") == AUDIT


def test_edited_first_order_methods_make_the_exact_methods_again(made: Project) -> None:
    with made.edited("workflow/scripts/run_exact_methods.py"):
        assert made.planned("theory") == EXACT_METHODS


def test_one_deleted_run_makes_the_stability_again(made: Project, tmp_path: Path) -> None:
    shutil.copytree(made.directory, tmp_path / "made")
    other = Project(made.root, tmp_path / "made", made.configs)
    (run,) = (other.directory / "results/runs/d1k1").rglob("seed-1.nc")
    run.unlink()
    assert other.planned("theory") == {
        "train_policy": [run.relative_to(other.directory).as_posix()],
        **STABILITY,
    }


def test_without_cases_the_stage_is_empty(made: Project, tmp_path: Path) -> None:
    other = Project(made.root, tmp_path, made.configs).overlay("theory: {cases: []}\n")
    rules = set(other.planned())
    assert rules == {"generate_tasks", "solve_optima", "solve_meta_optimum", "train_policy"} | {
        "collect_dataset", "draw_curves", "summarise_experiment"
    }  # fmt: skip

"""The stage `theory` in the config and in the plan: what it may be, and which files it makes of what."""

import re
from types import SimpleNamespace

import pytest
from configs import overlaid, planned, problems
from places import ROOT

from metalqr.config.outputs import FIGURE_FORMATS, TABLE_FORMATS
from metalqr.config.theory_plan import FOLDERS, OF_RUNS

#: Figures and tables of the stage.
FIGURES = ("estimation_error", "exact_methods", "theory_vs_practice", "certificates")
TABLES = (
    "estimation_error",
    "exact_methods",
    "theory_audit",
    "theory_promises",
    "theory_vs_practice",
    "stability",
    "certificates",
)


def test_settings_of_a_case_that_no_experiment_uses_must_be_possible() -> None:
    small = "{cases: {d1k1: {algorithm: {precision: float32, smoothing_radius: 1.0e-4}}}}"
    (problem,) = problems(
        overlaid(small, "{experiments: {figure1: {cases: [d2k2]}, estimators: null}, theory: {cases: [d1k1]}}")
    )
    assert problem.startswith("cases.d1k1: smoothing_radius 0.0001 is not >= 0.001 in single precision; choose")


@pytest.mark.parametrize(
    ("overlay", "cases"),
    [
        ("{}", ["d1k1", "d2k2", "d20k10"]),
        ("{experiments: {figure1: {cases: [d1k1]}, estimators: null}}", ["d1k1", "d2k2"]),
        ("{theory: {cases: [d20k10, d1k1]}}", ["d1k1", "d20k10"]),
        ("{experiments: {figure1: {cases: [d2k2]}}, theory: {cases: [d1k1]}}", ["d1k1"]),
        ("{theory: {cases: []}}", []),
        ("{cases: {d1k1: {theory: false}, bus_speed: {theory: true}}}", ["d2k2", "d20k10", "bus_speed"]),
        ("{cases: {d1k1: {theory: false}}, theory: {cases: [d1k1]}}", ["d1k1"]),
    ],
)
def test_cases_are_those_of_experiments_unless_listed(overlay: str, cases: list[str]) -> None:
    assert planned(overlay).theory.cases == cases


def test_a_case_of_the_theory_alone_is_made_too() -> None:
    only = "only_experiments: [figure1, learning_rate]"
    plan = planned(f"{{{only}, experiments: {{figure1: {{cases: [d2k2]}}}}, theory: {{cases: [d1k1]}}}}")
    assert plan.cases == ("d1k1", "d2k2")
    assert not any("/d1k1/" in file for file in plan.all_run_files())
    assert "results/theory/d1k1.nc" in plan.theory.files
    assert not any(name in file for file in plan.theory.files for name in OF_RUNS), "it has no run"
    plan = planned("{experiments: {figure1: {cases: [d2k2]}}, theory: {cases: [d1k1, d2k2]}}")
    assert {name: plan.tables.by_name[name].names for name in TABLES} == {
        **{
            name: ["d1k1", "d2k2"]
            for name in ("estimation_error", "exact_methods", "theory_audit", "theory_promises", "theory_vs_practice")
        },
        **{name: ["d2k2"] for name in OF_RUNS},
    }


def test_files_of_the_stage() -> None:
    plan = planned("{theory: {cases: [d1k1, d2k2]}}")
    expected = {f"results/{folder}/{case}.nc" for folder in FOLDERS for case in ("d1k1", "d2k2")}
    expected |= {f"results/figures/{name}.{form}" for name in FIGURES for form in FIGURE_FORMATS}
    expected |= {f"results/tables/{name}.{form}" for name in TABLES for form in TABLE_FORMATS}
    files = [*plan.theory.files, *plan.figures.files("theory"), *plan.tables.files("theory")]
    assert sorted(files) == sorted(expected)
    assert plan.theory.run_files == [file for file in plan.run_files("figure1") if "/d20k10/" not in file]
    plan = planned("{theory: {cases: []}}")
    assert plan.theory.files == plan.theory.run_files == []
    assert plan.figures.files("theory") == plan.tables.files("theory") == []
    assert plan.cases[:3] == ("d1k1", "d2k2", "d20k10")


def test_runs_are_those_at_the_cases_own_settings() -> None:
    """Of every experiment without a sweep, each seed once; a sweep over the same point does not count."""
    plan = planned(
        "{experiments: {more: {cases: [d1k1, d2k2], seeds: [4, 7], sweep: {}},"
        " swept: {cases: [d1k1], seeds: [9], sweep: {smoothing_radius: [0.05]}}}}"
    )
    runs = plan.theory.runs_of("d1k1")
    assert set(runs) == {file for name in ("figure1", "more") for file in plan.run_files(name) if "/d1k1/" in file}
    assert [re.findall(r"seed-(\d+)", run) for run in runs] == [[str(seed)] for seed in (0, 1, 2, 3, 4, 7)]


def test_runs_with_a_gain_for_each_task_have_no_stability() -> None:
    """The theory guarantees nothing of a run without a common gain."""
    plan = planned("{cases: {d2k2: {algorithm: {method: gradient_descent}}}}")
    assert plan.theory.cases == ["d1k1", "d2k2", "d20k10"]
    assert plan.theory.trained_cases == ["d1k1", "d20k10"]
    assert not {f"results/{folder}/d2k2.nc" for folder in OF_RUNS} & set(plan.theory.files)


@pytest.mark.parametrize(
    ("rate", "name"), [("1.0e-5", "1e-05"), ("0.00001", "1e-05"), ("0", "0.0"), ("0.0", "0.0"), ("2", "2.0")]
)
def test_meta_optimum_is_named_by_the_rate(rate: str, name: str) -> None:
    """As `repr` writes the number, however the config does."""
    plan = planned(f"{{cases: {{d1k1: {{algorithm: {{adaptation_rate: {rate}}}}}}}}}")
    file = f"results/optima/d1k1/adaptation_rate-{name}.nc"
    assert plan.theory.meta_optima["d1k1"] == file
    assert plan.results("meta_optima")[f"d1k1/{name}"] == file
    (pattern,) = re.findall(r'rate="(.*)"', (ROOT / "Snakefile").read_text(encoding="utf-8"))
    assert re.fullmatch(pattern, name), "the constraint of the wildcard"


def test_settings_are_without_defaults() -> None:
    assert planned().theory.settings(SimpleNamespace(case="d20k10")) == {"learning_rate": 1e-5, "adaptation_rate": 1e-7}

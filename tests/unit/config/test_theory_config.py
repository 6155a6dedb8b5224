"""The stage `theory` in the config and in the plan: what it may be, which files it makes, what its jobs ask for."""

import copy
import re
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from places import ROOT
from snakemake.utils import update_config

from metalqr.config import ConfigError, Plan, check_config, demands, read_config
from metalqr.config.model import Execution, Theory
from metalqr.config.outputs import FIGURE_FORMATS, TABLE_FORMATS
from metalqr.config.theory import FOLDERS
from metalqr.config.theory_jobs import curve_seeds, theory_jobs

DEFAULT = read_config(ROOT / "config.yaml")
RULES = ("audit_theory", "measure_estimation_error", "run_exact_methods", "check_stability")


def overlaid(overlay: str) -> dict[str, Any]:
    """The default config with another laid over it, as Snakemake does it."""
    config = copy.deepcopy(DEFAULT)
    update_config(config, yaml.safe_load(overlay))
    return config


def planned(overlay: str = "{}") -> Plan:
    return Plan(overlaid(overlay))


# --- the config ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("{theory: {seed: -1}}", "theory.seed: -1 is not >= 0"),
        ("{theory: {cases: [d1k1, d1k1]}}", "theory.cases: 'd1k1' is listed twice"),
        ("{theory: {cases: [d1k1, d2k3]}}", "theory.cases[1]: there is no case 'd2k3'; did you mean d2k2?"),
        ("{theory: {cases: some}}", "theory.cases: 'some' is not all; write a list, even of one case"),
        ("{theory: {cases: 1}}", "theory.cases: 1 is not a list or text"),
        ("{theory: {audit: {gains: 10.0}}}", "theory.audit.gains: 10.0 is not a whole number; write 10"),
        ("{theory: {audit: {perturbations: 0}}}", "theory.audit.perturbations: 0 is not >= 1"),
        ("{theory: {audit: {random_tasks: 0}}}", "theory.audit.random_tasks: 0 is not >= 1"),
        ("{theory: {audit: {sublevel_factor: 0.99}}}", "theory.audit.sublevel_factor: 0.99 is not >= 1"),
        ("{theory: {audit: {sublevel_factor: .inf}}}", "theory.audit.sublevel_factor: inf is not a finite number"),
        ("{theory: {audit: 3}}", "theory.audit: 3 is not a mapping (key: value)"),
        ("{theory: {requirements: {target: 0}}}", "theory.requirements.target: 0 is not > 0"),
        ("{theory: {requirements: {target: 1.1}}}", "theory.requirements.target: 1.1 is not <= 1"),
        (
            "{theory: {requirements: {failure_probability: 1}}}",
            "theory.requirements.failure_probability: 1 is not < 1",
        ),
        ("{theory: {estimation_error: {repeats: 1}}}", "theory.estimation_error.repeats: 1 is not >= 2"),
        (
            "{theory: {estimation_error: {perturbations: 10}}}",
            "theory.estimation_error.perturbations: 10 is not a list",
        ),
        (
            "{theory: {estimation_error: {perturbations: [10, 0]}}}",
            "theory.estimation_error.perturbations[1]: 0 is not >= 1",
        ),
        (
            "{theory: {estimation_error: {smoothing_radius: [1, 1.0]}}}",
            "theory.estimation_error.smoothing_radius: 1.0 is listed twice",
        ),
        (
            "{theory: {estimation_error: {smoothing_radius: [1.0e+101]}}}",
            "theory.estimation_error.smoothing_radius[0]: 1e+101 is not <= 1e+100",
        ),
        ("{theory: {exact_methods: {iterations: 0}}}", "theory.exact_methods.iterations: 0 is not >= 1"),
        ("{theory: {exact_methods: {steps: 2}}}", "theory.exact_methods.steps: unknown key; possible: iterations"),
        # Its own settings, which no experiment uses: the theory would.
        (
            "{cases: {d1k1: {algorithm: {precision: float32, smoothing_radius: 1.0e-4}}},"
            " experiments: {figure1: {cases: [d2k2]}}, theory: {cases: [d1k1]}}",
            "cases.d1k1: smoothing_radius 0.0001 is not >= 0.001 in single precision",
        ),
    ],
)
def test_each_problem_is_one_line_that_begins_with_its_key(overlay: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(overlaid(overlay))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(message)


#: Figures of the stage, and tables with what they read.
THEORY_FIGURES = ("estimation_error", "exact_methods", "theory_vs_practice")
THEORY_TABLES = {"theory_audit": "theory", "theory_vs_practice": "theory", "stability": "stability"}


@pytest.mark.parametrize("name", sorted({*THEORY_FIGURES, *THEORY_TABLES}))
def test_names_of_figures_and_tables_are_kept(name: str) -> None:
    kind = "figure" if name in THEORY_FIGURES else "table"
    for spelling in (name, name.upper()):
        with pytest.raises(ConfigError) as caught:
            check_config(overlaid(f"{{experiments: {{{spelling}: {{cases: [d1k1], seeds: [0], sweep: {{}}}}}}}}"))
        assert caught.value.problems == (
            f"experiments.{spelling}: this name is kept for the {kind} {name}; choose another",
        )


def test_every_key_of_the_default_config_has_a_comment() -> None:
    block = (ROOT / "config.yaml").read_text(encoding="utf-8").partition("\ntheory:\n")[2].partition("\n\n")[0]
    lines = block.splitlines()
    assert all("#" in line or lines[place - 1].lstrip().startswith("#") for place, line in enumerate(lines))


def test_defaults_are_what_the_default_config_says() -> None:
    assert Theory().model_dump(mode="json") == DEFAULT["theory"]
    assert Execution().as_dict() == DEFAULT["execution"]


def test_default_asks_theorems_for_the_paper() -> None:
    """At 10 % of the first gap and a failure probability of 0.1."""
    assert planned().theory.block("requirements") == {"target": 0.1, "failure_probability": 0.1}


# --- the files -------------------------------------------------------------------------------------------------------


def test_cases_are_those_of_experiments_unless_listed() -> None:
    assert planned().theory.cases == ["d1k1", "d2k2", "d20k10"]
    assert planned("{experiments: {figure1: {cases: [d1k1]}}}").theory.cases == ["d1k1", "d2k2"]
    assert planned("{theory: {cases: [d20k10, d1k1]}}").theory.cases == ["d1k1", "d20k10"]


def test_a_case_of_the_theory_alone_is_made_too() -> None:
    plan = planned("{experiments: {figure1: {cases: [d2k2]}}, theory: {cases: [d1k1]}}")
    assert plan.cases == ("d1k1", "d2k2")
    assert not any("/d1k1/" in file for file in plan.all_run_files())
    assert "results/theory/d1k1.nc" in plan.theory.files
    assert not any("stability" in file for file in plan.theory.files), "it has no run"


def test_without_cases_nothing_is_made() -> None:
    plan = planned("{theory: {cases: []}}")
    assert plan.theory.files == plan.theory.run_files == []
    assert plan.figures.files("theory") == plan.tables.files("theory") == []
    assert plan.cases == ("d1k1", "d2k2", "d20k10")


def test_files_of_the_stage() -> None:
    plan = planned("{theory: {cases: [d1k1, d2k2]}}")
    expected = {f"results/{folder}/{case}.nc" for folder in FOLDERS for case in ("d1k1", "d2k2")}
    expected |= {f"results/figures/{name}.{form}" for name in THEORY_FIGURES for form in FIGURE_FORMATS}
    expected |= {f"results/tables/{name}.{form}" for name in THEORY_TABLES for form in TABLE_FORMATS}
    files = [*plan.theory.files, *plan.figures.files("theory"), *plan.tables.files("theory")]
    assert set(files) == expected
    assert len(files) == len(expected)
    assert plan.theory.run_files == [file for file in plan.run_files("figure1") if "/d20k10/" not in file]


def test_runs_are_those_at_the_cases_own_settings() -> None:
    """Of every experiment without a sweep, each seed once; a sweep over the same point does not count."""
    plan = planned(
        "{experiments: {more: {cases: [d1k1, d2k2], seeds: [4, 7], sweep: {}},"
        " swept: {cases: [d1k1], seeds: [9], sweep: {smoothing_radius: [0.05]}}}}"
    )
    assert curve_seeds(plan.checked, "d1k1") == [0, 1, 2, 3, 4, 7]
    runs = plan.theory.runs_of(SimpleNamespace(case="d1k1"))
    assert set(runs) == {file for name in ("figure1", "more") for file in plan.run_files(name) if "/d1k1/" in file}
    assert len(runs) == 6


@pytest.mark.parametrize(
    ("rate", "name"), [("1.0e-5", "1e-05"), ("0.00001", "1e-05"), ("0", "0.0"), ("0.0", "0.0"), ("2", "2.0")]
)
def test_meta_optimum_is_named_by_the_rate(rate: str, name: str) -> None:
    """As `repr` writes the number, however the config does."""
    plan = planned(f"{{cases: {{d1k1: {{algorithm: {{adaptation_rate: {rate}}}}}}}}}")
    file = f"results/optima/d1k1/adaptation_rate-{name}.nc"
    assert plan.theory.meta_optimum_of(SimpleNamespace(case="d1k1")) == file
    assert plan.tables.by_name["learnability"].inputs[f"d1k1/{name}"] == file
    assert re.fullmatch(re.findall(r'rate="(.*)"', (ROOT / "Snakefile").read_text(encoding="utf-8"))[0], name), (
        "the constraint of the wildcard"
    )


def test_a_table_shows_the_cases_that_have_a_file() -> None:
    plan = planned("{experiments: {figure1: {cases: [d2k2]}}, theory: {cases: [d1k1, d2k2]}}")
    for table, kind in THEORY_TABLES.items():
        output, wildcards = plan.tables.by_name[table], SimpleNamespace(table=table)
        assert output.product.reads == kind
        assert plan.tables.names(wildcards) == (["d2k2"] if kind == "stability" else ["d1k1", "d2k2"])
        assert len(plan.tables.inputs(wildcards)) == len(plan.tables.names(wildcards))


# --- params ----------------------------------------------------------------------------------------------------------


def test_runs_with_a_gain_for_each_task_have_no_stability() -> None:
    """What the theory promises of a run is about a common gain."""
    plan = planned("{cases: {d2k2: {algorithm: {method: gradient_descent}}}}")
    assert plan.theory.cases == ["d1k1", "d2k2", "d20k10"]
    assert plan.theory.trained_cases == ["d1k1", "d20k10"]
    assert "results/stability/d2k2.nc" not in plan.theory.files
    assert "check_stability" not in theory_jobs(plan.checked, "d2k2")


def test_spelling_and_order_of_a_block_change_nothing() -> None:
    plan = planned(
        "{theory: {audit: {sublevel_factor: 1}, requirements: {target: 1},"
        " estimation_error: {smoothing_radius: [1, 2, 0.5]}}}"
    )
    other = copy.deepcopy(plan.config)
    other["theory"] = dict(reversed(other["theory"].items()))
    for name in ("audit", "requirements", "estimation_error", "exact_methods"):
        other["theory"][name] = dict(reversed(other["theory"][name].items()))
    other["theory"]["audit"]["sublevel_factor"] = other["theory"]["requirements"]["target"] = 1.0
    other["theory"]["estimation_error"]["smoothing_radius"] = [1.0, 2.0, 0.5]
    for name in ("audit", "requirements", "estimation_error", "exact_methods"):
        # Snakemake compares params by their text.
        assert repr(Plan(other).theory.block(name)) == repr(plan.theory.block(name))
    assert repr(plan.theory.block("audit")) == (
        "{'gains': 1000, 'perturbations': 2, 'random_tasks': 100, 'sublevel_factor': 1.0}"
    )
    assert plan.theory.block("estimation_error")["smoothing_radius"] == (1.0, 2.0, 0.5)


def test_settings_are_without_defaults() -> None:
    assert planned().theory.settings(SimpleNamespace(case="d20k10")) == {"learning_rate": 1e-5, "adaptation_rate": 1e-7}


# --- resources -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_resources_grow_with_the_attempt(rule: str) -> None:
    theory = planned().theory
    wildcards = SimpleNamespace(case="d20k10")
    for ask in (theory.memory(rule), theory.minutes(rule)):
        assert isinstance(ask(wildcards, 1), int)
        assert 3 * ask(wildcards, 1) - 3 <= ask(wildcards, 3) <= 3 * ask(wildcards, 1)
    small = SimpleNamespace(case="d1k1")
    assert theory.memory(rule)(small, 1) < theory.memory(rule)(wildcards, 1) < 1500
    assert theory.priority(rule)(small) < theory.priority(rule)(wildcards)


LARGER = [
    ("audit_theory", "{theory: {audit: {gains: 10000}}}"),
    ("audit_theory", "{theory: {audit: {perturbations: 20}}}"),
    ("audit_theory", "{theory: {audit: {random_tasks: 10000}}}"),
    ("measure_estimation_error", "{theory: {estimation_error: {repeats: 400}}}"),
    ("measure_estimation_error", "{theory: {estimation_error: {perturbations: [10, 400, 20]}}}"),
    ("measure_estimation_error", "{cases: {d2k2: {algorithm: {perturbations: 1000}}}}"),
    ("run_exact_methods", "{theory: {exact_methods: {iterations: 3000}}}"),
    ("check_stability", "{cases: {d2k2: {algorithm: {iterations: 12000}}}}"),
    ("check_stability", "{experiments: {figure1: {seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}}}"),
    *((rule, "{cases: {d2k2: {tasks: {count: 50}}}}") for rule in RULES),
    *((rule, "{cases: {d2k2: {state_dim: 40, action_dim: 10}}}") for rule in RULES),
]


@pytest.mark.parametrize(("rule", "overlay"), LARGER)
def test_more_of_anything_needs_more(rule: str, overlay: str) -> None:
    before, after = (theory_jobs(check_config(overlaid(text)), "d2k2")[rule] for text in ("{}", overlay))
    assert after.memory > before.memory
    assert after.seconds > before.seconds


def test_time_of_the_estimation_error_is_that_of_its_roll_outs() -> None:
    """On one core a step takes 84 ns at (d, k) = (20, 10), see `run_seconds`; 5 M (M + 1) roll-outs make an estimate.

    With 50 steps at each M, 13.4e6 steps; with M = 100 at five radii 12.6e6, and at lengths of 385 steps in all 19.4e6:
    45.4e6 steps, 40 times.
    """
    rollouts = [5 * m * (m + 1) for m in (25, 50, 100, 200)]
    steps = 40 * (50 * sum(rollouts) + 5 * 50 * 50_500 + 385 * 50_500)
    seconds = theory_jobs(check_config(DEFAULT), "d20k10")["measure_estimation_error"].seconds
    assert 1.0 < seconds / (84e-9 * steps) < 2.0


# Largest memory in MiB and seconds of the same calls as in the scripts, on a machine that others used too. Most found
# their code compiled.
SMALL = (
    "theory: {audit: {gains: 50, perturbations: 2, random_tasks: 1}, exact_methods: {iterations: 20}, estimation_error:"
    " {repeats: 2, perturbations: [4], smoothing_radius: [0.05], rollout_length: [10]}},"
    " algorithm: {iterations: 20, perturbations: 10, inner_perturbations: 10}"
)
MEASURED = [
    ("audit_theory", "d1k1", "{}", 176, 34.4),
    ("audit_theory", "d2k2", f"{{{SMALL}, cases: {{d2k2: {{tasks: {{count: 400}}}}}}}}", 352, 17.9),
    ("audit_theory", "d20k10", f"{{{SMALL}}}", 327, 8.2),
    ("audit_theory", "d20k10", f"{{{SMALL}, cases: {{d20k10: {{state_dim: 50}}}}}}", 1039, 58.4),
    ("run_exact_methods", "d1k1", "{}", 175, 0.8),
    ("run_exact_methods", "d20k10", "{}", 188, 4.1),
    ("run_exact_methods", "d20k10", f"{{{SMALL}, cases: {{d20k10: {{state_dim: 50, action_dim: 20}}}}}}", 260, 59.8),
    ("check_stability", "d1k1", "{}", 222, 3.1),
    ("check_stability", "d1k1", "{algorithm: {iterations: 20000, inner_perturbations: 3}}", 242, 30.4),
    ("measure_estimation_error", "d1k1", "{}", 274, 26.6),
    ("measure_estimation_error", "d20k10", "{}", 391, 160.5),
    ("measure_estimation_error", "d20k10", f"{{{SMALL}, cases: {{d20k10: {{state_dim: 40}}}}}}", 326, 70.7),
]


@pytest.mark.parametrize(("rule", "case", "overlay", "mebibytes", "seconds"), MEASURED)
def test_estimates_exceed_what_was_measured_but_not_by_much(
    rule: str, case: str, overlay: str, mebibytes: float, seconds: float
) -> None:
    job = theory_jobs(check_config(overlaid(overlay)), case)[rule]
    assert 1.1 < job.memory / (mebibytes * 2**20 / 1e6) < 2.5
    assert seconds < 60 * demands.minutes(job.seconds) < 100 * max(seconds, 30)


HUGE = [
    ("{theory: {audit: {gains: 1000000000}}}", "theory.audit.gains", "audit_theory"),
    ("{theory: {audit: {perturbations: 1000000000}}}", "theory.audit.perturbations", "audit_theory"),
    ("{theory: {audit: {random_tasks: 1000000000}}}", "theory.audit.random_tasks", "audit_theory"),
    ("{theory: {estimation_error: {repeats: 1000000000}}}", "theory.estimation_error.repeats", "measure_estimation"),
    (
        "{theory: {estimation_error: {perturbations: [1, 1000000000]}}}",
        "theory.estimation_error.perturbations[1]",
        "measure_estimation_error",
    ),
    ("{theory: {exact_methods: {iterations: 1000000000}}}", "theory.exact_methods.iterations", "run_exact_methods"),
]


@pytest.mark.parametrize(("overlay", "key", "rule"), HUGE)
def test_huge_values_are_refused_with_the_key_to_blame(overlay: str, key: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(overlaid(overlay))
    assert len(caught.value.problems) == 3, "one for each case"
    problem = caught.value.problems[0]
    assert problem.startswith(f"{key}: 1000000000 is too much: the job {rule}")
    assert problem.endswith(", leave d1k1 out of theory.cases, or raise the limit")


def test_what_is_too_large_for_the_theory_alone_can_be_left_out() -> None:
    """A gain of 3 750 numbers has a Hessian of 14 million, a matrix for each task."""
    large = "cases: {d2k2: {state_dim: 75, action_dim: 50}}, execution: {largest_memory_mb: 2000}"
    with pytest.raises(ConfigError, match=r"cases.d2k2.state_dim: 75 is too much: .*, leave d2k2 out of theory"):
        check_config(overlaid(f"{{{large}}}"))
    assert check_config(overlaid(f"{{{large}, theory: {{cases: [d1k1, d20k10]}}}}"))


def test_what_is_too_large_for_training_is_no_matter_of_the_theory() -> None:
    with pytest.raises(ConfigError, match="the job train_policy of d1k1 ") as caught:
        check_config(overlaid("{cases: {d1k1: {state_dim: 1000000}}}"))
    assert "theory" not in str(caught.value)

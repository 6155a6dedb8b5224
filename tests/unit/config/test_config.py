"""The workflow's plain Python: what a config may be, which runs it asks for, and which sources a script depends on."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT
from snakemake.utils import update_config

from metalqr.config import ConfigError, Plan, check_config, schema
from metalqr.config.algorithm import TAKEN, MetaSettings, all_declarations
from metalqr.config.identity import configuration_digest, difference
from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from pipeline import Sources


@pytest.fixture
def config() -> dict[str, Any]:
    """The default config."""
    return dict(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))


def changed(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of the config with one value at a dotted path set."""
    result = copy.deepcopy(config)
    *path, last = key.split(".")
    block = result
    for part in path:
        block = block[part]
    block[last] = value
    return result


def problems(config: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    return caught.value.problems


# --- the config ------------------------------------------------------------------------------------------------------


def test_default_config_is_the_papers(config: dict[str, Any]) -> None:
    plan = Plan(config)
    for case, dimensions, rates in [
        ("d1k1", (1, 1), (1e-3, 1e-5)),
        ("d2k2", (2, 2), (1e-3, 1e-5)),
        ("d20k10", (20, 10), (1e-5, 1e-7)),
    ]:
        paths = [path for path in plan.run_files("figure1") if f"/{case}/" in path]
        assert len(paths) == 5
        settings = plan.settings(SimpleNamespace(case=case, configuration=paths[0].split("/")[3]))
        assert MetaSettings(**settings) == MetaSettings(learning_rate=rates[0], adaptation_rate=rates[1])
        assert (config["cases"][case]["state_dim"], config["cases"][case]["action_dim"]) == dimensions
        assert config["cases"][case]["tasks"]["noise_trace"] == 1.0
    assert set(plan.figures.by_name["hyperparameters"].inputs) == {
        "smoothing_radius", "perturbations", "rollout_length", "adaptation_rate", "learning_rate"
    }  # fmt: skip


def test_every_sweep_of_the_default_config_shares_the_runs_of_figure1(config: dict[str, Any]) -> None:
    """Of its first three seeds."""
    plan = Plan(config)
    seeds = [f"seed-{seed}.nc" for seed in range(3)]
    shared = {path for path in plan.run_files("figure1") if "/d2k2/" in path and path.endswith(tuple(seeds))}
    assert len(shared) == 3
    for name in plan.figures.by_name["hyperparameters"].inputs:
        assert shared <= set(plan.run_files(name)), name
    assert len(plan.all_run_files()) == len(set(plan.all_run_files()))


def test_generated_files_are_up_to_date() -> None:
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.schema_text(), "run `make schema`"
    page = schema.DOCS_PAGE.read_text(encoding="utf-8")
    assert page == schema.with_tables(page), "run `make schema`"


def test_schema_accepts_the_default_config_and_refuses_unknown_keys(config: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")  # comes with Snakemake
    validator = jsonschema.Draft202012Validator(json.loads(schema.schema_text()))
    assert list(validator.iter_errors(config)) == []
    for key in ("algorithm.smoothing_radus", "cases.d1k1.tasks.radius", "execution.cores", "theory.audit.gain"):
        assert list(validator.iter_errors(changed(config, key, 1))), key


def test_schema_allows_no_unknown_key_anywhere() -> None:
    def visit(block: Any, place: str) -> None:
        if isinstance(block, dict):
            if isinstance(block.get("properties"), dict):
                assert block.get("additionalProperties") is False, place
            for key, value in block.items():
                visit(value, f"{place}/{key}")

    visit(json.loads(schema.schema_text()), "")


def test_what_has_a_default_may_be_left_out(config: dict[str, Any]) -> None:
    """And config.yaml writes out what the defaults are, so that the same runs come of it."""
    plan = Plan(config)
    left_out = {**config, "algorithm": {}}
    del left_out["theory"], left_out["execution"]
    assert Plan(left_out).all_run_files() == plan.all_run_files()
    assert Plan(left_out).config == plan.config


LIGHT = "import sys, metalqr.config; print([name for name in ('numpy', 'numba', 'snakemake') if name in sys.modules])"
PLUGINS = """
import sys
from metalqr.config.registries import estimators, families, methods
names = [plugin.name for registry in (families, methods, estimators) for plugin in registry]
assert {"similar", "given", "one_point", "zeroth_order_maml"} <= set(names), names
print([name for name in ("numba", "scipy", "xarray", "matplotlib") if name in sys.modules])
"""


@pytest.mark.parametrize("code", [LIGHT, PLUGINS], ids=["metalqr.config", "all plug-ins"])
def test_planning_imports_no_heavy_library(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("algorithm.smoothing_radius", -1, "algorithm.smoothing_radius: -1 is not > 0"),
        ("algorithm.smoothing_radius", 0, "algorithm.smoothing_radius: 0 is not > 0"),
        ("algorithm.smoothing_radius", float("nan"), "algorithm.smoothing_radius: nan is not a finite number"),
        ("algorithm.smoothing_radius", True, "algorithm.smoothing_radius: True is not a finite number"),
        (
            "algorithm.smoothing_radius",
            "5e-2",
            "algorithm.smoothing_radius: '5e-2' is text, not a number; write 0.05 (YAML reads 1e-3 as text",
        ),
        (
            "cases.d1k1.algorithm.adaptation_rate",
            "1e-5",
            "cases.d1k1.algorithm.adaptation_rate: '1e-5' is text, not a number; write 1.0e-05 "
            "(YAML reads 1e-3 as text, 1.0e-3 as a number)",
        ),
        ("algorithm.tolerance", "small", "algorithm.tolerance: 'small' is text, not a number"),
        ("algorithm.perturbations", "100", "algorithm.perturbations: '100' is text, not a whole number; write 100"),
        ("algorithm.perturbations", 2.5, "algorithm.perturbations: 2.5 is not a whole number"),
        ("algorithm.perturbations", 0, "algorithm.perturbations: 0 is not >= 1"),
        ("algorithm.task_batch", "some", "algorithm.task_batch: 'some' is not possible; possible: all"),
        ("algorithm.task_batch", 0, "algorithm.task_batch: 0 is not >= 1"),
        ("algorithm.perturbation", 3, "algorithm.perturbation: unknown key; did you mean perturbations?"),
        ("seeds", [1], "seeds: unknown key; did you mean seed?"),
        ("seed", -1, "seed: -1 is not >= 0"),
        ("cases.d1k1.state_dim", 0, "cases.d1k1.state_dim: 0 is not >= 1"),
        (
            "cases.d1k1.tasks.family",
            "familiar",
            "cases.d1k1.tasks.family: 'familiar' is not possible; did you mean similar?",
        ),
        ("cases.d1k1.tasks.spectral_radius", 1.2, "cases.d1k1.tasks.spectral_radius: 1.2 is not < 1"),
        ("cases.d1k1.tasks.A", [], "cases.d1k1.tasks.A: unknown key; possible: family, count, spectral_radius"),
        ("cases.d1k1.tasks.spectral_radius", None, "cases.d1k1.tasks.spectral_radius: missing; add it"),
        ("cases.d1k1.tasks.family", None, "cases.d1k1.tasks.family: missing; add it"),
        ("cases.d1k1.tasks", [1], "cases.d1k1.tasks: [1] is not a mapping (key: value)"),
        ("algorithm.method", "reptil", "algorithm.method: 'reptil' is not possible; "),
        ("algorithm.estimator", "one_pont", "algorithm.estimator: 'one_pont' is not possible; did you mean one_point?"),
        ("plugins", "mine.py", "plugins: 'mine.py' is not a list"),
        ("plugins", ["missing.py"], "plugins: missing.py: it cannot be read (No such file or directory); looked for /"),
        ("cases.d1k1.initial_gain", "one", "cases.d1k1.initial_gain: 'one' is not possible; possible: zero"),
        (
            "cases.d2k2.initial_gain",
            [[1.0, 2.0]],
            "cases.d2k2.initial_gain: the matrix is 1 x 2, not action_dim x state_dim = 2 x 2",
        ),
        ("cases.d1k1.algorithm", {}, "cases.d1k1.algorithm.learning_rate: missing; give it there or in algorithm"),
        ("cases.a/b", {}, "cases.'a/b': not a name; use at most 64 letters, digits, '-' and '_'"),
        ("experiments.figure1.cases", [], "experiments.figure1.cases: empty; give at least one entry"),
        ("experiments.figure1.seeds", [], "experiments.figure1.seeds: empty; give at least one entry"),
        ("experiments.figure1.seeds", [1, 2, 1], "experiments.figure1.seeds: 1 is listed twice"),
        ("experiments.figure1.seeds", 3, "experiments.figure1.seeds: 3 is not a list"),
        ("experiments", {}, "experiments: empty; give at least one entry"),
        ("experiments.figure1", {}, "experiments.figure1.cases: missing; add it"),
        ("experiments.figure1.sweep", {"iterations": []}, "experiments.figure1.sweep.iterations: empty"),
        (
            "experiments.figure1.cases",
            ["d2k3"],
            "experiments.figure1.cases[0]: there is no case 'd2k3'; did you mean d2k2?",
        ),
        (
            "experiments.figure1.sweep",
            {"smoothing_radius": [0.1, -0.1]},
            "experiments.figure1.sweep.smoothing_radius[1]: -0.1 is not > 0",
        ),
        (
            "experiments.figure1.sweep",
            {"radius": [0.1]},
            "experiments.figure1.sweep.radius: unknown key; did you mean smoothing_radius?",
        ),
        (
            "experiments.figure1.sweep",
            {"smoothing_radius": 0.1},
            "experiments.figure1.sweep.smoothing_radius: 0.1 is not a list or text",
        ),
        (
            "experiments.figure1.sweep",
            {"perturbations": "iterations"},
            "experiments.figure1.sweep.perturbations: 'iterations' is not a setting with a list of values in this",
        ),
        (
            "experiments.figure1.sweep",
            {"smoothing_radius": [0.5], "perturbations": "smoothing_radius"},
            "experiments.figure1.sweep.perturbations (moves with smoothing_radius): 0.5 is not a whole number",
        ),
        ("seed", 2025.0, "seed: 2025.0 is not a whole number; write 2025"),
        ("experiments.figure1.seeds", [0.0], "experiments.figure1.seeds[0]: 0.0 is not a whole number; write 0"),
        ("cases.d1k1.state_dim", 1.0, "cases.d1k1.state_dim: 1.0 is not a whole number; write 1"),
        ("cases.d1k1.tasks.count", 5.0, "cases.d1k1.tasks.count: 5.0 is not a whole number; write 5"),
        ("algorithm.tolerance", 10**400, f"algorithm.tolerance: 1{59 * '0'}... exceeds the range of double precision"),
        ("seed", 10**400, f"seed: 1{59 * '0'}... is not <= 4294967295"),
        ("algorithm.tolerance", "9" * 400, "algorithm.tolerance: '99999"),
        ("algorithm.smoothing_radius", 1e-101, "algorithm.smoothing_radius: 1e-101 is not >= 1e-100"),
        ("algorithm.smoothing_radius", 1e101, "algorithm.smoothing_radius: 1e+101 is not <= 1e+100"),
        (
            "cases.d1k1.tasks.uniform_low",
            2,
            "cases.d1k1.tasks.uniform_low: 2.0 is not < uniform_high, which is 1.0",
        ),
        ("cases.d1k1\n", {}, "cases.'d1k1\\n': not a name; use at most"),
        (
            "experiments.Hyperparameters",
            {"cases": ["d1k1"], "seeds": [0], "sweep": {}},
            "experiments.Hyperparameters: this name is kept for the figure",
        ),
        (
            "experiments.Figure1",
            {"cases": ["d1k1"], "seeds": [0], "sweep": {}},
            "experiments.Figure1: differs from figure1 in capitals only, so they share files on macOS",
        ),
        ("execution.threads", 0, "execution.threads: 0 is not >= 1"),
        ("execution.cores", 2, "execution.cores: unknown key; possible: threads"),
        (
            "experiments.figure1.sweep",
            {"tasks.radius": [0.1]},
            "experiments.figure1.sweep.'tasks.radius': unknown key; did you mean tasks.spectral_radius?",
        ),
        (
            "experiments.figure1.sweep",
            {"tasks.spectral_radius": [0.1, 1.0]},
            "experiments.figure1.sweep.'tasks.spectral_radius'[1]: 1.0 is not < 1",
        ),
        (
            "experiments.figure1.sweep",
            {"tasks.p": [[0.5, 0.5]]},
            "experiments.figure1.sweep.'tasks.p': no setting of the family similar of d1k1; possible: count, spectral",
        ),
        (
            "experiments.figure1.sweep",
            {"tasks.uniform_low": [0.5, 1.5]},
            "experiments.figure1: uniform_low 1.5 is not < uniform_high, which is 1.0",
        ),
        (
            "experiments.figure1.variants",
            {"mine": {"smoothing": 0.1}},
            "experiments.figure1.variants.mine.smoothing: unknown key; did you mean smoothing_radius?",
        ),
        (
            "experiments.smoothing_radius.variants",
            {"mine": {"smoothing_radius": 0.1}},
            "experiments.smoothing_radius.variants.mine.smoothing_radius: the sweep of this experiment gives it too; ",
        ),
        ("experiments.figure1.variants", {"a b": {}}, "experiments.figure1.variants.'a b': not a name; use at most"),
        (
            "experiments.hyperparameters",
            {"cases": ["d1k1"], "seeds": [0], "sweep": {}},
            "experiments.hyperparameters: this name is kept for the figure hyperparameters; choose another",
        ),
    ],
)
def test_each_problem_is_one_line_that_begins_with_its_key(
    config: dict[str, Any], key: str, value: Any, message: str
) -> None:
    found = problems(changed(config, key, value))
    assert found[0].startswith(message)
    assert all("\n" not in line and len(line) < 500 for line in found)


def test_all_problems_at_once(config: dict[str, Any]) -> None:
    config = changed(changed(config, "seed", -1), "execution.threads", "two")
    with pytest.raises(ConfigError) as caught:
        Plan(config)
    assert str(caught.value) == (
        "The config has 2 problems:\n  execution.threads: 'two' is text, not a whole number\n  seed: -1 is not >= 0"
    )


GIVEN = {
    "family": "given",
    "A": [[[3.0]], [[1.0]]],
    "B": [[[4.0]], [[-1.0]]],
    "Q": [[[1.0]], [[1.0]]],
    "R": [[[1.0]], [[1.0]]],
    "Psi": [[[1.0]], [[1.0]]],
}


def test_given_tasks_are_possible(config: dict[str, Any]) -> None:
    plan = Plan(changed(config, "cases.d1k1.tasks", GIVEN))
    block = plan.task_block(SimpleNamespace(case="d1k1"))
    assert block["tasks"] == GIVEN
    assert Plan(changed(config, "cases.d1k1.tasks", GIVEN)).task_plugins(SimpleNamespace(case="d1k1")) == [
        ROOT / "src/metalqr/systems/given.py"
    ]
    assert "seed" not in block, "tasks that are written down must not depend on the seed"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("B", [[[1.0]]], "cases.d1k1.tasks.B: 1 tasks, but A has 2; give one entry for each task"),
        ("A", [[[1.0]], [[1.0, 2.0]]], "cases.d1k1.tasks.A[1]: the matrix is 1 x 2, not state_dim x state_dim = 1 x 1"),
        ("p", [1.0], "cases.d1k1.tasks.p: 1 tasks, but A has 2"),
        ("Q", [[["1e-3"]], [[1.0]]], "cases.d1k1.tasks.Q[0][0][0]: '1e-3' is text, not a number; write 0.001"),
        ("R", None, "cases.d1k1.tasks.R: missing; add it"),
        ("count", 3, "cases.d1k1.tasks.count: unknown key; possible: family, A, B, Q, R, Psi, Sigma0, p"),
    ],
)
def test_problems_of_given_tasks(config: dict[str, Any], name: str, value: Any, message: str) -> None:
    assert problems(changed(config, "cases.d1k1.tasks", {**GIVEN, name: value}))[0].startswith(message)


def test_spelling_and_order_of_a_task_block_change_nothing(config: dict[str, Any]) -> None:
    tasks = config["cases"]["d1k1"]["tasks"]
    other = changed(config, "cases.d1k1.tasks", dict(reversed({**tasks, "noise_trace": 1}.items())))
    other = changed(other, "cases.d1k1.initial_gain", [[0]])
    config = changed(config, "cases.d1k1.initial_gain", [[0.0]])
    wildcards = SimpleNamespace(case="d1k1")
    # Snakemake compares params by their text.
    assert repr(Plan(other).task_block(wildcards)) == repr(Plan(config).task_block(wildcards))
    settings = families.get("similar").Settings
    block = Plan(config).task_block(wildcards)["tasks"]
    assert {**settings(**{name: block[name] for name in block if name != "family"}).as_dict(), "family": "similar"} == {
        **tasks,
        "largest_spectral_radius": None,
    }


def test_null_removes_what_an_overlay_does_not_want(config: dict[str, Any]) -> None:
    for name in ("perturbations", "learning_rate"):
        config = changed(config, f"experiments.{name}", None)
    config = changed(config, "experiments.smoothing_radius.sweep.smoothing_radius", None)
    plan = Plan(config)
    assert set(plan.experiments) == {"figure1", "smoothing_radius", "rollout_length", "adaptation_rate"}
    assert {"figure1", "smoothing_radius"} <= plan.figures.by_name.keys(), "without a sweep, it is a figure of curves"


# --- the plan --------------------------------------------------------------------------------------------------------

STEPS = {"learning_rate": 1e-3, "adaptation_rate": 0.0}


def test_digest_depends_on_what_is_not_at_its_default_only() -> None:
    digest = configuration_digest(MetaSettings(**STEPS))
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert configuration_digest(MetaSettings(**dict(reversed(STEPS.items())))) == digest
    assert configuration_digest(MetaSettings(**{**STEPS, "adaptation_rate": 0})) == digest
    assert configuration_digest(MetaSettings(**STEPS, perturbations=100, task_batch="all")) == digest


@given(
    name=st.sampled_from(["learning_rate", "adaptation_rate", "perturbations"]),
    value=st.integers(min_value=1, max_value=2**31 - 1),
)
def test_any_other_value_is_another_digest(name: str, value: int) -> None:
    settings = MetaSettings(**STEPS)
    other = settings.replace(**{name: value})
    assert (configuration_digest(other) == configuration_digest(settings)) == (value == getattr(settings, name))


def test_digest_of_the_papers_settings_stays() -> None:
    """A changed digest would make every run again: only do that on purpose."""
    assert configuration_digest(MetaSettings(learning_rate=1e-3, adaptation_rate=1e-5)) == "96440e351fe1"


def test_a_run_made_with_another_default_is_told_from_one_of_the_same_digest() -> None:
    wanted = MetaSettings(**STEPS).as_dict()
    found = {**wanted, "rollout_length": 40}
    assert difference(wanted, wanted) is None
    assert difference(found, wanted) == (
        "it was run with rollout_length: 40, but rollout_length: 50 is wanted, since the default has changed"
    )
    older = {name: value for name, value in wanted.items() if name != "precision"}
    assert difference(older, wanted) is None, "a setting younger than the file"


@pytest.mark.parametrize(
    ("common", "sweep", "refused"),
    [
        ({"precision": "float32"}, {"smoothing_radius": [0.1, 1e-4]}, True),
        ({"precision": "float32", "smoothing_radius": 1e4}, {}, True),
        ({"smoothing_radius": 1e-4}, {"precision": ["float64", "float32"]}, True),
        ({"smoothing_radius": 1e-4}, {"perturbations": [1, 2]}, False),
        ({"precision": "float32"}, {"smoothing_radius": [1e-3, 1e3]}, False),
    ],
)
def test_radii_that_single_precision_rounds_away_are_refused(
    config: dict[str, Any], common: dict[str, Any], sweep: dict[str, Any], refused: bool
) -> None:
    config = changed(config, "experiments", {"mine": {"cases": ["d1k1"], "seeds": [0], "sweep": sweep}})
    config["algorithm"].update(common)
    if not refused:
        check_config(config)
        return
    with pytest.raises(ConfigError, match=r"experiments.mine: smoothing_radius .* in single precision; choose another"):
        check_config(config)


TWO = {"precision": ["float64", "float32"], "estimator": ["one_point", "two_point"]}


@pytest.mark.parametrize("name", [name for name in MetaSettings.names() if name != "method"])
def test_every_setting_can_be_swept(config: dict[str, Any], name: str) -> None:
    first, second = TWO.get(name, [2, 3])
    experiment = {"cases": ["d1k1"], "seeds": [5, 6], "sweep": {name: [first, second]}}
    plan = Plan(changed(config, "experiments.mine", experiment))
    paths = plan.run_files("mine")
    assert len(set(paths)) == 4
    values = []
    for path in paths:
        _, _, case, configuration, seed = path.split("/")
        run = plan.run(SimpleNamespace(case=case, configuration=configuration))
        values.append((getattr(run.settings, name), seed))
    assert values == [(value, f"seed-{seed}.nc") for value in (first, second) for seed in (5, 6)]


def test_long_runs_start_first(config: dict[str, Any]) -> None:
    """Ten more for each factor of ten in time; a run at (d, k) = (20, 10) takes some 30 times one at (1, 1)."""
    sweep = {"perturbations": [1, 10, 100]}
    experiment = {"cases": ["d1k1", "d2k2", "d20k10"], "seeds": [0], "sweep": sweep}
    plan = Plan(changed(config, "experiments.mine", experiment))
    found = {}
    for path in plan.run_files("mine"):
        wildcards = SimpleNamespace(case=path.split("/")[2], configuration=path.split("/")[3])
        found[wildcards.case, plan.run(wildcards).settings.perturbations] = plan.priority("train_policy")(wildcards)
    for case in experiment["cases"]:
        assert found[case, 1] < found[case, 10] < found[case, 100]
    assert found["d1k1", 100] < found["d2k2", 100] < found["d20k10", 100]
    assert 13 <= found["d20k10", 100] - found["d1k1", 100] <= 17


def test_sweep_is_a_product_with_the_last_axis_fastest(config: dict[str, Any]) -> None:
    sweep = {"perturbations": [1, 2], "iterations": [7, 8], "inner_perturbations": "perturbations"}
    experiment = {"cases": ["d1k1", "d2k2"], "seeds": [0], "sweep": sweep}
    plan = Plan(changed(config, "experiments.mine", experiment))
    found = []
    for path in plan.run_files("mine"):
        case, configuration = path.split("/")[2:4]
        settings = plan.run(SimpleNamespace(case=case, configuration=configuration)).settings
        found.append((case, settings.perturbations, settings.inner_perturbations, settings.iterations))
    assert found == [
        (case, outer, outer, iterations) for case in ("d1k1", "d2k2") for outer in (1, 2) for iterations in (7, 8)
    ]
    block = plan.dataset_block(SimpleNamespace(experiment="mine"))
    assert block["linked"] == {"inner_perturbations": "perturbations"}
    assert list(block["sweep"]) == ["perturbations", "iterations"]
    shown = [name for output in plan.figures.by_name.values() for name in output.inputs]
    assert "mine" not in shown, "two axes do not fit into the figure of the hyperparameters"


def test_execution_is_no_part_of_a_run(config: dict[str, Any]) -> None:
    other = changed(config, "execution.threads", 2)
    assert Plan(other).all_run_files() == Plan(config).all_run_files()


def test_only_cases_of_experiments_are_made(config: dict[str, Any]) -> None:
    assert Plan(changed(config, "experiments.figure1.cases", ["d2k2"])).cases == ("d2k2",)


def test_run_that_nobody_asks_for(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="none produces the run d1k1/000000000000"):
        Plan(config).settings(SimpleNamespace(case="d1k1", configuration="0" * 12))


VARIANTS = {
    "cases": ["d1k1"],
    "seeds": [0, 1],
    "variants": {"paper": {}, "pairs": {"estimator": "two_point", "perturbations": 20}},
    "sweep": {"rollout_length": [5, 7]},
}


def test_variants_are_the_slowest_axis(config: dict[str, Any]) -> None:
    plan = Plan(changed(config, "experiments.mine", VARIANTS))
    points = plan.experiments["mine"].points("d1k1")
    assert list(plan.experiments["mine"].axes.items()) == [("variant", ("paper", "pairs")), ("rollout_length", (5, 7))]
    assert [(p.settings.estimator, p.settings.perturbations, p.settings.rollout_length) for p in points] == [
        ("one_point", 100, 5), ("one_point", 100, 7), ("two_point", 20, 5), ("two_point", 20, 7)
    ]  # fmt: skip
    assert len(plan.run_files("mine")) == 8
    assert "mine" not in [name for output in plan.figures.by_name.values() for name in output.inputs]


def test_a_dataset_has_the_points_of_its_plan(config: dict[str, Any]) -> None:
    """Its job makes them anew from what it is given, which is short however many they are."""
    moved = {**VARIANTS, "sweep": {"tasks.spectral_radius": [0.9, 0.5], "iterations": [1, 2]}}
    plan = Plan(changed(config, "experiments.mine", moved))
    experiment = plan.experiments["mine"]
    block = json.loads(json.dumps(plan.dataset_block(SimpleNamespace(experiment="mine"))))
    assert type(experiment).from_block("mine", block).points("d1k1") == experiment.points("d1k1")


GIVEN = {"family": "given", "A": [[[0.5]], [[0.4]]], **dict.fromkeys("BQR", [[[1.0]]] * 2), "Psi": [[[1.0]]] * 2}


def test_matrices_of_a_family_may_be_swept(config: dict[str, Any]) -> None:
    config = changed(config, "cases.d1k1.tasks", GIVEN)
    block = {"cases": ["d1k1"], "seeds": [0], "sweep": {"tasks.p": [[0.5, 0.5], [0.2, 0.8]]}}
    names = {
        point.tasks
        for point in check_config({**config, "experiments": {"mine": block}}).resolved["mine"].points("d1k1")
    }
    assert len(names) == 2
    block = {**block, "sweep": {"tasks.A": [[[[0.5]], [[0.2]]], [[[0.5]]]]}}
    with pytest.raises(ConfigError) as caught:
        check_config({**config, "experiments": {"mine": block}})
    assert caught.value.problems[0] == (
        "experiments.mine: tasks.B of d1k1: 2 tasks, but A has 1; give one entry for each task"
    )


def test_a_plugin_that_moves_with_another_setting_must_exist(config: dict[str, Any]) -> None:
    sweep = {"method": ["reptile"], "estimator": "method"}
    with pytest.raises(ConfigError) as caught:
        check_config(changed(config, "experiments.mine", {"cases": ["d1k1"], "seeds": [0], "sweep": sweep}))
    assert caught.value.problems == (
        "experiments.mine.sweep.estimator (moves with method): 'reptile' is not possible; possible: "
        "one_point, two_point",
    )


def test_a_moved_family_is_another_set_of_tasks(config: dict[str, Any]) -> None:
    sweep = {"tasks.spectral_radius": [0.9, 0.5], "tasks.perturbation_deviation": "tasks.spectral_radius"}
    experiment = {"cases": ["d1k1"], "seeds": [0], "sweep": sweep}
    config = changed(config, "cases.d1k1.tasks.perturbation_deviation", 0.9)
    plan = Plan(changed(config, "experiments.mine", experiment))
    same, moved = (point.tasks for point in plan.experiments["mine"].points("d1k1"))
    assert same == "d1k1", "the point at the case's own values"
    assert re.fullmatch("d1k1-[0-9a-f]{12}", moved)
    block = plan.task_block(SimpleNamespace(case=moved))
    assert block["tasks"]["spectral_radius"] == block["tasks"]["perturbation_deviation"] == 0.5
    assert plan.cases == ("d1k1", "d2k2", "d20k10")
    assert set(plan.task_sets) == {*plan.cases, moved}
    assert plan.optima_of(SimpleNamespace(experiment="mine")) == [f"results/optima/{name}.nc" for name in (same, moved)]
    assert plan.meta_optima[f"{moved}/1e-05"] == f"results/optima/{moved}/adaptation_rate-1e-05.nc"


MINE = """
from metalqr.config import settings
from metalqr.config.registries import estimators
from metalqr.config.settings import Real, setting
from metalqr.estimators.estimator import Estimator

@estimators.register("{name}")
class Mine(Estimator):
    class Settings(settings.Settings):
        {name}_clip: Real = setting(2.0, label="clip", about="largest coefficient", above=0)
"""


@pytest.fixture
def with_plugin(config: dict[str, Any], forgotten: None, tmp_path: Path) -> dict[str, Any]:
    """The config with an estimator of one's own."""
    (tmp_path / "mine.py").write_text(MINE.format(name="mine"))
    return changed(config, "plugins", ["mine.py"])


def test_a_plugin_of_ones_own_is_found_beside_the_config(with_plugin: dict[str, Any], tmp_path: Path) -> None:
    variants = {"paper": {}, "mine": {"estimator": "mine", "mine_clip": 1}}
    config = changed(with_plugin, "experiments.mine", {"cases": ["d1k1"], "seeds": [0], "variants": variants})
    plan = Plan(config, tmp_path)
    paper, mine = plan.experiments["mine"].points("d1k1")
    assert mine.settings.mine_clip == 1.0
    assert "mine_clip" not in paper.settings.as_dict()
    wildcards = SimpleNamespace(case="d1k1", configuration=configuration_digest(mine.settings))
    assert plan.run_plugins(wildcards) == (
        ROOT / "src/metalqr/training/methods/zeroth_order_maml.py",
        tmp_path / "mine.py",
    )
    assert plan.config["plugins"] == [str(tmp_path / "mine.py")]
    assert set(Sources(ROOT).of("train_policy", plan.run_plugins(wildcards))) > {"mine.py"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("algorithm.mine_clip", -1, "algorithm.mine_clip: -1 is not > 0"),
        (
            "algorithm.mine_clip",
            1.0,
            "algorithm.mine_clip: a setting of estimator: mine, not of one_point; remove it or change estimator",
        ),
        (
            "cases.d1k1.algorithm.mine_clip",
            1.0,
            "cases.d1k1.algorithm.mine_clip: a setting of estimator: mine, not of one_point; remove it or change",
        ),
        (
            "experiments.figure1.variants",
            {"paper": {"mine_clip": 1.0}, "mine": {"estimator": "mine"}},
            "experiments.figure1.variants.paper.mine_clip: a setting of estimator: mine, not of one_point; remove it",
        ),
        (
            "experiments.figure1.sweep",
            {"mine_clip": [1.0]},
            "experiments.figure1.sweep.mine_clip: a setting of estimator: mine, not of one_point; remove it or change",
        ),
    ],
)
def test_settings_of_a_plugin_that_is_not_used_are_refused(
    key: str, value: Any, message: str, with_plugin: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        Plan(changed(with_plugin, key, value), tmp_path)
    assert caught.value.problems[0].startswith(message)
    assert len(caught.value.problems) == 1


OWN_METHOD = """
from metalqr.config import settings
from metalqr.config.registries import methods
from metalqr.config.settings import Count, Real, setting
from metalqr.training.methods.mean_cost import MeanCost

@methods.register("own")
class Own(MeanCost):
    class Settings(settings.Settings):
        NAME: Count = setting(7, label="own", about="of something")
"""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("perturbations", "is one that all methods share; use that, or choose another name"),
        ("seed", "has a name that means something else; choose another name"),
        ("threads", "has a name that means something else; choose another name"),
        ("cost", "has a name that means something else; choose another name"),
        ("of", "has a name that means something else; choose another name"),
        ("inner_steps", "is one of reptile with another type, range or default; choose another name"),
    ],
)
def test_settings_of_a_plugin_have_names_of_their_own(
    name: str, reason: str, config: dict[str, Any], forgotten: None, tmp_path: Path
) -> None:
    """Or a run that leaves one at its default could not be told from another."""
    (tmp_path / "own.py").write_text(OWN_METHOD.replace("NAME", name))
    with pytest.raises(ConfigError) as caught:
        check_config(changed(config, "plugins", ["own.py"]), tmp_path)
    assert caught.value.problems == (f"plugins: own.py: method own: its setting {name} {reason}",)


def test_a_size_of_a_plugin_that_may_not_be_one_is_blamed(
    config: dict[str, Any], forgotten: None, tmp_path: Path
) -> None:
    lines = OWN_METHOD.replace("NAME", "pairs").replace('of something"', 'of something", at_least=2, size=True')
    lines += """
    @classmethod
    def work(cls, count, settings):
        return super().work(count, settings)._replace(policies=settings.of(cls).pairs)
"""
    (tmp_path / "own.py").write_text(lines)
    variants = {"own": {"method": "own", "pairs": 2_000_000_000}}
    config = changed(changed(config, "plugins", ["own.py"]), "experiments.figure1.variants", variants)
    with pytest.raises(ConfigError, match=r"  experiments.figure1.variants.own.pairs: 2000000000 is too much: the job"):
        check_config(config, tmp_path)


def test_names_in_datasets_are_taken() -> None:
    from metalqr.results.datasets import DATASETS

    dims = {dim for spec in DATASETS.variables.values() for dim in spec.dims}
    assert {*DATASETS.variables, *DATASETS.attributes, *dims, "seed", "variant", "iteration"} <= TAKEN


def test_families_may_differ_in_a_setting_of_the_same_name(
    config: dict[str, Any], forgotten: None, tmp_path: Path
) -> None:
    """``p`` is a list of ``given``, and a number here; a sweep is checked with the family of its case."""
    lines = OWN_METHOD.replace("methods.register", "families.register").replace("import methods", "import families")
    lines = lines.replace(
        "from metalqr.training.methods.mean_cost import MeanCost", "from metalqr.systems.family import Family"
    )
    lines = lines.replace("MeanCost", "Family").replace("NAME: Count", "p: Real").replace("setting(7", "setting(0.5")
    (tmp_path / "own.py").write_text(lines + '        count: Count = setting(2, label="count", about="of tasks")\n')
    config = changed(changed(config, "plugins", ["own.py"]), "cases.d1k1.tasks", {"family": "own"})
    block = {"cases": ["d1k1"], "seeds": [0], "sweep": {"tasks.p": [0.1, 0.2]}}
    checked = check_config({**config, "experiments": {"mine": block}}, tmp_path)
    assert len({point.tasks for point in checked.resolved["mine"].points("d1k1")}) == 2
    block["sweep"] = {"tasks.p": [0.1, "x"]}
    with pytest.raises(ConfigError, match=r"experiments\.mine: p 'x' is text, not a number"):
        check_config({**config, "experiments": {"mine": block}}, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def f(:", "SyntaxError: invalid syntax (own.py, line 1); correct the file"),
        ("\nraise ValueError('one\\ntwo')", "line 2: ValueError: one two; correct the file"),
        ("import sys\nsys.exit(3)", "line 2: SystemExit: 3; correct the file"),
        (OWN_METHOD.replace('"own"', '"reptile"').replace("NAME", "own"), "there is another method 'reptile'; choose"),
        (
            OWN_METHOD.replace('"own"', '"../own"').replace("NAME", "own"),
            "'../own' is no name of a method; use at most",
        ),
        (
            OWN_METHOD.replace("(MeanCost)", "").replace("NAME", "own"),
            "the method 'own' is no class derived from Method",
        ),
        (
            OWN_METHOD.replace("(settings.Settings)", ""),
            "Settings of the method 'own' is not derived from metalqr.config",
        ),
    ],
)
def test_a_file_that_is_no_plugin_is_told_in_a_line(
    content: str, message: str, config: dict[str, Any], forgotten: None, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(content)
    with pytest.raises(ConfigError) as caught:
        check_config(changed(config, "plugins", ["own.py"]), tmp_path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"plugins: own.py: {message}")
    assert "\n" not in problem


def test_impossible_settings_of_a_plugin_are_named(with_plugin: dict[str, Any], tmp_path: Path) -> None:
    Plan(with_plugin, tmp_path)
    assert "mine_clip" in [each.name for each in all_declarations()]
    with pytest.raises(SettingsError, match=r"^mine_clip: 0 is not > 0$"):
        MetaSettings(**STEPS, estimator="mine", mine_clip=0)
    with pytest.raises(SettingsError, match=r"^mine_clip: a setting of estimator: mine, not of one_point; remove it"):
        MetaSettings(**STEPS, mine_clip=1.0)


# --- the documentation ------------------------------------------------------------------------------------------------


RUNS_OF_EXAMPLES = {"short_rollouts": 30, "estimators": 12, "clipped": 6, "pendulum": 3}


def test_the_examples_of_the_documentation_are_accepted(
    config: dict[str, Any], forgotten: None, tmp_path: Path
) -> None:
    """Each YAML block of docs/configuration.md, laid over config.yaml as Snakemake does it."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "my_estimators.py").write_text(code)
    names = []
    for example in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)):
        overlaid = copy.deepcopy(config)
        update_config(overlaid, example)
        (name,) = (name for name, block in example["experiments"].items() if block is not None)
        assert len(Plan(overlaid, tmp_path).run_files(name)) == RUNS_OF_EXAMPLES[name]
        names.append(name)
    assert names == list(RUNS_OF_EXAMPLES)

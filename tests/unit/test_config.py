"""The workflow's plain Python: what a config may be, which runs it asks for, and which sources a script depends on."""

import copy
import json
import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

import metalqr
from metalqr.families import GIVEN_LEVELS, OPTIONAL_GIVEN, FamilySettings
from metalqr.settings import RADIUS_RANGE, MetaSettings
from pipeline import ConfigError, Plan, Sources, check_config
from pipeline.canonical import schema, setting_digest, setting_names

ROOT = Path(__file__).resolve().parents[2]


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
        settings = plan.settings(SimpleNamespace(case=case, setting=paths[0].split("/")[3]))
        assert MetaSettings(**settings) == MetaSettings(learning_rate=rates[0], adaptation_rate=rates[1])
        assert (config["cases"][case]["state_dim"], config["cases"][case]["action_dim"]) == dimensions
        assert config["cases"][case]["tasks"]["noise_trace"] == 1.0
    assert set(plan.sweeps) == {
        "smoothing_radius", "perturbations", "rollout_length", "adaptation_rate", "learning_rate"
    }  # fmt: skip


def test_every_sweep_of_the_default_config_shares_the_runs_of_figure1(config: dict[str, Any]) -> None:
    """Of its first three seeds."""
    plan = Plan(config)
    seeds = [f"seed-{seed}.nc" for seed in range(3)]
    shared = {path for path in plan.run_files("figure1") if "/d2k2/" in path and path.endswith(tuple(seeds))}
    assert len(shared) == 3
    for name in plan.sweeps:
        assert shared <= set(plan.run_files(name)), name
    assert len(plan.all_run_files()) == len(set(plan.all_run_files()))


def test_schema_knows_every_setting_and_its_type() -> None:
    assert setting_names() == tuple(schema()["$defs"]["setting"]) == tuple(schema()["$defs"]["sweep"]["properties"])
    assert set(setting_names()) == set(MetaSettings.names())
    for name, kind in MetaSettings.__annotations__.items():
        wanted = {float: "number", int: "integer"}.get(kind)
        assert schema()["$defs"]["setting"][name].get("type") == wanted, name


def test_schema_knows_every_family_setting() -> None:
    block = schema()["$defs"]["similar_tasks"]
    names = {field.name for field in fields(FamilySettings)}
    assert set(block["properties"]) == names | {"family"}
    assert set(block["required"]) == names - {"largest_spectral_radius"}
    block = schema()["$defs"]["given_tasks"]
    assert set(block["properties"]) == set(GIVEN_LEVELS) | {"family"}
    assert set(block["required"]) == set(GIVEN_LEVELS) - OPTIONAL_GIVEN


def test_schema_allows_no_unknown_key_anywhere() -> None:
    def visit(block: Any, place: str) -> None:
        if isinstance(block, dict):
            if isinstance(block.get("properties"), dict) and "if" not in place.split("/"):
                assert block.get("additionalProperties") is False, place
            for key, value in block.items():
                visit(value, f"{place}/{key}")

    visit(schema(), "")


def test_schema_fills_nothing_in() -> None:
    assert "default" not in json.dumps(schema())


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
        ("cases.d1k1.tasks.count", None, "cases.d1k1.tasks.count: missing; add it"),
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
        ("algorithm.tolerance", 10**400, f"algorithm.tolerance: 1{59 * '0'}... is too large"),
        ("seed", 10**400, f"seed: 1{59 * '0'}... is too large"),
        ("algorithm.tolerance", "9" * 400, "algorithm.tolerance: '99999"),
        ("algorithm.smoothing_radius", 1e-101, "algorithm.smoothing_radius: 1e-101 is not >= 1e-100"),
        ("algorithm.smoothing_radius", 1e101, "algorithm.smoothing_radius: 1e+101 is not <= 1e+100"),
        (
            "cases.d1k1.tasks.uniform_low",
            2,
            "cases.d1k1.tasks.uniform_low: 2 is not < uniform_high, which is 1.0",
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
            "experiments.hyperparameters",
            {"cases": ["d1k1"], "seeds": [0], "sweep": {}},
            "experiments.hyperparameters: this name is kept for the figure of all sweeps; choose another",
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
    assert repr(Plan(other).initial_gain(wildcards)) == repr(Plan(config).initial_gain(wildcards))
    block = Plan(config).task_block(wildcards)["tasks"]
    assert isinstance(block["count"], int)
    FamilySettings(**{name: value for name, value in block.items() if name != "family"})


def test_null_removes_what_an_overlay_does_not_want(config: dict[str, Any]) -> None:
    for name in ("perturbations", "learning_rate"):
        config = changed(config, f"experiments.{name}", None)
    config = changed(config, "experiments.smoothing_radius.sweep.smoothing_radius", None)
    plan = Plan(config)
    assert set(plan.experiments) == {"figure1", "smoothing_radius", "rollout_length", "adaptation_rate"}
    assert plan.curves == ("figure1", "smoothing_radius")


# --- the plan --------------------------------------------------------------------------------------------------------

SETTING = {"learning_rate": 1e-3, "adaptation_rate": 0.0, "perturbations": 100, "task_batch": "all"}


def test_digest_depends_on_the_values_only() -> None:
    digest = setting_digest(SETTING)
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert setting_digest(dict(reversed(SETTING.items()))) == digest
    assert setting_digest({**SETTING, "adaptation_rate": 0, "perturbations": 100.0}) == digest


@given(
    name=st.sampled_from(["learning_rate", "adaptation_rate", "perturbations"]),
    value=st.integers(min_value=1, max_value=2**31 - 1),
)
def test_any_other_value_is_another_digest(name: str, value: int) -> None:
    assert (setting_digest({**SETTING, name: value}) == setting_digest(SETTING)) == (value == SETTING[name])


def test_digest_of_the_papers_settings_stays() -> None:
    """A changed digest would make every run again: only do that on purpose."""
    settings = MetaSettings(learning_rate=1e-3, adaptation_rate=1e-5).as_dict()
    assert setting_digest(settings) == "1f797dbd2689"


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
    limits = schema()["$defs"]["single_precision_radius"]
    assert (limits["minimum"], limits["maximum"]) == RADIUS_RANGE["float32"]
    if not refused:
        check_config(config)
        return
    with pytest.raises(ConfigError, match=r"experiments.mine: smoothing_radius .* in single precision; choose another"):
        check_config(config)


@pytest.mark.parametrize("name", MetaSettings.names())
def test_every_setting_can_be_swept(config: dict[str, Any], name: str) -> None:
    first, second = ["float64", "float32"] if name == "precision" else [2, 3]
    experiment = {"cases": ["d1k1"], "seeds": [5, 6], "sweep": {name: [first, second]}}
    plan = Plan(changed(config, "experiments.mine", experiment))
    paths = plan.run_files("mine")
    assert len(set(paths)) == 4
    values = []
    for path in paths:
        _, _, case, setting, seed = path.split("/")
        values.append((plan.settings(SimpleNamespace(case=case, setting=setting))[name], seed))
    assert values == [(value, f"seed-{seed}.nc") for value in (first, second) for seed in (5, 6)]


def test_long_runs_start_first(config: dict[str, Any]) -> None:
    """Ten more for each factor of ten in time; a run at (d, k) = (20, 10) takes some 30 times one at (1, 1)."""
    sweep = {"perturbations": [1, 10, 100]}
    experiment = {"cases": ["d1k1", "d2k2", "d20k10"], "seeds": [0], "sweep": sweep}
    plan = Plan(changed(config, "experiments.mine", experiment))
    found = {}
    for path in plan.run_files("mine"):
        wildcards = SimpleNamespace(case=path.split("/")[2], setting=path.split("/")[3])
        found[wildcards.case, plan.settings(wildcards)["perturbations"]] = plan.priority(wildcards)
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
        case, setting = path.split("/")[2:4]
        settings = plan.settings(SimpleNamespace(case=case, setting=setting))
        found.append((case, settings["perturbations"], settings["inner_perturbations"], settings["iterations"]))
    assert found == [
        (case, outer, outer, iterations) for case in ("d1k1", "d2k2") for outer in (1, 2) for iterations in (7, 8)
    ]
    block = plan.dataset_block(SimpleNamespace(experiment="mine"))
    assert block["linked"] == {"inner_perturbations": "perturbations"}
    assert list(block["sweep"]) == ["perturbations", "iterations"]
    assert "mine" not in plan.sweeps, "two axes do not fit into the figure of the hyperparameters"
    assert not {"perturbations", "inner_perturbations", "iterations"} & set(block["cases"]["d1k1"])


def test_execution_is_no_part_of_a_run(config: dict[str, Any]) -> None:
    other = changed(config, "execution.threads", 2)
    assert Plan(other).all_run_files() == Plan(config).all_run_files()


def test_only_cases_of_experiments_are_made(config: dict[str, Any]) -> None:
    assert Plan(changed(config, "experiments.figure1.cases", ["d2k2"])).cases == ("d2k2",)


def test_run_that_nobody_asks_for(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="none asks for the run d1k1/000000000000"):
        Plan(config).settings(SimpleNamespace(case="d1k1", setting="0" * 12))


# --- the sources -----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "workflow/scripts/draw.py": "from helper import tool\nfrom pkg import figures\nimport numpy\n",
        "workflow/scripts/train.py": "from helper import tool\nfrom pkg import Tasks\nimport pkg.meta\n",
        "workflow/scripts/helper.py": "tool = 1\n",
        "src/pkg/__init__.py": "from pkg.base import Tasks\nfrom pkg import figures\n",
        "src/pkg/base.py": "class Tasks: ...\n",
        "src/pkg/figures.py": "from pkg.meta.deep import x\nif TYPE_CHECKING:\n    import pkg.typed\n",
        "src/pkg/typed.py": "",
        "src/pkg/meta/__init__.py": "from pkg.meta.training import train\n",
        "src/pkg/meta/training.py": "from ..rollout import run\nfrom . import deep\n",
        "src/pkg/meta/deep.py": "def f():\n    from pkg.late import y\n",
        "src/pkg/meta/unused.py": "",
        "src/pkg/rollout.py": "",
        "src/pkg/late.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_sources_follow_every_kind_of_import(project: Path) -> None:
    found = {Path(name).stem if "__init__" not in name else name for name in Sources(project, "pkg").of("train")}
    assert found == {"train", "helper", "base", "training", "rollout", "deep", "late"}


def test_sources_leave_out_the_packages_own_init_and_other_libraries(project: Path) -> None:
    found = Sources(project, "pkg").of("draw")
    assert "src/pkg/__init__.py" not in found
    assert "src/pkg/base.py" not in found
    assert "src/pkg/meta/unused.py" not in found
    assert "src/pkg/figures.py" in found
    assert "src/pkg/typed.py" not in found


def test_sources_change_with_contents_only(project: Path) -> None:
    before = Sources(project, "pkg").of("draw")
    (project / "src/pkg/figures.py").touch()
    assert Sources(project, "pkg").of("draw") == before
    with (project / "src/pkg/figures.py").open("a") as file:
        file.write("# changed\n")
    after = Sources(project, "pkg").of("draw")
    assert {name for name in before if before[name] != after[name]} == {"src/pkg/figures.py"}


def test_init_with_code_of_its_own_counts(project: Path) -> None:
    with (project / "src/pkg/meta/__init__.py").open("a") as file:
        file.write("from pkg import unstable\nunstable.setting = 1\n")
    (project / "src/pkg/unstable.py").write_text("")
    assert {"src/pkg/meta/__init__.py", "src/pkg/unstable.py"} <= set(Sources(project, "pkg").of("train"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from pkg import kit\nkit.one()\n", {"one"}),
        ("from pkg import kit as tools\ntools.one(tools.two)\n", {"one", "two"}),
        ("from pkg.kit import second\n", {"two"}),
        ("from pkg.kit import *\n", {"one", "two"}),
        ("from pkg import kit\nkit.one()\nuse(kit)\n", {"one", "two"}),
        ("import pkg.kit\n", {"one", "two"}),
        ("from pkg.kit import one\n", {"one"}),
    ],
)
def test_only_the_used_names_of_a_gathering_package_count(code: str, expected: set[str], project: Path) -> None:
    (project / "src/pkg/kit").mkdir()
    (project / "src/pkg/kit/__init__.py").write_text(
        '"""A kit."""\n\nfrom pkg.kit.one import one\nfrom .two import two as second\nfrom .two import two\n\n'
        '__all__ = ["one", "second", "two"]\n'
    )
    for name in ("one", "two"):
        (project / f"src/pkg/kit/{name}.py").write_text(f"def {name}(): ...\n")
    (project / "workflow/scripts/use.py").write_text(code)
    assert {Path(name).stem for name in Sources(project, "pkg").of("use")} == {"use", *expected}


def test_versions_are_those_of_the_environment_and_the_package() -> None:
    versions = Sources(ROOT).versions("figures")
    pins = yaml.safe_load((ROOT / "envs/figures.yaml").read_text(encoding="utf-8"))["dependencies"]
    assert {f"{name} {pin}" for name, pin in versions.items() if name != "metalqr"} == set(pins)
    assert versions["metalqr"] == metalqr.__version__


def test_every_rule_has_the_versions_of_its_environment() -> None:
    found = []
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        environments = re.findall(r'envs/(\w+)\.yaml"', text)
        assert re.findall(r'versions=sources\.versions\("(\w+)"\)', text) == environments, path.name
        found += environments
    assert len(found) == len([path for path in Sources(ROOT).scripts.glob("*.py") if path.stem != "stage"])


def test_sources_of_the_scripts() -> None:
    """What must not start the runs again is not among their sources, and the other way round."""
    sources = Sources(ROOT)
    reached = {path.stem: set(sources.of(path.stem)) for path in sources.scripts.glob("*.py") if path.stem != "stage"}
    assert all("workflow/scripts/stage.py" in files for files in reached.values())
    with_rollout = {script for script, files in reached.items() if "src/metalqr/rollout.py" in files}
    with_figures = {script for script, files in reached.items() if "src/metalqr/figures/style.py" in files}
    assert with_rollout == {"train_policy", "measure_estimation_error", "check_stability"}
    assert with_figures == {script for script in reached if script.startswith("draw_")}
    assert {name for name, files in reached.items() if "src/metalqr/theory/audit.py" in files} == {"audit_theory"}
    assert {"src/metalqr/random.py", "src/metalqr/estimators.py", "src/metalqr/settings.py"} <= reached["train_policy"]
    assert (
        not {f"src/metalqr/optimal/{name}.py" for name in ("shared", "stabilising", "descent", "meta_optimum")}
        & reached["train_policy"]
    )
    with_datasets = {script for script, files in reached.items() if "src/metalqr/storage/experiments.py" in files}
    assert with_datasets == {"collect_dataset", "draw_curves", "draw_hyperparameters", "summarise_experiment"}


def test_the_examples_of_the_documentation_are_accepted(config: dict[str, Any]) -> None:
    """Each YAML block of docs/configuration.md, laid over config.yaml as Snakemake does it."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    assert len(examples) == 2
    for example in examples:
        overlaid = copy.deepcopy(config)
        update_config(overlaid, example)
        plan = Plan(overlaid)
        (name,) = (name for name, block in example["experiments"].items() if block is not None)
        count = {"short_rollouts": 30, "pendulum": 3}[name]
        assert len(plan.run_files(name)) == count

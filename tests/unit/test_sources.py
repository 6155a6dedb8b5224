"""The digests of source files that decide what runs again."""

import re
from pathlib import Path

import pytest
import yaml
from places import ROOT

import metalqr
from metalqr.config.registries import estimators, methods, update_rules
from pipeline import Sources

SCRIPTS = sorted({path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")} - {"stage", "evaluating"})
FILES = {
    "workflow/scripts/draw.py": "from helper import tool\nfrom metalqr import figures\nimport numpy\n",
    "workflow/scripts/train.py": "from helper import tool\nfrom metalqr import Tasks\nimport metalqr.meta\n",
    "workflow/scripts/helper.py": "tool = 1\n",
    "src/metalqr/__init__.py": "if TYPE_CHECKING:\n    from metalqr.base import Tasks\n",
    "src/metalqr/base.py": "class Tasks: ...\n",
    "src/metalqr/figures.py": "from metalqr.meta.deep import x\nif TYPE_CHECKING:\n    import metalqr.typed\n",
    "src/metalqr/typed.py": "",
    "src/metalqr/config/settings.py": "",
    "src/metalqr/meta/__init__.py": "from metalqr.meta.training import train\n",
    "src/metalqr/meta/training.py": "from metalqr.rollout import run\nfrom metalqr.meta import deep\n",
    "src/metalqr/meta/deep.py": "def f():\n    from metalqr.late import y\n",
    "src/metalqr/meta/unused.py": "",
    "src/metalqr/rollout.py": "try: ...\nexcept OSError:\n    from metalqr.failure import worded\n",
    "src/metalqr/failure.py": "",
    "src/metalqr/late.py": "",
    "src/metalqr/kit/__init__.py": "from metalqr.kit.one import one\nfrom metalqr.kit.two import two as second\n",
    "src/metalqr/kit/one.py": "",
    "src/metalqr/kit/two.py": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("train", {"train", "helper", "base", "training", "rollout", "deep", "late"}),
        ("draw", {"draw", "helper", "figures", "deep", "late"}),
    ],
)
def test_every_kind_of_import_is_followed(script: str, expected: set[str], project: Path) -> None:
    assert {Path(name).stem for name in Sources(project).of(script)} == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from metalqr.kit import one", {"one"}),
        ("from metalqr.kit import second as other", {"two"}),
        ("from metalqr.kit import *", {"one", "two"}),
        ("from metalqr import kit", {"one", "two"}),
        ("import metalqr.kit", {"one", "two"}),
        ("import metalqr.kit.two", {"two"}),
    ],
)
def test_a_name_of_a_package_counts_as_its_module(code: str, expected: set[str], project: Path) -> None:
    (project / "workflow/scripts/use.py").write_text(code)
    assert {Path(name).stem for name in Sources(project).of("use")} == {"use", *expected}


def test_contents_alone_change_a_digest(project: Path) -> None:
    before, path = Sources(project).of("draw"), project / "src/metalqr/figures.py"
    path.touch()
    assert Sources(project).of("draw") == before
    path.write_text("# changed\n" + path.read_text())
    after = Sources(project).of("draw")
    assert {name for name in before if before[name] != after[name]} == {"src/metalqr/figures.py"}


def test_plugins_of_a_job_count_but_not_the_config(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """So a new setting, which is a field in `config`, makes nothing stale."""
    mine = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    mine.write_text("from metalqr.late import y\nimport metalqr.config.settings\n")
    unused = "src/metalqr/meta/unused.py"
    sources = Sources(project)
    assert sources.of("draw", [mine]).keys() - sources.of("draw").keys() == {"mine.py"}
    assert sources.of("draw", [project / unused]).keys() - sources.of("draw").keys() == {unused}


def test_plugins_of_the_same_name_count_both(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = [tmp_path_factory.mktemp("elsewhere") / "mine.py" for _ in range(2)]
    found = set()
    for contents in (("a = 1", "b = 1"), ("a = 2", "b = 1"), ("a = 1", "b = 2")):
        for path, content in zip(files, contents, strict=True):
            path.write_text(content)
        found.add(Sources(project).of("draw", files)["mine.py"])
    assert len(found) == 3


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
        assert re.findall(r'sources\.params\(\s*"(\w+)"', text) == environments, path.name
        found += environments
    assert len(found) == len(SCRIPTS)


@pytest.mark.slow
def test_scripts_depend_on_what_they_use_alone() -> None:
    """An edit beside the critical path must not plan training again, and the other way round."""
    plugins = [estimators.get("one_point").source, methods.get("zeroth_order_maml").source]
    plugins.append(update_rules.get("gradient").source)
    reached = {name: Sources(ROOT).of(name, plugins if name == "train_policy" else ()) for name in SCRIPTS}

    def reaching(file: str) -> set[str]:
        return {script for script, files in reached.items() if any(name.endswith(file) for name in files)}

    assert reaching("scripts/stage.py") == set(SCRIPTS)
    assert reaching("/__init__.py") == set()
    assert reaching("simulation/lqr_rollouts.py") == {
        "train_policy", "measure_estimation_error", "check_stability", "evaluate_trained", "evaluate_comparators",
        "predict",
    }  # fmt: skip
    assert reaching("figures/style.py") == {"draw"}
    assert reaching("theory/auditing.py") == reaching("results/theory.py") == {"audit_theory"}
    assert reaching("results/datasets.py") == {"collect_dataset", "join_predictions"}
    assert "run_exact_methods" in reaching("methods/gauss_newton.py")
    assert {"run_exact_methods", "train_policy"} <= reaching("updates/gradient.py")
    assert reaching("updates/adam.py") == set()
    assert {"src/metalqr/simulation/streams.py", "src/metalqr/estimators/meta.py"} <= reached["train_policy"].keys()
    for package in ("optimal", "theory", "reporting", "evaluation", "config"):
        assert not [name for name in reached["train_policy"] if name.startswith(f"src/metalqr/{package}/")]

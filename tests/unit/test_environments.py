"""One set of versions: pyproject.toml, the two locks and envs/*.yaml, and what the code imports, agree."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from places import ROOT

PACKAGE = ROOT / "src" / "metalqr"
LOCK, BENCH_LOCK = ROOT / "requirements.lock", ROOT / "requirements-bench.lock"
#: The dependency group that only `make bench` installs, from a lock of its own.
BENCH_GROUP = "bench"
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))

# Conda names that differ from PyPI's.
PYPI_NAMES = {"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
# Import names that differ from the distribution's; pydantic_core is pydantic's other half, pinned by it to one version.
DISTRIBUTIONS = {"yaml": "pyyaml", "pydantic_core": "pydantic"}
# Installed for a library that finds it by itself: the netCDF engine and the tables of xarray.
FOUND_BY_XARRAY = {"netcdf4", "pandas"}

PLATFORMS = [
    {
        "sys_platform": platform,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    for platform, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
    for python in ("3.11", "3.12", "3.13")
]


def project() -> dict[str, Any]:
    """Return what pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked_requirements(lock: Path = LOCK) -> list[tuple[Requirement, list[str]]]:
    """Return every entry of a lock with its hashes."""
    text = lock.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    entries = []
    for words in lines:
        hashes = [word for word in words if word.startswith("--hash=")]
        entries.append((Requirement(" ".join(word for word in words if word not in hashes)), hashes))
    return entries


def locked_versions(lock: Path = LOCK) -> dict[str, str]:
    """Return the version of every package in a lock, which must be one for all platforms."""
    versions: dict[str, str] = {}
    for requirement, _ in locked_requirements(lock):
        pins = list(requirement.specifier)
        assert len(pins) == 1, f"{lock.name}: {requirement} is not one version"
        assert pins[0].operator == "==", f"{lock.name}: {requirement} is not pinned"
        name = canonicalize_name(requirement.name)
        assert name not in versions, f"{lock.name}: {name} appears twice"
        versions[name] = pins[0].version
    return versions


def environment_pins(path: Path) -> dict[str, str]:
    """Return the specification of every package of a conda environment, by its name on PyPI."""
    pins: dict[str, str] = {}
    for dependency in yaml.safe_load(path.read_text())["dependencies"]:
        assert isinstance(dependency, str), f"{path.name}: {dependency} does not come from a conda channel"
        name, _, pin = dependency.partition(" ")
        assert PYPI_NAMES.get(name, name) not in pins, f"{path.name}: {name} appears twice"
        pins[PYPI_NAMES.get(name, name)] = pin
    return pins


def imported_distributions(paths: Iterable[Path]) -> set[str]:
    """Return the packages outside the standard library and this repository that Python files import."""

    def modules(tree: ast.AST) -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module

    ours = {"benchmarks", "metalqr", "pipeline", "__main__"} | {
        path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")
    }
    tops = {module.partition(".")[0] for path in paths for module in modules(ast.parse(path.read_text()))}
    return {canonicalize_name(DISTRIBUTIONS.get(top, top)) for top in tops - ours - set(sys.stdlib_module_names)}


def drawing_files() -> set[Path]:
    """Return the files of the package that only the stage figures imports."""
    return set((PACKAGE / "reporting" / "figures").rglob("*.py"))


@pytest.mark.parametrize("lock", [LOCK, BENCH_LOCK], ids=lambda lock: lock.stem)
def test_every_entry_of_a_lock_has_hashes(lock):
    entries = locked_requirements(lock)
    assert entries
    missing = [str(requirement) for requirement, hashes in entries if not hashes]
    assert not missing
    for requirement, hashes in entries:
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("lock", [LOCK, BENCH_LOCK], ids=lambda lock: lock.stem)
def test_a_lock_names_no_index_and_no_path(lock):
    text = lock.read_text()
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|\w+://|@ |^-e|^\s*/", text, re.MULTILINE)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: "-".join(list(p.values())[:3]))
def test_the_locks_satisfy_pyproject_on_every_platform(platform):
    settings = project()
    groups = settings["dependency-groups"]
    wanted = [*settings["project"]["dependencies"], *settings["build-system"]["requires"]]
    wanted += [entry for name, group in groups.items() if name != BENCH_GROUP for entry in group]
    for lock, entries in ((LOCK, wanted), (BENCH_LOCK, groups[BENCH_GROUP])):
        versions = {
            canonicalize_name(requirement.name): next(iter(requirement.specifier)).version
            for requirement, _ in locked_requirements(lock)
            if requirement.marker is None or requirement.marker.evaluate(platform)
        }
        for requirement in map(Requirement, entries):
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{lock.name} lacks {requirement}; run `make lock`"
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{lock.name} has {requirement.name} {version}, pyproject.toml wants {requirement}; run `make lock`"
            )


def test_the_two_locks_have_no_package_in_different_versions():
    versions, more = locked_versions(), locked_versions(BENCH_LOCK)
    assert versions.keys() & more.keys()
    assert {name: more[name] for name in versions.keys() & more.keys() if more[name] != versions[name]} == {}


def test_only_the_benchmarks_need_what_only_they_install():
    added = locked_versions(BENCH_LOCK).keys() - locked_versions().keys()
    imported = imported_distributions((ROOT / "benchmarks").rglob("*.py"))
    declared = {canonicalize_name(Requirement(entry).name) for entry in project()["dependency-groups"][BENCH_GROUP]}
    assert imported - locked_versions().keys() == declared
    others = [path for folder in ("src", "workflow", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert not imported_distributions(others) & added


def test_the_lock_holds_the_versions_that_conda_has_too():
    versions = locked_versions()
    for constraint in map(Requirement, project()["tool"]["uv"]["constraint-dependencies"]):
        assert constraint.specifier.contains(versions[canonicalize_name(constraint.name)]), constraint


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_have_the_versions_of_the_lock(path):
    pins = environment_pins(path)
    python = pins.pop("python")
    assert re.fullmatch(r"=3\.\d+", python), f"{path.name}: python {python}"
    assert SpecifierSet(project()["project"]["requires-python"]).contains(Version(python[1:]))
    versions = locked_versions()
    assert pins == {name: f"=={versions.get(name)}" for name in pins}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_use_no_other_channel(path):
    channels = yaml.safe_load(path.read_text())["channels"]
    expected = ["conda-forge", "bioconda"] if "snakemake" in environment_pins(path) else ["conda-forge"]
    assert channels == [*expected, "nodefaults"]


def test_conda_environments_have_one_python():
    assert len({environment_pins(path)["python"] for path in ENVIRONMENTS}) == 1


def test_every_import_of_the_package_is_a_declared_dependency():
    declared = {canonicalize_name(Requirement(entry).name) for entry in project()["project"]["dependencies"]}
    assert imported_distributions(PACKAGE.rglob("*.py")) <= declared


def test_every_declared_dependency_is_used():
    declared = {canonicalize_name(Requirement(entry).name) for entry in project()["project"]["dependencies"]}
    assert declared <= imported_distributions(PACKAGE.rglob("*.py")) | FOUND_BY_XARRAY


def test_the_environments_of_the_rules_have_what_the_package_imports():
    scripts = set((ROOT / "workflow" / "scripts").glob("*.py"))
    everything = imported_distributions({*PACKAGE.rglob("*.py"), *scripts}) | FOUND_BY_XARRAY
    computing = imported_distributions({*PACKAGE.rglob("*.py"), *scripts} - drawing_files()) | FOUND_BY_XARRAY
    assert computing <= environment_pins(ROOT / "envs" / "compute.yaml").keys()
    assert everything <= environment_pins(ROOT / "envs" / "figures.yaml").keys()


def test_the_environment_of_snakemake_has_what_the_workflow_imports():
    imported = imported_distributions((ROOT / "workflow" / "lib").rglob("*.py"))
    assert imported | {"snakemake"} <= environment_pins(ROOT / "envs" / "snakemake.yaml").keys()


def test_every_rule_names_an_environment_that_exists():
    rules = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    named = {(rule, name) for rule in rules for name in re.findall(r'conda:\s+"([^"]+)"', rule.read_text())}
    assert named
    missing = sorted(f"{rule.name}: {name}" for rule, name in named if not (rule.parent / name).resolve().is_file())
    assert not missing

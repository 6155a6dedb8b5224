"""One set of versions: pyproject.toml, the two locks and envs/*.yaml, and what the code imports, agree."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from itertools import filterfalse
from operator import methodcaller
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
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))

# Conda names that differ from PyPI's.
PYPI_NAMES = {"matplotlib-base": "matplotlib", "ruamel.yaml": "ruamel-yaml", "snakemake-minimal": "snakemake"}
# Import names that differ from the distribution's; pydantic_core is pydantic's other half, pinned by it to one version.
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "ruamel": "ruamel-yaml",
    "pydantic_core": "pydantic",
    "PIL": "pillow",
    "vl_convert": "vl-convert-python",
}
# Installed for a library that finds it by itself: the netCDF engine and the tables of xarray.
FOUND_BY_XARRAY = {"netcdf4", "pandas"}
#: Imported where it is installed, with a message where it is not.
OPTIONAL = {"gymnasium", "h5py"}

PLATFORMS = [
    {"sys_platform": name, "platform_machine": machine, "python_version": python, "python_full_version": f"{python}.0"}
    for name, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
    for python in ("3.11", "3.12", "3.13")
]


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
#: What draws, and needs the extra `figures`.
DRAWING = {path for name in ("figures", "pages") for path in (PACKAGE / "reporting" / name).rglob("*.py")}


def locked(lock: Path = LOCK) -> list[tuple[Requirement, list[str]]]:
    """Every entry of a lock with its hashes."""
    lines = [line.split() for line in lock.read_text().replace("\\\n", " ").splitlines()]
    entries = [words for words in lines if words and not words[0].startswith("#")]
    is_hash = methodcaller("startswith", "--hash=")
    return [(Requirement(" ".join(filterfalse(is_hash, words))), list(filter(is_hash, words))) for words in entries]


def locked_versions(lock: Path = LOCK, platform: dict[str, str] | None = None) -> dict[str, str]:
    """The version of every package in a lock, which must be one for all platforms, or of those for one platform."""
    versions: dict[str, str] = {}
    for requirement, _ in locked(lock):
        if platform and requirement.marker and not requirement.marker.evaluate(platform):
            continue
        (pin,) = requirement.specifier
        name = canonicalize_name(requirement.name)
        assert pin.operator == "==", f"{lock.name}: {requirement} is not pinned"
        assert name not in versions, f"{lock.name}: {name} appears twice"
        versions[name] = pin.version
    return versions


def names(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(entry).name) for entry in requirements}


def environment_pins(path: Path) -> dict[str, str]:
    """The specification of every package of a conda environment, by its name on PyPI."""
    entries = [entry.partition(" ") for entry in yaml.safe_load(path.read_text())["dependencies"]]
    pins = {PYPI_NAMES.get(name, name): pin for name, _, pin in entries}
    assert len(pins) == len(entries), f"{path.name}: a package appears twice"
    return pins


def imported_distributions(paths: Iterable[Path]) -> set[str]:
    """The packages outside the standard library and this repository that Python files import."""
    modules = set()
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    ours = {"benchmarks", "metalqr", "pipeline", "__main__", *(path.stem for path in SCRIPTS)}
    tops = {module.partition(".")[0] for module in modules}
    others = tops - ours - OPTIONAL - set(sys.stdlib_module_names)
    return {canonicalize_name(DISTRIBUTIONS.get(top, top)) for top in others}


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("lock", [LOCK, BENCH_LOCK], ids=stem)
def test_every_entry_of_a_lock_has_hashes_and_none_a_place(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|\w+://|@ |^-e|^\s*/", text, re.MULTILINE)
    for requirement, hashes in locked(lock):
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", value) for value in hashes), requirement


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda each: "-".join(list(each.values())[:3]))
def test_the_locks_satisfy_pyproject_on_every_platform(platform: dict[str, str]) -> None:
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    wanted += [entry for name, group in GROUPS.items() if name != BENCH_GROUP for entry in group]
    wanted += [entry for extra in EXTRAS.values() for entry in extra if Requirement(entry).name != "metalqr"]
    for lock, entries in ((LOCK, wanted), (BENCH_LOCK, GROUPS[BENCH_GROUP])):
        versions = locked_versions(lock, platform)
        for requirement in map(Requirement, entries):
            version = versions.get(canonicalize_name(requirement.name))
            fits = version is not None and requirement.specifier.contains(version, prereleases=True)
            assert fits, f"{lock.name} has {requirement.name} {version}, and {requirement} is wanted; run `make lock`"


def test_the_two_locks_have_no_package_in_different_versions() -> None:
    versions, more = locked_versions(), locked_versions(BENCH_LOCK)
    assert versions.keys() & more.keys()
    assert {name: more[name] for name in versions.keys() & more.keys() if more[name] != versions[name]} == {}


@pytest.mark.slow
def test_only_the_benchmarks_need_what_only_they_install() -> None:
    added = locked_versions(BENCH_LOCK).keys() - locked_versions().keys()
    imported = imported_distributions((ROOT / "benchmarks").rglob("*.py"))
    assert imported - locked_versions().keys() == names(GROUPS[BENCH_GROUP])
    others = [path for folder in ("src", "workflow", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert not imported_distributions(others) & added


def test_the_lock_holds_the_versions_that_conda_has_too() -> None:
    versions = locked_versions()
    for constraint in map(Requirement, PROJECT["tool"]["uv"]["constraint-dependencies"]):
        assert constraint.specifier.contains(versions[canonicalize_name(constraint.name)]), constraint


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=stem)
def test_conda_environments_have_the_versions_of_the_lock_and_no_other_channel(path: Path) -> None:
    pins = environment_pins(path)
    channels = ["conda-forge", "bioconda"] if "snakemake" in pins else ["conda-forge"]
    assert yaml.safe_load(path.read_text())["channels"] == [*channels, "nodefaults"]
    python = pins.pop("python")
    assert python == environment_pins(ENVIRONMENTS[0])["python"], "one Python for all"
    assert re.fullmatch(r"=3\.\d+", python), f"{path.name}: python {python}"
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(Version(python[1:]))
    versions = locked_versions()
    assert pins == {name: f"=={versions.get(name)}" for name in pins}


@pytest.mark.slow
def test_the_dependencies_are_what_the_package_imports() -> None:
    declared = names(PROJECT["project"]["dependencies"])
    imported = imported_distributions({*PACKAGE.rglob("*.py")} - DRAWING)
    assert imported <= declared <= imported | FOUND_BY_XARRAY
    assert imported_distributions(DRAWING) - declared == names(EXTRAS["figures"])


def test_the_pipeline_is_what_draws_and_snakemake() -> None:
    needed = names(EXTRAS["workflow"])
    assert "metalqr[figures]" in EXTRAS["workflow"]
    assert all(name.startswith("snakemake") for name in needed - {"metalqr"})
    assert "snakemake" in needed


@pytest.mark.slow
def test_the_environments_of_the_rules_have_what_the_package_imports() -> None:
    files = {*PACKAGE.rglob("*.py"), *SCRIPTS}
    for name, imported in (("compute", files - DRAWING), ("figures", files)):
        pins = environment_pins(ROOT / "envs" / f"{name}.yaml")
        assert imported_distributions(imported) | FOUND_BY_XARRAY <= pins.keys()


def test_the_environment_of_snakemake_has_what_the_workflow_imports() -> None:
    imported = imported_distributions((ROOT / "workflow" / "lib").rglob("*.py"))
    assert imported | {"snakemake"} <= environment_pins(ROOT / "envs" / "snakemake.yaml").keys()


def test_every_rule_names_an_environment_that_exists() -> None:
    for rule in (ROOT / "workflow" / "rules").glob("*.smk"):
        for name in re.findall(r'conda:\s+"([^"]+)"', rule.read_text()):
            assert (rule.parent / name).is_file(), f"{rule.name}: {name}"

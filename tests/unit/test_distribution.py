"""`make dist`: the sdist has what a clone has; the wheel works with the dependencies that it declares and no others."""

import importlib.metadata as metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numba
import pytest
import xarray as xr
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import ROOT

from metalqr import __version__

pytestmark = pytest.mark.slow

#: What setuptools adds to an sdist.
ADDED = {"PKG-INFO", "setup.cfg"}
#: Needs the extra `figures`.
DRAWING = ("metalqr.reporting.figures", "metalqr.reporting.pages", "metalqr.reporting.systems_page")

CONFIG = """
plugins: [own_estimator.py]
algorithm: {perturbations: 4, inner_perturbations: 4, rollout_length: 6, iterations: 4}
cases:
  bus:
    tasks: {family: bus, speed: {low: 5, high: 15}, count: 3}
    initial_gain: {detuned: 40}
    algorithm: {estimator: running_baseline, baseline_share: 0.8, learning_rate: 1.0e-3, adaptation_rate: 1.0e-4}
experiments: {figure1: {cases: [bus], seeds: [1]}}
only_experiments: [figure1]
theory: {cases: []}
prediction: {experiments: []}
"""

#: The library from Python, and all its modules but those that draw.
PROGRAM = """
import importlib, importlib.util, json, pkgutil
import numpy as np
import metalqr
from metalqr import LQRTasks, MetaSettings, meta

for module in pkgutil.walk_packages(metalqr.__path__, "metalqr."):
    if not module.name.startswith(tuple(DRAWING)):
        importlib.import_module(module.name)
one = np.ones((2, 1, 1))
tasks = LQRTasks(np.array([[[0.9]], [[1.05]]]), one, one, one, one)
settings = MetaSettings(
    learning_rate=1.0e-3, adaptation_rate=1.0e-4, perturbations=4, inner_perturbations=4, rollout_length=6, iterations=4
)
history = meta.train(tasks, np.array([[0.3]]), settings, seed=3)
found = [name for name in ("snakemake", "matplotlib", "altair", "pytest") if importlib.util.find_spec(name)]
print(json.dumps({"home": metalqr.__file__, "ratio": history.ratio.tolist(), "found": found}))
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, of what git has of it, in which `make dist` has run."""
    folder = tmp_path_factory.mktemp("distribution") / "clone"
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a repository of git, as in an sdist")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # one that was removed and not committed yet is listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    before = files_of(folder)
    command = ["make", "--old-file=.venv", f"BIN={Path(sys.executable).parent}", "dist"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path for path in files_of(folder) - before if not path.startswith("dist/")} == set()
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def made(clone: Path, pattern: str) -> Path:
    (path,) = (clone / "dist").glob(pattern)
    return path


def test_the_sdist_has_all_files_of_a_clone(clone: Path) -> None:
    with tarfile.open(made(clone, "*.tar.gz")) as archive:
        members = [member.name.partition("/")[::2] for member in archive.getmembers() if member.isfile()]
    assert {folder for folder, _ in members} == {f"metalqr-{__version__}"}
    packed = {name for _, name in members if not name.startswith("src/metalqr.egg-info/")}
    mine = {name for name in files_of(clone) if not name.startswith("dist/")}
    assert packed == mine | ADDED


def test_the_wheel_made_from_it_has_all_files_of_the_packages_and_the_default_config(clone: Path) -> None:
    with zipfile.ZipFile(made(clone, "*.whl")) as wheel:
        packed = {name for name in wheel.namelist() if not name.startswith(f"metalqr-{__version__}.dist-info/")}
        config = wheel.read("metalqr/config/default.yaml")
    package = files_of(clone / "src")
    assert packed == package | {"metalqr/config/default.yaml"}
    assert config == (ROOT / "config.yaml").read_bytes()


def needed(requirements: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The distributions that these requirements stand for here, with what these need in turn."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [(Requirement(entry), {""}) for entry in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            found[name] = metadata.distribution(name)
            wanted = {"", *requirement.extras}
            waiting += [(Requirement(entry), wanted) for entry in found[name].requires or []]
    return found


@pytest.fixture(scope="module")
def installed(clone: Path) -> Path:
    """The programs of an empty environment with the wheel, and with links to what it declares that it needs."""
    venv = clone.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--quiet", str(made(clone, "*.whl"))], check=True)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (declared,) = metadata.distributions(name="metalqr", path=[str(libraries)])
    links = clone.parent / "links"
    links.mkdir()
    for distribution in needed(declared.requires or []).values():
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (links / top).exists():
                (links / top).symlink_to(Path(str(distribution.locate_file(top))))
    (libraries / "declared.pth").write_text(f"{links}\n")
    return venv / "bin"


def environment() -> dict[str, str]:
    """With the code that this project has compiled before, which depends on the sources and not on their folder."""
    compiled = ROOT / "src" / "metalqr" / "simulation" / "simd" / "__pycache__"
    others = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**others, "NUMBA_CACHE_DIR": numba.config.CACHE_DIR or str(compiled)}


def test_the_library_works_beside_its_dependencies_alone_with_the_numbers_of_the_sources(
    installed: Path, tmp_path: Path
) -> None:
    program = f"DRAWING = {DRAWING}\n{PROGRAM}"
    told = []
    for python in (installed / "python", Path(sys.executable)):
        done = subprocess.run(
            [python, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    wheel, sources = told
    assert Path(wheel["home"]).is_relative_to(installed.parent)
    assert Path(sources["home"]).is_relative_to(ROOT / "src")
    assert wheel["found"] == []
    assert wheel["ratio"] == sources["ratio"]
    assert len(set(wheel["ratio"])) == 5


def test_an_example_runs_from_the_wheel_with_the_numbers_of_the_sources(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "own_estimator.py", tmp_path)
    (tmp_path / "mine.yaml").write_text(CONFIG)
    for program, output in (("metalqr", "wheel.nc"), (None, "sources.nc")):
        command = [installed / program] if program else [sys.executable, "-m", "metalqr.cli"]
        done = subprocess.run(
            [*command, "run", "mine.yaml", "--case", "bus", "--seed", "1", "--output", output],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("bus, seed 1: completed at iteration 4")
    with xr.open_dataset(tmp_path / "wheel.nc") as wheel, xr.open_dataset(tmp_path / "sources.nc") as sources:
        xr.testing.assert_identical(wheel, sources)
        assert wheel.sizes["iteration"] == 5

"""The project on a throw-away cluster: what it makes there, and what the same configs make on this machine alone."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import TINY
from project import Project, copy_sources
from scenarios import LONG, LONGER
from slurm import DAEMONS, PACKAGES, ThrowAwayCluster


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


def made_once(common: Path, name: str, overlay: str, target: str) -> Project:
    """One config, run to the end on this machine by the process that comes first; all share a copy of the project."""
    project = Project(common / "project", common / name, [TINY, common / name / "overlay.yaml"])
    with (common / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not project.root.exists():
            copy_sources(project.root)
    with (common / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A marker, so that what a process has left unfinished is not taken for all.
        finished = project.directory / "finished"
        if not finished.exists():
            Project(project.root, project.directory).overlay(overlay).snakemake(target, "--cores", "2")
            finished.touch()
    return project


@pytest.fixture(scope="session")
def tiny(common: Path) -> Project:
    """Everything of the tiny config, made on this machine."""
    return made_once(common, "tiny", "{}\n", "all")


@pytest.fixture(scope="session")
def long(common: Path) -> Project:
    """The config with one long run, made on this machine as far as its dataset."""
    return made_once(common, "long", LONG, "datasets")


@pytest.fixture(scope="session")
def longer(common: Path) -> Project:
    """The config with one run of a minute, made on this machine as far as its dataset."""
    return made_once(common, "longer", LONGER, "datasets")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThrowAwayCluster]:
    """A cluster for one test, which Snakemake finds by its environment variables."""
    missing = [daemon for daemon in DAEMONS if not shutil.which(daemon, path="/usr/sbin:/sbin:/usr/bin")]
    assert not missing, f"no {', '.join(missing)}: install {', '.join(PACKAGES)}"
    with ThrowAwayCluster() as running:
        for name in ("PATH", "SLURM_CONF"):
            monkeypatch.setenv(name, running.environment[name])
        yield running

"""A copy of the project for the tests of the workflow, and what the tiny config makes there."""

import fcntl
import os
import shutil

import pytest
from project import Project, copy_sources


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that has made nothing."""
    folder = tmp_path_factory.mktemp("workflow")
    copy_sources(folder / "project")
    return Project(folder / "project", folder / "made")


@pytest.fixture(scope="session")
def finished(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny config, run to the end once for all processes of the tests. Tests that change its results copy them."""
    folder = tmp_path_factory.getbasetemp()
    shared = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "finished"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            Project(fresh.root, folder / "unfinished").snakemake("--cores", "2")
            (folder / "unfinished").rename(shared)
    shutil.copytree(shared, fresh.directory)
    return fresh

"""A copy of the project for the tests of the workflow, and what the tiny config makes there."""

import shutil

import pytest
from project import PARTS, ROOT, Project


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that has made nothing."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "project").mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / "project" / part, ignore=shutil.ignore_patterns(".snakemake"))
        else:
            shutil.copy2(source, folder / "project" / part)
    return Project(folder / "project", folder / "made")


@pytest.fixture(scope="session")
def finished(fresh: Project) -> Project:
    """The tiny config, run to the end once. Tests that change what it made work on a copy."""
    fresh.snakemake("--cores", "2")
    return fresh

"""A copy of the project for the tests of the workflow, and what the tiny config makes there."""

import pytest
from project import Project, copy_sources


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project that has made nothing."""
    folder = tmp_path_factory.mktemp("workflow")
    copy_sources(folder / "project")
    return Project(folder / "project", folder / "made")


@pytest.fixture(scope="session")
def finished(fresh: Project) -> Project:
    """The tiny config, run to the end once. Tests that change what it made work on a copy."""
    fresh.snakemake("--cores", "2")
    return fresh

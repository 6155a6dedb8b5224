"""Snakemake in the environment of a notebook, a debugging session, and a node of a cluster; folders of any name."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from project import Project, assert_same_results, environment

pytestmark = pytest.mark.slow

ENVIRONMENT = ["MPLBACKEND=module://matplotlib_inline.backend_inline", "NUMBA_DISABLE_JIT=1", "HOME=/proc/none"]


def test_the_environment_of_the_caller_changes_nothing(finished: Project, tmp_path: Path) -> None:
    """Nor do libraries on PYTHONPATH replace those that are installed."""
    module = tmp_path / "module" / "xarray"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("raise SystemExit('xarray of another module')\n")
    command = ["env", "--unset=XDG_CACHE_HOME", *ENVIRONMENT, f"PYTHONPATH={module.parent}"]
    # Not a fork of the tests' server, which has imported xarray already.
    other = replace(finished.copied(tmp_path), prefix=command)
    (run, *_) = (other.directory / "results/runs/d1k1").rglob("seed-1.nc")
    run.unlink()
    # Snakemake makes what lies between two results again only if it is asked for.
    other.snakemake(str(run.relative_to(other.directory)), "results/figures/figure1.pdf", "--cores", "2")
    assert_same_results(other, finished)


def test_every_folder_may_have_spaces_and_what_a_shell_treats_specially(fresh: Project, tmp_path: Path) -> None:
    """The project, its .venv and the results."""
    folder = tmp_path / "it's $HOME & (more)"
    folder.mkdir()
    for name, place in (("project", fresh.root), (".venv", Path(sys.prefix))):
        (folder / name).symlink_to(place)
    other = Project(folder / "project", folder / "made")
    command = [str(folder / ".venv/bin/python"), *other.command("results/tasks/d1k1.nc", "--cores", "1")[1:]]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(other.results()) == ["tasks/d1k1.nc"]


def test_braces_in_the_path_of_the_project_are_refused(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "my {project}").symlink_to(fresh.root)
    printed = Project(tmp_path / "my {project}", tmp_path / "made").snakemake("--dry-run", succeeds=False)
    path = f"{tmp_path}/my {{project}}"
    assert f"{path}: Snakemake reads braces in this path as wildcards; move the project to another folder" in printed

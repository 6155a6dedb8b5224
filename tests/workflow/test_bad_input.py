"""Every row of docs/bad-input.md: the messages there are the ones that a user gets."""

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from bad_input import rows, spoil
from configs import overlaid
from project import Project

from metalqr.config import ConfigError, Plan, check_config

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("overlay", "message"), rows("In the config"))
def test_bad_config(overlay: str, message: str) -> None:
    config = overlaid(overlay)
    before = copy.deepcopy(config)
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    assert caught.value.problems == (message,)
    assert config == before


def test_terminal_shows_the_problems_of_a_config_and_no_traceback(fresh: Project, tmp_path: Path) -> None:
    other = Project(fresh.root, tmp_path, fresh.configs).overlay("seed: -1\nalgorithm: {smoothing_radius: -1}\n")
    printed = other.snakemake("--dry-run", succeeds=False)
    assert (
        "The config has 2 problems:\n  algorithm.smoothing_radius: -1 is not > 0\n  seed: -1 is not >= 0\n"
    ) in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("overlay", "message"), rows("In the tasks"))
def test_bad_tasks(overlay: str, message: str, fresh: Project, tmp_path: Path) -> None:
    other = Project(fresh.root, tmp_path, fresh.configs).overlay(overlay)
    case = re.search(r"case=(\w+)", message)[1]  # type: ignore[index]
    printed = other.snakemake(f"results/optima/{case}.nc", "--cores", "1", succeeds=False)
    assert message in printed.splitlines()
    assert "Traceback" not in printed
    log = tmp_path / re.search(r"\[traceback: (.*)\]$", message)[1]  # type: ignore[index]
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert not (tmp_path / f"results/optima/{case}.nc").exists()
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture(scope="module")
def with_tasks(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Tasks and optima of one case, the optima also kept aside: Snakemake deletes the output of a failed job."""
    project = Project(fresh.root, tmp_path_factory.mktemp("tasks"), fresh.configs)
    project.snakemake("results/optima/d1k1.nc", "--cores", "1")
    shutil.copy2(project.directory / "results/optima/d1k1.nc", project.directory / "optima.nc")
    return project


KINDS = [(row.id, row.values[0]) for row in rows("Files under `results/`")]


@pytest.mark.parametrize(("kind", "message"), KINDS, ids=[kind for kind, _ in KINDS])
def test_bad_file(kind: str, message: str, with_tasks: Project) -> None:
    path = with_tasks.directory / "results/tasks/d1k1.nc"
    good = path.read_bytes()
    try:
        spoil(kind, "tasks", path, {"optima": with_tasks.directory / "optima.nc"})
        printed = with_tasks.snakemake(
            "results/optima/d1k1.nc", "--cores", "1", "--forcerun", "solve_optima", succeeds=False
        )
    finally:
        path.write_bytes(good)
    assert message in printed.splitlines()
    assert "Traceback" not in printed


LATER = [(row.id, *row.values) for row in rows("Files of later stages")]
TARGETS = {
    "solve_meta_optimum": "results/optima/d1k1/adaptation_rate-1e-05.nc",
    "train_policy": "results/runs/d1k1/SETTING/seed-0.nc",
    "collect_dataset": "results/datasets/figure1.nc",
    "draw": "results/figures/OUTPUT.png",
    "tabulate": "results/tables/OUTPUT.md",
}


@pytest.mark.parametrize(("kind", "path", "rule", "message"), LATER, ids=[row[2] for row in LATER])
def test_bad_file_of_a_later_stage(
    kind: str, path: str, rule: str, message: str, finished: Project, tmp_path: Path
) -> None:
    project = finished.copied(tmp_path)
    plan = Plan(overlaid(*(file.read_text(encoding="utf-8") for file in project.configs)))
    setting = plan.run_files("figure1")[0].split("/")[3]
    output = re.search(r"(?:figure|table)=(\w+)", message)
    target = TARGETS[rule].replace("OUTPUT", output[1] if output else "")
    path, target, message = (text.replace("SETTING", setting) for text in (path, target, message))
    spoil(
        kind,
        "meta_optima" if "adaptation_rate" in path else path.split("/")[1],
        project.directory / path,
        {"datasets": project.directory / "results/datasets/figure1.nc"},
    )
    printed = project.snakemake(target, "--cores", "1", succeeds=False)
    assert message in printed.splitlines()
    assert "Traceback" not in printed


# --- the folder ------------------------------------------------------------------------------------------------------

#: Permissions do not hold for root, unless it gives up the right to pass over them.
WITHOUT_RIGHTS = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@contextmanager
def permitted(path: Path, mode: int) -> Iterator[None]:
    """The path with other permissions while the block runs."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        if path.exists():  # Snakemake removes an empty folder
            path.chmod(before)


@pytest.fixture
def restricted(with_tasks: Project, tmp_path: Path) -> Project:
    """A project with tasks whose files are protected by their permissions."""
    secret = tmp_path / "secret"
    secret.touch(mode=0)
    command = [*WITHOUT_RIGHTS, sys.executable, "-c", f"open({str(secret)!r})"]
    if WITHOUT_RIGHTS and (not shutil.which("setpriv") or subprocess.run(command, capture_output=True).returncode == 0):
        pytest.skip("root reads and writes everything here")
    return replace(with_tasks.copied(tmp_path), prefix=WITHOUT_RIGHTS)


FOLDERS = {
    "a read-only `--directory`": (".", 0o555),
    "a read-only `results/`": ("results", 0o555),
    "a read-only folder under `results/`": ("results/tasks", 0o555),
    "an unreadable file": ("results/tasks/d1k1.nc", 0),
    "an unreadable overlay": ("mine.yaml", 0),
}


@pytest.mark.parametrize(("kind", "message"), [(row.id, *row.values) for row in rows("In the folder")])
def test_permission_denied(kind: str, message: str, restricted: Project) -> None:
    place, mode = FOLDERS[kind]
    path = restricted.directory / place
    target = "results/optima/d1k1.nc"
    (restricted.directory / target).unlink(missing_ok=True)
    if place != "results/tasks/d1k1.nc":  # nothing made yet
        shutil.rmtree(restricted.directory / "results")
        shutil.rmtree(restricted.directory / ".snakemake")
        target = "results/tasks/d1k1.nc"
        if "." not in place:
            path.mkdir(parents=True)
    if place == "mine.yaml":
        path.write_text("seed: 1\n")
    with permitted(path, mode):
        if place == "mine.yaml":
            program = "import sys; from metalqr.cli import main; sys.exit(main())"
            command = [*restricted.prefix, sys.executable, "-c", program, "check", place]
            done = subprocess.run(command, cwd=restricted.directory, capture_output=True, text=True, check=False)
            printed = done.stdout + done.stderr
        else:
            printed = restricted.snakemake(target, "--cores", "1", succeeds=False)
    assert message.replace("DIRECTORY", str(restricted.directory)) in [line.strip() for line in printed.splitlines()]
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: 1\nseed: 2\n", "FILE: line 2, column 1: seed: given twice; keep one"),
        ("__use_yte__: true\nseed: 1\n", "FILE: __use_yte__: templates are refused because they run code; write"),
        ("seed:\n\t1\n", "Config file is not valid JSON or YAML."),
    ],
)
def test_terminal_shows_what_is_wrong_with_an_overlay(
    content: str, message: str, fresh: Project, tmp_path: Path
) -> None:
    other = Project(fresh.root, tmp_path, fresh.configs).overlay(content)
    printed = other.snakemake("--dry-run", succeeds=False)
    assert message.replace("FILE", str(other.configs[-1])) in printed
    assert "Traceback" not in printed


def test_broken_config_of_the_project_is_named_with_the_line(fresh: Project, tmp_path: Path) -> None:
    shutil.copytree(fresh.root, tmp_path / "project")
    with (tmp_path / "project/config.yaml").open("a") as file:
        file.write("\tthreads: 2\n")
    lines = (tmp_path / "project/config.yaml").read_text(encoding="utf-8").count("\n")
    printed = Project(tmp_path / "project", tmp_path / "made", fresh.configs).snakemake("--dry-run", succeeds=False)
    assert f"{tmp_path}/project/config.yaml: line {lines}, column 1: a tab; indent with spaces" in printed


def test_config_on_the_command_line_still_counts(fresh: Project, tmp_path: Path) -> None:
    project = Project(fresh.root, tmp_path, fresh.configs)
    printed = project.snakemake("--dry-run", "--config", "seed=-1", succeeds=False)
    assert "seed: -1 is not >= 0" in printed

"""Locks of a Snakemake that was killed, and of one that lives."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from places import ROOT

from pipeline.folder import guard_name

LOCKS = ["0.input.lock", "0.output.lock"]
#: As the Snakefile does it; then it lives until it is killed.
SNAKEMAKE = """
import pathlib, sys, time
from pipeline.folder import remove_stale_locks
print(remove_stale_locks(pathlib.Path(sys.argv[1])), flush=True)
time.sleep(600)
"""
Start = Callable[[], tuple[bool, subprocess.Popen[str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A `.snakemake` as a killed process of this host leaves it."""
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    for name in LOCKS:
        (folder / "locks" / name).write_text("results/tasks/d1k1.nc\n")
    (folder / guard_name()).touch()
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a process that says whether it has removed locks, and lives."""
    with ExitStack() as stack:

        def started() -> tuple[bool, subprocess.Popen[str]]:
            command = [sys.executable, "-c", SNAKEMAKE, str(folder)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT / "workflow" / "lib")
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout
            return process.stdout.readline() == "True\n", process

        yield started


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


@pytest.mark.slow
def test_locks_of_a_killed_process_are_removed_once(folder: Path, start: Start) -> None:
    removed, process = start()
    assert removed
    assert locks(folder) == []
    process.kill()
    process.wait()
    assert not start()[0]


@pytest.mark.slow
def test_locks_of_processes_that_live_stay_until_all_are_killed(folder: Path, start: Start) -> None:
    """The first may live only for a moment, such as a dry run, and the second have locked the folder."""
    processes = [start()[1]]
    for name in LOCKS:
        (folder / "locks" / name).touch()
    for _ in range(2):
        removed, process = start()
        assert not removed
        processes.pop().kill()
        processes.append(process)
    assert locks(folder) == LOCKS
    processes[0].kill()
    processes[0].wait()
    assert start()[0]


def test_locks_stay_where_another_host_has_run(folder: Path, start: Start) -> None:
    (folder / guard_name("another-host")).touch()
    assert not start()[0]
    assert locks(folder) == LOCKS


@pytest.mark.slow
def test_a_folder_that_is_new_or_cannot_be_made_has_no_locks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "new").mkdir()
    for name in ("new", "file"):
        folder = str(tmp_path / name / ".snakemake")
        command = [sys.executable, "-c", SNAKEMAKE.partition("time.sleep")[0], folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "workflow" / "lib")
        assert done.stdout == "False\n"
    assert (tmp_path / "new" / ".snakemake" / guard_name()).exists()

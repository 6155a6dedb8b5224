"""Locks of a Snakemake that was killed, and of one that lives."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from pipeline import locking

#: Takes the guard of the folder, says so, and waits to be killed.
HOLDER = """
import fcntl, os, sys, time
guard = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(guard, fcntl.LOCK_SH)
print("held", flush=True)
time.sleep(600)
"""

THIRD = "import sys, pathlib, pipeline.locking as l; print(l.remove_stale_locks(pathlib.Path(sys.argv[1])))"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.snakemake` as a killed process of this host leaves it."""
    monkeypatch.setattr(locking, "_held", [])
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (folder / "locks" / name).write_text("results/tasks/d1k1.nc\n")
    (folder / locking.guard_name()).touch()
    return folder


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


def release() -> None:
    while locking._held:
        os.close(locking._held.pop())


def test_locks_of_a_killed_process_are_removed(folder: Path) -> None:
    assert locking.remove_stale_locks(folder)
    assert locks(folder) == []
    release()
    assert not locking.remove_stale_locks(folder)
    release()


def test_the_guard_is_held_from_then_on(folder: Path) -> None:
    locking.remove_stale_locks(folder)
    with (folder / locking.guard_name()).open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    release()


def test_locks_of_a_process_that_lives_stay_until_it_is_killed(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder / locking.guard_name()], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not locking.remove_stale_locks(folder)
        assert locks(folder) == ["0.input.lock", "0.output.lock"]
        holder.kill()
    release()
    assert locking.remove_stale_locks(folder)
    release()


def test_a_process_that_began_beside_another_keeps_its_locks(folder: Path) -> None:
    """One that lives only for a moment, such as a dry run, was there first; then it ends, and a third begins."""
    command = [sys.executable, "-c", HOLDER, folder / locking.guard_name()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as dry_run:
        assert dry_run.stdout is not None
        assert dry_run.stdout.readline() == b"held\n"
        assert not locking.remove_stale_locks(folder)  # this process, which goes on to lock the folder
        dry_run.kill()
    third = subprocess.run(
        [sys.executable, "-c", THIRD, folder], capture_output=True, text=True, check=True, cwd=ROOT / "workflow" / "lib"
    )
    assert third.stdout == "False\n"
    assert locks(folder) == ["0.input.lock", "0.output.lock"]
    release()


def test_locks_stay_where_another_host_has_run(folder: Path) -> None:
    (folder / locking.guard_name("another-host")).touch()
    for _ in range(2):
        assert not locking.remove_stale_locks(folder)
        assert locks(folder) == ["0.input.lock", "0.output.lock"]
    release()


def test_a_folder_without_locks_has_none_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "_held", [])
    assert not locking.remove_stale_locks(tmp_path / ".snakemake")
    assert [path.name for path in (tmp_path / ".snakemake").iterdir()] == [locking.guard_name()]
    release()


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not locking.remove_stale_locks(tmp_path / "file" / ".snakemake")

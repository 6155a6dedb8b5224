"""Locks of a Snakemake that was killed, and of one that lives."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import locking

#: Takes the guard of the folder, says so, and waits to be killed.
HOLDER = """
import fcntl, os, sys, time
guard = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(guard, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.snakemake` as a killed process of this host leaves it."""
    monkeypatch.setattr(locking, "_held", [])
    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (folder / "locks" / name).write_text("results/tasks/d1k1.nc\n")
    (folder / locking.GUARD).write_text(socket.gethostname())
    return folder


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


def release() -> None:
    for guard in locking._held:
        os.close(guard)


def test_locks_of_a_killed_process_are_removed(folder: Path) -> None:
    assert locking.remove_stale_locks(folder)
    assert locks(folder) == []
    assert not locking.remove_stale_locks(folder)
    release()


def test_the_guard_is_held_from_then_on(folder: Path) -> None:
    locking.remove_stale_locks(folder)
    with (folder / locking.GUARD).open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    release()


def test_locks_of_a_process_that_lives_stay_until_it_is_killed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder / locking.GUARD], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not locking.remove_stale_locks(folder)
        assert locks(folder) == ["0.input.lock", "0.output.lock"]
        holder.kill()
    assert locking.remove_stale_locks(folder)
    release()


@pytest.mark.parametrize("host", ["", "another-host"])
def test_locks_of_another_host_stay_and_stay_its_own(host: str, folder: Path) -> None:
    (folder / locking.GUARD).write_text(host)
    for _ in range(2):
        assert not locking.remove_stale_locks(folder)
        assert locks(folder) == ["0.input.lock", "0.output.lock"]
        assert (folder / locking.GUARD).read_text() == host
    assert not locking._held


def test_a_folder_without_locks_becomes_this_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "_held", [])
    assert not locking.remove_stale_locks(tmp_path / ".snakemake")
    assert (tmp_path / ".snakemake" / locking.GUARD).read_text() == socket.gethostname()
    release()


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not locking.remove_stale_locks(tmp_path / "file" / ".snakemake")

"""Other bad days: Snakemake alone killed, jobs told to stop, two Snakemakes at a time, a full disk. Nothing is lost.

Every test ends with what an undisturbed run of the same config makes, to the last bit.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xarray as xr
from project import Project, assert_same_results, elsewhere, group_lives, until

pytestmark = pytest.mark.slow

#: Only two runs, which last longer.
TWO = f"""
plugins: [{Path(__file__).with_name("unhurried.py")}]
algorithm: {{method: unhurried, iterations: 5000}}
cases: {{d2k2: null}}
experiments: {{figure1: {{cases: [d1k1], seeds: [0, 1]}}}}
only_experiments: [figure1]
execution: {{checkpoint_seconds: 0.1}}
"""


@pytest.fixture(scope="module")
def two_runs(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runs when nothing happens."""
    project = Project(fresh.root, tmp_path_factory.mktemp("two"), fresh.configs).overlay(TWO)
    project.snakemake("runs", "--cores", "2")
    return project


def test_killed_snakemake_whose_jobs_live_on(two_runs: Project, tmp_path: Path) -> None:
    """Only Snakemake is killed; its jobs go on, and the next Snakemake starts the same jobs beside them."""
    project = elsewhere(two_runs, tmp_path)
    process = project.start("runs", "--cores", "2")
    checkpoints = project.directory / "results" / "checkpoints"
    assert until(lambda: any(checkpoints.glob("*.nc")), process)
    process.kill()
    process.wait(timeout=60)
    printed = project.snakemake("runs", "--cores", "2")
    end = time.monotonic() + 120
    while group_lives(process):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "Removed the locks of an earlier Snakemake that was killed" in printed
    assert_same_results(project, two_runs)


# --- SIGTERM, and Ctrl-C ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_jobs_that_are_told_to_stop_save_and_go_on(kind: signal.Signals, two_runs: Project, tmp_path: Path) -> None:
    """With so long between two saves that only the signal can have saved the state."""
    project = elsewhere(two_runs, tmp_path).overlay("execution: {checkpoint_seconds: 1000}\n")
    process = project.start("runs", "--cores", "2")
    logs = project.directory / "results" / "logs" / "runs"
    assert until(lambda: sum(" of 5000, mean cost" in path.read_text() for path in logs.rglob("*.log")) == 2, process)
    time.sleep(0.5)
    os.killpg(process.pid, kind)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert printed.count(f"InterruptionError: stopped by {kind.name} at iteration") == 2
    assert "run the same command again to resume from it" in printed
    assert len(list((project.directory / "results" / "checkpoints").glob("*.nc"))) == 2
    assert not list((project.directory / "results" / "runs").rglob("*.nc"))
    project.snakemake("runs", "--cores", "2")
    assert all("resuming from iteration" in path.read_text() for path in logs.rglob("*.log"))
    assert_same_results(project, two_runs)


# --- two at a time ---------------------------------------------------------------------------------------------------


def test_a_second_snakemake_is_refused_and_harms_nothing(two_runs: Project, tmp_path: Path) -> None:
    project = elsewhere(two_runs, tmp_path)
    process = project.start("runs", "--cores", "2")
    logs = project.directory / "results" / "logs" / "runs"
    assert until(lambda: any(logs.rglob("*.log")), process)
    printed = project.snakemake("runs", "--cores", "2", succeeds=False)
    assert "Directory cannot be locked." in printed
    assert "It can be removed with the --unlock argument." in printed
    assert "Removed the locks" not in printed
    assert "Traceback" not in printed
    first, _ = process.communicate(timeout=120)
    assert process.returncode == 0, first
    assert_same_results(project, two_runs)


# --- a full disk -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own size at the folder."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here ({mounted.stderr.strip()}); it needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(two_runs: Project, tmp_path: Path) -> None:
    # No states are saved on the way: how many there would be, and when, depends on the speed of the machine.
    project = elsewhere(two_runs, tmp_path).overlay("execution: {checkpoint_seconds: 600}\n")
    disk = project.directory / "results"
    # Room for one run, which is 0.2 MB, and not for another beside it.
    with small_disk(disk, "400k"):
        printed = project.snakemake("runs", "--cores", "1", succeeds=False)
        assert "StorageError: results/runs/d1k1/" in printed
        assert "cannot be written (no space left on its disk: " in printed
        assert "no partial file was left behind; check" in printed
        assert "Traceback" not in printed
        (finished,) = disk.glob("runs/**/*.nc")
        xr.load_dataset(finished)
        assert not list(disk.rglob("*.tmp"))
        before = finished.stat().st_mtime_ns
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        project.snakemake("runs", "--cores", "1")
        assert finished.stat().st_mtime_ns == before
        assert_same_results(project, two_runs)

"""Bad days: jobs and Snakemake itself killed, a full disk, two Snakemakes at a time. Nothing is lost or half written.

Every test ends with what an undisturbed run of the same config makes, to the last bit.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xarray as xr
from project import Project, assert_same_results, group_lives, kill_group

from metalqr import atomic, storage

pytestmark = pytest.mark.slow

#: Runs that last some seconds, with a state to go on from at almost any moment.
LONG = """
algorithm: {iterations: 16000}
experiments: {figure1: {seeds: [0]}, perturbations: null}
execution: {checkpoint_seconds: 0.1}
"""
#: Only two runs, which last longer.
TWO = """
algorithm: {iterations: 16000}
cases: {d2k2: null}
experiments: {figure1: {cases: [d1k1], seeds: [0, 1]}, perturbations: null, learning_rate: null}
execution: {checkpoint_seconds: 0.1}
"""


@pytest.fixture(scope="module")
def undisturbed(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the long config makes when nothing happens."""
    project = Project(fresh.root, tmp_path_factory.mktemp("undisturbed"), fresh.configs).overlay(LONG)
    project.snakemake("--cores", "2")
    return project


@pytest.fixture(scope="module")
def two_runs(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runs when nothing happens."""
    project = Project(fresh.root, tmp_path_factory.mktemp("two"), fresh.configs).overlay(TWO)
    project.snakemake("runs", "--cores", "2")
    return project


def elsewhere(project: Project, folder: Path) -> Project:
    """The same project and config, with nothing made."""
    return Project(project.root, folder / "made", project.configs)


def assert_whole(project: Project) -> None:
    """Every file under its own name can be read to its end."""
    for path in project.results().values():
        if path.suffix == ".nc":
            with xr.open_datatree(path) as tree:
                tree.load()


def until(happens: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120.0) -> bool:
    """Wait until a condition holds; false if the process has ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    raise TimeoutError(f"nothing happened within {seconds} s")


def written_since(moment: float, folder: Path, pattern: str) -> bool:
    """Whether a file of this pattern has been written since then."""
    with contextlib.suppress(FileNotFoundError):  # a job may remove one meanwhile
        return any(path.stat().st_mtime >= moment for path in folder.rglob(pattern))
    return False


# --- SIGKILL ---------------------------------------------------------------------------------------------------------


def test_killed_ten_times_while_training(undisturbed: Project, tmp_path: Path) -> None:
    project = elsewhere(undisturbed, tmp_path)
    moments = random.Random(1)
    checkpoints, logs = (project.directory / "results" / name for name in ("checkpoints", "logs/runs"))
    resumed = 0
    for _ in range(10):
        begin = time.time()
        process = project.start("runs", "--cores", "2")
        saved = until(lambda begin=begin: written_since(begin, checkpoints, "*.nc"), process)
        time.sleep(moments.uniform(0.0, 0.4))
        kill_group(process)
        assert saved
        assert_whole(project)
        resumed += sum("going on from iteration" in path.read_text() for path in logs.rglob("*.log"))
    project.snakemake("--cores", "2")
    assert_same_results(project, undisturbed)
    # Every start after the first finds a state to go on from, but may begin with the jobs of other runs.
    assert resumed >= 5


def test_killed_six_times_while_gathering_and_drawing(undisturbed: Project, tmp_path: Path) -> None:
    project = elsewhere(undisturbed, tmp_path)
    shutil.copytree(undisturbed.directory, project.directory)
    moments = random.Random(2)
    logs = project.directory / "results" / "logs" / "datasets"
    for _ in range(6):
        for stage in ("datasets", "figures", "tables"):
            shutil.rmtree(project.directory / "results" / stage, ignore_errors=True)
        begin = time.time()
        process = project.start("--cores", "2")
        assert until(lambda begin=begin: written_since(begin, logs, "*.log"), process)
        time.sleep(moments.uniform(0.0, 5.0))
        kill_group(process)
        assert_whole(project)
    project.snakemake("--cores", "2")
    assert_same_results(project, undisturbed)


#: Writes a run again and again, two kinds in turn.
WRITER = """
import itertools, sys
import numpy as np
from metalqr import storage
from metalqr.meta import History, Status

entries = 200_001
noise = np.random.default_rng(0).normal(size=entries)
counts = np.arange(entries)
for turn in itertools.count():
    ratio = counts + float(turn % 2)
    history = History(
        noise[:, None, None], noise[:, None], ratio, noise, counts, counts, Status.COMPLETED, entries - 1
    )
    storage.save_run(sys.argv[1], history, {}, 0, case="one")
"""


def test_killed_four_times_while_writing(tmp_path: Path) -> None:
    moments = random.Random(3)
    path = tmp_path / "run.nc"
    interrupted = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], start_new_session=True, text=True)
        begin = time.time()
        written = until(lambda begin=begin: written_since(begin, tmp_path, "run.nc"), writer)
        time.sleep(moments.uniform(0.0, 0.5))
        writer.kill()
        writer.wait()
        assert written
        run = storage.load_run(path, "one")
        assert {*(run["ratio"] - run["rollout_steps"]).values} in ({0.0}, {1.0})
        interrupted += bool(list(tmp_path.glob(".run.nc.*.tmp")))
        atomic.discard_leftovers(path)
        assert [other.name for other in tmp_path.iterdir()] == ["run.nc"]
    assert interrupted >= 1


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
    """With so long between two checkpoints that only the signal can have saved the state."""
    project = elsewhere(two_runs, tmp_path).overlay("execution: {checkpoint_seconds: 1000}\n")
    process = project.start("runs", "--cores", "2")
    logs = project.directory / "results" / "logs" / "runs"
    assert until(lambda: sum(" of 16000, ratio" in path.read_text() for path in logs.rglob("*.log")) == 2, process)
    time.sleep(0.5)
    os.killpg(process.pid, kind)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert printed.count(f"InterruptionError: stopped by {kind.name} at iteration") == 2
    assert "run the same command again, it goes on from there" in printed
    assert len(list((project.directory / "results" / "checkpoints").glob("*.nc"))) == 2
    assert not list((project.directory / "results" / "runs").rglob("*.nc"))
    project.snakemake("runs", "--cores", "2")
    assert all("going on from iteration" in path.read_text() for path in logs.rglob("*.log"))
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
    project = elsewhere(two_runs, tmp_path)
    disk = project.directory / "results"
    # Room for one run, which is 0.9 MB, and not for the state of another beside it.
    with small_disk(disk, "1600k"):
        printed = project.snakemake("runs", "--cores", "1", succeeds=False)
        assert "StorageError: results/runs/d1k1/" in printed
        assert "cannot be written (no space left on its disk: " in printed
        assert "nothing was left half written there; check" in printed
        assert "Traceback" not in printed
        (finished,) = disk.glob("runs/**/*.nc")
        xr.load_dataset(finished)
        assert not list(disk.rglob("*.tmp"))
        before = finished.stat().st_mtime_ns
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        project.snakemake("runs", "--cores", "1")
        assert finished.stat().st_mtime_ns == before
        assert_same_results(project, two_runs)

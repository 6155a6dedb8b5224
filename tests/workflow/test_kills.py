"""Bad days: jobs and Snakemake itself killed at any moment. Nothing is lost or half written.

Every test ends with what an undisturbed run of the same config makes, to the last bit.
"""

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import xarray as xr
from project import Project, assert_same_results, elsewhere, kill_group, until

from metalqr import results
from metalqr.common import atomic

pytestmark = pytest.mark.slow

#: Runs that last some seconds, with a state to go on from at almost any moment.
LONG = f"""
plugins: [{Path(__file__).with_name("unhurried.py")}]
algorithm: {{method: unhurried, iterations: 3000}}
experiments: {{figure1: {{seeds: [0]}}}}
only_experiments: [figure1, learning_rate]
execution: {{checkpoint_seconds: 0.1}}
"""


@pytest.fixture(scope="module")
def undisturbed(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the long config makes when nothing happens."""
    project = Project(fresh.root, tmp_path_factory.mktemp("undisturbed"), fresh.configs).overlay(LONG)
    project.snakemake("--cores", "2")
    return project


def moments(count: int, longest: float, seed: int) -> Iterator[float]:
    """Random times to wait, one from each of so many equal parts of the longest."""
    generator = random.Random(seed)
    return (longest * (part + generator.random()) / count for part in range(count))


def assert_whole(project: Project) -> None:
    """Every file under its own name can be read to its end."""
    for path in project.results().values():
        if path.suffix == ".nc":
            with xr.open_datatree(path) as tree:
                tree.load()


def written_since(moment: float, folder: Path, pattern: str) -> bool:
    """Whether a file of this pattern has been written since then."""
    with contextlib.suppress(FileNotFoundError):  # a job may remove one meanwhile
        return any(path.stat().st_mtime >= moment for path in folder.rglob(pattern))
    return False


def test_killed_five_times_while_training(undisturbed: Project, tmp_path: Path) -> None:
    project = elsewhere(undisturbed, tmp_path)
    checkpoints, logs = (project.directory / "results" / name for name in ("checkpoints", "logs/runs"))
    # The last kill follows a save at once, so that it certainly leaves a state to go on from.
    for moment in (*moments(4, 0.4, seed=1), 0.0):
        begin = time.time()
        process = project.start("runs", "--cores", "2")
        saved = until(partial(written_since, begin, checkpoints, "*.nc"), process)
        time.sleep(moment)
        kill_group(process)
        assert saved
        assert_whole(project)
    left = {path.stem for path in checkpoints.glob("*.nc")}
    project.snakemake("--cores", "2")
    assert_same_results(project, undisturbed)
    assert left
    assert left <= {name_of_run(path, logs) for path in logs.rglob("*.log") if "resuming from iter" in path.read_text()}


def name_of_run(log: Path, logs: Path) -> str:
    """The name of a run's saved state, from the path of its log."""
    return ".".join(log.relative_to(logs).with_suffix("").parts)


def test_killed_three_times_while_gathering_and_drawing(undisturbed: Project, tmp_path: Path) -> None:
    project = undisturbed.copied(tmp_path)
    logs = project.directory / "results" / "logs" / "datasets"
    for moment in moments(3, 5.0, seed=2):
        for stage in ("datasets", "figures", "tables"):
            shutil.rmtree(project.directory / "results" / stage, ignore_errors=True)
        begin = time.time()
        process = project.start("--cores", "2")
        assert until(partial(written_since, begin, logs, "*.log"), process)
        time.sleep(moment)
        kill_group(process)
        assert_whole(project)
    project.snakemake("--cores", "2")
    assert_same_results(project, undisturbed)


#: Writes a run again and again, two kinds in turn.
WRITER = """
import itertools, sys
import numpy as np
from metalqr import results
from metalqr.training import History, Status

entries = 200_001
noise = np.random.default_rng(0).normal(size=entries)
counts = np.arange(entries)
for turn in itertools.count():
    norm = counts + float(turn % 2)
    history = History(noise[:, None, None], noise[:, None], norm, counts, counts, Status.COMPLETED, entries - 1)
    results.save(sys.argv[1], history.to_dataset({}, 0, case="one", perturbed_policies=1))
"""


def test_killed_four_times_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    interrupted = 0
    for moment in moments(4, 0.5, seed=3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], start_new_session=True, text=True)
        begin = time.time()
        written = until(partial(written_since, begin, tmp_path, "run.nc"), writer)
        time.sleep(moment)
        writer.kill()
        writer.wait()
        assert written
        run = results.load_run(path, "one")
        assert {*(run["gradient_norm"] - run["rollout_steps"]).values} in ({0.0}, {1.0})
        interrupted += bool(list(tmp_path.glob(".run.nc.*.tmp")))
        atomic.discard_leftovers(path)
        assert [other.name for other in tmp_path.iterdir()] == ["run.nc"]
    assert interrupted >= 1

"""Training on resampled tasks through the pipeline: what it makes again, and what a kill leaves."""

from pathlib import Path

import numpy as np
import pytest
from project import Project, assert_same_results, elsewhere, kill_group, until

from metalqr.results import load_experiment

pytestmark = pytest.mark.slow

CONFIG = f"""
plugins: [{Path(__file__).with_name("unhurried.py")}]
algorithm: {{method: unhurried, pause: 2.0e-3, iterations: 1000}}
cases: {{d2k2: {{tasks: {{resample: %s}}}}}}
experiments: {{figure1: {{cases: [d1k1, d2k2], seeds: [0]}}}}
only_experiments: [figure1]
execution: {{checkpoint_seconds: 0.1}}
"""
DATASET = "results/datasets/figure1.nc"


def test_resampling_makes_its_case_again_and_survives_a_kill(fresh: Project, tmp_path: Path) -> None:
    # In a folder of its own: that of `fresh` may have the results of other tests already.
    project = Project(fresh.root, tmp_path / "made", fresh.configs).overlay(CONFIG % "each_iteration")
    process = project.start(DATASET, "--cores", "1")
    folder = project.directory / "results" / "checkpoints"
    assert until(lambda: any(folder.glob("d2k2.*.nc")), process), process.communicate()
    kill_group(process)
    assert not (project.directory / DATASET).exists()
    project.snakemake(DATASET, "--cores", "1")
    other = elsewhere(project, tmp_path / "other")
    other.snakemake(DATASET, "--cores", "2", "--set-threads", "train_policy=2")
    assert_same_results(project, other)
    found = load_experiment(project.directory / DATASET, "figure1")
    assert found["d2k2"].to_dataset()["redrawn_tasks"].values.tolist() == [0.0]
    assert "redrawn_tasks" not in found["d1k1"]
    assert project.planned(DATASET) == {}

    resampled = found["d2k2"].to_dataset()["K_last"].values
    usual = project.overlay(CONFIG % "never")
    again = usual.planned(DATASET)
    assert again["generate_tasks"] == ["results/tasks/d2k2.nc"]
    assert [Path(run).parts[2] for run in again["train_policy"]] == ["d2k2"]
    usual.snakemake(DATASET, "--cores", "1")
    usual_gains = load_experiment(project.directory / DATASET)["d2k2"].to_dataset()["K_last"].values
    assert not np.array_equal(usual_gains, resampled)

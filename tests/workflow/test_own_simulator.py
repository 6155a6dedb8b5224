"""A case with a simulator of one's own beside a case with a model, through the pipeline."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from places import ROOT
from project import Project

from metalqr.results.datasets import load_experiment

pytestmark = pytest.mark.slow

TANKS = """
only_experiments: [tanks, lengths]
theory: {cases: all}
prediction: {experiments: all}
cases:
  tank:
    simulator:
      path: own_simulator.py:Tank
      tasks: [{leak: 0.1}, {leak: 0.3}]
      state_dim: 1
      action_dim: 1
      evaluation_rollouts: 4
      evaluation_length: 20
    initial_gain: [[0.2]]
  d1k1: {theory: false}
experiments:
  tanks: {cases: [d1k1, tank], seeds: [0, 1]}
  lengths: {cases: [tank], seeds: [0], sweep: {rollout_length: [4, 8]}}
algorithm: {method: mean_cost, estimator: two_point, learning_rate: 0.05, adaptation_rate: 0.0, rollout_length: 8}
"""


@pytest.fixture(scope="module")
def tanks(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Both cases, run to the end."""
    folder = tmp_path_factory.mktemp("tanks")
    shutil.copy(ROOT / "examples" / "own_simulator.py", folder)
    (folder / "tanks.yaml").write_text(TANKS)
    project = Project(fresh.root, folder / "made", [*fresh.configs, folder / "tanks.yaml"])
    printed = project.snakemake("--cores", "2")
    assert "Warning: tank has a simulator and no model" in printed
    return project


def test_stages_that_need_a_model_have_the_other_case_alone(tanks: Project) -> None:
    made = {str(path.relative_to(tanks.directory)) for path in tanks.results().values()}
    assert "results/optima/d1k1.nc" in made
    assert not [path for path in made if "optima/tank" in path or "predictions/tank/" in path]
    assert {"results/figures/tanks.pdf", "results/figures/hyperparameters.pdf", "results/tables/tanks.csv"} <= made
    tree = load_experiment(tanks.directory / "results/datasets/tanks.nc", "tanks")
    assert not {"ratio", "J_star", "J_shared", "J0"} & set(tree["tank"].variables)
    assert "cost_error" not in tree["d1k1"].variables
    error, cost = tree["tank"]["cost_error"], tree["tank"]["cost"]
    assert error.dims == cost.dims == ("seed", "iteration", "task")
    assert bool((error > 0.0).all())
    with xr.open_dataset(next((tanks.directory / "results/runs/tank").rglob("seed-1.nc"))) as run:
        assert np.isin(run["cost"].values, cost.values).all()


def test_tables_have_measured_costs_and_no_floor(tanks: Project) -> None:
    table = pd.read_csv(tanks.directory / "results/tables/tanks.csv").set_index("case")
    tree = load_experiment(tanks.directory / "results/datasets/tanks.nc", "tanks")
    tank = table.loc["tank"]
    assert tank[["first_ratio", "final_ratio", "floor_ratio"]].isna().all()
    final = tree["tank"]["cost"].isel(iteration=-1).mean("task")
    assert_allclose(tank["final_cost"], float(final.median()), rtol=1e-6)
    assert tank["final_cost_error"] > 0.0
    assert table.loc["d1k1"][["first_cost", "final_cost", "final_cost_error"]].isna().all()
    assert table.loc["d1k1"]["floor_ratio"] > 0.0


def test_an_edit_of_the_simulator_makes_its_runs_again_and_no_others(tanks: Project) -> None:
    assert tanks.planned() == {}
    file = tanks.directory.parent / "own_simulator.py"
    before = file.read_text()
    try:
        file.write_text(before.replace("0.1 * u**2", "0.2 * u**2"))
        planned = tanks.planned("datasets")
    finally:
        file.write_text(before)
    assert len(planned["train_policy"]) == 3  # one point of the sweep is a run of the other experiment
    assert all("/tank/" in path for path in planned["train_policy"])
    assert planned["generate_tasks"] == ["results/tasks/tank.nc"]


def test_a_simulator_that_fails_is_named_and_nothing_is_left(tanks: Project, tmp_path: Path) -> None:
    project = tanks.copied(tmp_path / "made")
    shutil.copy(tanks.configs[-1], tmp_path)
    text = (ROOT / "examples" / "own_simulator.py").read_text()
    (tmp_path / "own_simulator.py").write_text(
        text.replace("total = np.zeros(len(gains))", "raise OSError('no plant')")
    )
    failing = Project(project.root, project.directory, [*tanks.configs[:-1], tmp_path / "tanks.yaml"])
    printed = failing.snakemake("tasks", "--cores", "1", succeeds=False)
    expected = (
        "generate_tasks(case=tank): SimulatorError: simulator own_simulator.py:Tank, task 0 {'leak': 0.1}: it raised"
    )
    assert expected in printed
    assert "Traceback" not in printed
    assert not (project.directory / "results/tasks/tank.nc").exists()

"""The whole pipeline on tasks without process noise: all is made, and what does not cover them is left out visibly."""

import csv

import numpy as np
import pytest
import xarray as xr
from project import Project

from metalqr import results
from metalqr.results import load_problem

pytestmark = pytest.mark.slow

CONFIG = """
algorithm: {perturbations: 4, inner_perturbations: 4, rollout_length: 6, iterations: 3}
cases:
  d1k1: {tasks: {count: 2, noise: initial_state, initial_mean: [0.5]}}
  d2k2: null
  d20k10: null
experiments:
  figure1: {cases: [d1k1], seeds: [0]}
  rollout_length: {cases: [d1k1], seeds: [0], sweep: {rollout_length: [3, 6]}}
only_experiments: [figure1, rollout_length]
theory:
  audit: {gains: 4, perturbations: 1, random_tasks: 1}
  estimation_error: {repeats: 2, perturbations: [4], smoothing_radius: [0.1], rollout_length: [5, 20]}
  exact_methods: {iterations: 5}
execution: {threads: 1}
"""
FIGURES = ("certificates", "estimation_error", "exact_methods", "figure1", "hyperparameters", "theory_vs_practice")
TABLES = ("certificates", "estimation_error", "figure1", "learnability", "rollout_length", "stability", "theory_audit")
REMARK = "printed and corrected: noise is initial_state: the theory is corrected, and checked, for process noise"


@pytest.fixture(scope="module")
def made(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("initial_state")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    project = Project(fresh.root, folder / "made", [folder / "config.yaml"])
    project.snakemake("--cores", "2")
    return project


def test_everything_is_made(made: Project) -> None:
    expected = {f"figures/{name}.{form}" for name in FIGURES for form in ("pdf", "svg", "png")}
    expected |= {
        f"tables/{name}.{form}" for name in (*TABLES, "theory_promises", "theory_vs_practice") for form in ("md", "csv")
    }
    assert expected <= set(made.results())


def test_costs_are_sums_from_random_initial_states(made: Project) -> None:
    """J = q (σ0² + m²) / (1 - a²) at K = 0, and the ratio follows from it as ever."""
    tasks, K0 = load_problem(made.directory / "results/tasks/d1k1.nc", "d1k1")
    assert tasks.noise == "initial_state"
    assert not tasks.Psi.any()
    assert not K0.any()
    a, q, variance = (array[:, 0, 0] for array in (tasks.A, tasks.Q, tasks.Sigma0))
    expected = q * (variance + 0.25) / (1.0 - a**2)
    case = results.load_experiment(made.directory / "results/datasets/figure1.nc")["d1k1"].to_dataset()
    np.testing.assert_allclose(case["cost"].sel(seed=0, iteration=0).values, expected, rtol=1e-12)
    optima = case["J_star"].values
    assert case["ratio"].sel(seed=0, iteration=0).item() == pytest.approx(expected.sum() / optima.sum() - 1.0)


def test_what_the_theory_does_not_cover_is_left_out_and_says_so(made: Project) -> None:
    with (made.directory / "results/tables/theory_vs_practice.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(row["remark"].startswith(REMARK) for row in rows)
    audit = (made.directory / "results/tables/theory_audit.md").read_text(encoding="utf-8")
    assert f"{REMARK}; there only the random tasks were checked" in audit.replace("; this part", "; there")
    with xr.open_dataset(made.directory / "results/estimation_error/d1k1.nc") as errors:
        predicted = errors["predicted_slope"].sel(parameter="rollout_length", curve="bias").item()
        bias = errors["bias_rollout_length"].isel(target=0).values
    # Not one over the length, but geometric.
    assert np.isnan(predicted)
    assert bias[1] < 0.05 * bias[0]

"""examples/plugins.yaml: all plug-ins and simulators of examples/ through the pipeline, as docs/gallery.md runs it."""

import json

import numpy as np
import pandas as pd
import pytest
from places import ROOT
from project import Project

from metalqr.results.datasets import load_experiment

# Fewer and shorter runs; nothing else changes.
FEWER = """
algorithm: {perturbations: 4, inner_perturbations: 4, rollout_length: 6, iterations: 3}
cases:
  tank: {algorithm: {perturbations: 2, iterations: 2}}
  van_der_pol: {algorithm: {perturbations: 2, iterations: 2}}
experiments: {plugins: {seeds: [0]}, springs: {seeds: [0]}, tank: {seeds: [0]}, van_der_pol: {seeds: [0]}}
"""


# Half a minute: seven runs and what all plug-ins make of them, each in a job of its own.
@pytest.mark.slow
def test_all_examples_are_used_together(fresh: Project) -> None:
    directory = fresh.root.parent / "examples"
    project = Project(fresh.root, directory, [ROOT / "examples" / "plugins.yaml"]).overlay(FEWER)
    project.snakemake("figures", "tables", "results/sections/gradient_norms.json", "--cores", "2")
    made = directory / "results"
    springs = load_experiment(made / "datasets/plugins.nc", "plugins")["springs"].to_dataset()
    gains = {name: springs["K_last"].sel(variant=name).values for name in springs["variant"].values.tolist()}
    assert gains.keys() == {"paper", "own_estimator", "own_directions", "own_update_rule", "own_method"}
    assert len({gain.tobytes() for gain in gains.values()}) == len(gains), "each plug-in makes another gain"
    assert np.linalg.norm(gains["own_method"]) <= 3 * 0.01 * (1 + 1e-9), "three steps of bounded length from zero"
    best = pd.read_csv(made / "tables/best_runs.csv")
    assert best["experiment"].tolist() == ["plugins", "springs", "tank", "van_der_pol"]
    assert best["runs"].tolist() == [5, 1, 1, 1]
    assert np.isfinite(best["best"]).all()
    assert (made / "figures/simulated_steps.pdf").is_file()
    (chart,) = json.loads((made / "sections/gradient_norms.json").read_text(encoding="utf-8"))["charts"]
    assert {each["case"] for each in chart["curves"]} == {"springs", "tank", "van_der_pol"}

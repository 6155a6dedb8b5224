"""Named systems through the pipeline: tasks whose initial gain is found, and the optima that follow."""

import pytest
from project import Project

from metalqr import lqr, optimal, systems
from metalqr.results import load_problem

pytestmark = pytest.mark.slow

SYSTEMS = """
cases:
  ships:
    tasks: {family: ship, ship: [1, 3, 4]}
    initial_gain: {detuned: 40}
    algorithm: {learning_rate: 1.0e-3, adaptation_rate: 1.0e-5}
  pendulums:
    tasks: {family: pendulum, length: {low: 0.2, high: 0.6}, count: 4}
    seed: 3
    initial_gain: stabilising
    algorithm: {learning_rate: 1.0e-5, adaptation_rate: 1.0e-7}
experiments:
  ships: {cases: [ships, pendulums], seeds: [0], sweep: {}}
"""


def test_systems_become_tasks_with_the_gain_that_is_found(fresh: Project) -> None:
    project = fresh.overlay(SYSTEMS)
    project.snakemake("results/optima/ships.nc", "results/optima/pendulums.nc", "--cores", "1")
    ships, K0 = load_problem(project.directory / "results/tasks/ships.nc", "ships")
    assert ships.A.tolist() == [systems.named("ship", ship=ship).A.tolist() for ship in (1, 3, 4)]
    nominal = systems.named("ship").tasks()
    assert K0.tolist() == optimal.optimal_gains(nominal.replace(Q=40 * nominal.Q)).K[0].tolist()
    pendulums, K0 = load_problem(project.directory / "results/tasks/pendulums.nc", "pendulums")
    assert lqr.is_stabilising(pendulums, K0).all()
    # g / l is in the sampled matrix.
    lengths = 0.05 * 9.81 / pendulums.A[:, 1, 0]
    assert ((lengths > 0.2) & (lengths < 0.6)).all()
    assert len(set(lengths)) == 4

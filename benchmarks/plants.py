"""The nonlinear plants: how fast they roll out, and what is trained from their rollouts alone.

``python -m benchmarks.plants`` trains the cases of ``examples/own_simulator.yaml`` and compares the gains with the
linear design, on the same simulators: the common gain of least mean cost for the linearisations. A minute.
"""

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from snakemake.utils import update_config

from benchmarks import machine
from benchmarks.work import Array
from metalqr import optimal, training
from metalqr.common import atomic
from metalqr.config import Plan, read_config
from metalqr.simulation import plants
from metalqr.simulation.user import SimulatedTasks
from metalqr.simulation.user.family import simulated_tasks
from metalqr.systems.initial_gain import gain_of
from metalqr.systems.system import stacked

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "results" / "benchmarks" / "plants.md"
KINDS: dict[str, Any] = {"pendulum": plants.Pendulum, "cart_pole": plants.CartPole}
SEEDS = (0, 1, 2)
#: Rollouts of a comparison, their steps, and their first seed; those of a training come from its own seed.
ROLLOUTS, LENGTH, FIRST_SEED = 2000, 200, 10**6
#: Rollouts and steps of a timed call, and the number of calls: the shortest counts.
TIMED = (512, 250, 200)


class Ratios(NamedTuple):
    """Mean cost over that of the linear design, with the same noise."""

    first: float  # of the gain that was found without a model
    last: float  # of the trained one
    error: float  # standard error of the latter
    steps: int  # simulated by the training


def plan() -> Plan:
    """The plan of the example."""
    config = read_config(ROOT / "config.yaml")
    update_config(config, read_config(ROOT / "examples" / "own_simulator.yaml"))
    return Plan(config, ROOT)


def linear_design(case: str, parameters: list[dict[str, Any]]) -> Array:
    """The common gain (k, d) of least mean cost for the linearisations at the upright position."""
    return np.asarray(optimal.shared_gain(stacked([KINDS[case](**each).linearisation for each in parameters])).K)


def compare(case: str, seed: int) -> Ratios:
    """Train a case of the example from its simulator alone, and compare with the linear design."""
    example = plan()
    family: Any = example.task_sets[case].family
    tasks = simulated_tasks(family)
    K0 = gain_of(tasks, example.config["cases"][case]["initial_gain"], family, example.config["seed"])
    (point,) = example.experiments["plants"].points(case)
    history = training.train(tasks, K0, point.settings, seed)
    gains = np.stack([K0, history.K[-1], linear_design(case, tasks.parameters)])
    first, last, design = rollout_costs(tasks, gains)
    ratio = last.mean() / design.mean()
    with np.errstate(invalid="ignore"):  # there is no error of an infinite cost
        error = (last - ratio * design).std(ddof=1) / np.sqrt(ROLLOUTS) / design.mean()
    return Ratios(first.mean() / design.mean(), ratio, float(error), int(history.rollout_steps[-1]))


def rollout_costs(tasks: SimulatedTasks, gains: Array) -> Array:
    """Costs of rollouts with the same noise for every gain, mean over the tasks, (n, rollouts)."""
    seeds = np.tile(np.arange(FIRST_SEED, FIRST_SEED + ROLLOUTS), len(gains))
    repeated = np.repeat(gains, ROLLOUTS, axis=0)
    found = [tasks.costs(task, repeated, LENGTH, seeds) for task in range(tasks.count)]
    return np.mean(found, axis=0).reshape(len(gains), ROLLOUTS)


def rate(case: str, threads: int) -> float:
    """Steps a second of a plant under the linear design."""
    simulator = KINDS[case]()
    rollouts, length, calls = TIMED
    gains, best = np.repeat(linear_design(case, [{}])[np.newaxis], rollouts, axis=0), np.inf
    numba.set_num_threads(threads)
    for _ in range(calls):
        start = time.perf_counter()
        simulator.costs(gains, length, np.arange(rollouts))
        best = min(best, time.perf_counter() - start)
    return rollouts * length / best


def main() -> None:
    """Time, train, compare, and write a table."""
    cores = machine.cores()
    lines = [
        f"| plant | steps a second, 1 thread | {cores} threads | seed | first cost | trained cost | rollout steps |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in KINDS:
        rates = [f"{rate(case, threads) / 1e6:.0f} million" for threads in (1, cores)]
        for seed in SEEDS:
            found = compare(case, seed)
            ends = f"{found.first:.3f} | {found.last:.4f} ± {found.error:.4f} | {found.steps:,}"
            lines.append(f"| {case} | {' | '.join(rates)} | {seed} | {ends} |")
            print(lines[-1], file=sys.stderr, flush=True)
    about = [
        f"{machine.description(('numpy', 'numba', 'llvmlite'))}.",
        f"Costs are relative to that of the linear design: mean of {ROLLOUTS:,} rollouts of {LENGTH} steps.",
    ]
    atomic.write(OUTPUT, "\n".join([*lines, "", *about, ""]).encode())


if __name__ == "__main__":
    main()

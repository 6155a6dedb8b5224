"""A plant that is asked and told by files: two carts, of which metalqr sees nothing but the costs that are told.

    python ask_tell.py FOLDER

writes its files into a folder, by default the one where it is called: the config, the gains that are asked for, the
costs of their rollouts, and the state of the run, in which the trained gain is. Stop it at any moment and call it
again: it goes on.
To train on your own plant, replace `cost`. From another language, run the commands `metalqr ask` and `metalqr tell`.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from metalqr.cli import main

CONFIG = """\
cases:
  carts:
    simulator:                    # without a path: the rollouts are made here
      tasks: [{mass: 1.0}, {mass: 2.0}]
      state_dim: 2
      action_dim: 1
      unstable_cost: 100.0
    initial_gain: [[0.3, 0.5]]
    algorithm:
      method: mean_cost
      estimator: two_point
      common_noise: true          # only since the same seed gives the same noise here; leave it out on hardware
      perturbations: 2
      smoothing_radius: 0.05
      rollout_length: 60
      update_rule: adam
      learning_rate: 0.2
      adaptation_rate: 0.0
      iterations: 12
"""
MASSES = [1.0, 2.0]


def cost(gain: np.ndarray, length: int, seed: int, mass: float) -> float:
    """Mean cost of a step of one rollout under the force u = -K x; x is position and velocity."""
    generator, x, total = np.random.default_rng(seed), np.zeros(2), 0.0
    for _ in range(length):
        force = -float(gain[0] @ x)
        total += float(x @ x) + 0.1 * force**2
        x = np.array([x[0] + 0.2 * x[1], x[1] + 0.2 * force / mass]) + 0.1 * generator.normal(size=2)
    return total / length


def exchange(folder: Path) -> None:
    """Ask, roll out and tell, until the run has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    config, state, gains, costs = (folder / name for name in ("carts.yaml", "state.nc", "gains.csv", "costs.csv"))
    config.write_text(CONFIG, encoding="utf-8")
    # The exit status is 3 once the run has ended.
    while main(["ask", str(state), str(config), "--case", "carts", "--output", str(gains)]) == 0:
        with gains.open(newline="", encoding="utf-8") as asked, costs.open("w", encoding="utf-8") as told:
            print("request,row,cost", file=told)
            for row in csv.DictReader(asked):
                gain = np.array([[float(row["K_1_1"]), float(row["K_1_2"])]])
                measured = cost(gain, int(row["length"]), int(row["seed"]), MASSES[int(row["task"])])
                print(row["request"], row["row"], repr(measured), sep=",", file=told)  # repr gives all digits
        if main(["tell", str(state), str(costs)]) != 0:
            raise SystemExit(1)


if __name__ == "__main__":
    exchange(Path(*sys.argv[1:2]))

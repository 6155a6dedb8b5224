"""Runs by files, with a plant in place of a simulator, as a user's loop makes them."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from metalqr.cli import main

CASE: dict[str, Any] = {
    "simulator": {"tasks": [{"pole": 0.8}, {"pole": 0.9}], "state_dim": 2, "action_dim": 1},
    "initial_gain": [[0.2, 0.1]],
    "algorithm": {
        "learning_rate": 1.0e-3,
        "adaptation_rate": 0.0,
        "perturbations": 2,
        "inner_perturbations": 2,
        "smoothing_radius": 0.1,
        "rollout_length": 5,
        "iterations": 3,
    },
}


def plant(gain: np.ndarray, length: int, seed: int, pole: float) -> float:
    """The cost of a rollout, with all randomness from the seed."""
    noise = np.random.default_rng(seed).normal(size=(length, 2))
    x, total = np.zeros(2), 0.0
    for w in noise:
        u = -float(gain[0] @ x)
        total += float(x @ x) + u * u
        x = np.array([pole * x[0] + 0.1 * x[1], 0.5 * x[1] + u]) + w
    return total / length


def config(folder: Path, algorithm: dict[str, Any], *, case: dict[str, Any] | None = None, **simulator: Any) -> Path:
    """The file of a config with one case, plant, that no experiment has."""
    found = case if case is not None else {**CASE, "simulator": {**CASE["simulator"], **simulator}}
    path = folder / "mine.yaml"
    content = {
        "cases": {"plant": {**found, "algorithm": {**CASE["algorithm"], **algorithm}}},
        "only_experiments": ["figure1"],  # which is planned faster
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a file of columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Loop:
    """What a user does: ask, measure, tell."""

    def __init__(
        self, config: Path, *, seed: int = 0, simulate: Callable[..., float] = plant, folder: Path | None = None
    ) -> None:
        self.config, self.seed, self.simulate = config, seed, simulate
        self.folder = folder or config.parent
        self.folder.mkdir(exist_ok=True)
        self.state, self.gains, self.costs = (self.folder / name for name in ("state.nc", "gains.csv", "costs.csv"))
        self.shown: Callable[[float], str] = repr
        self.parameters = yaml.safe_load(config.read_text())["cases"]["plant"].get("simulator", {}).get("tasks")

    @property
    def first(self) -> list[str]:
        """What the first call says of the run."""
        return [str(self.config), "--case", "plant", "--seed", str(self.seed)]

    def ask(self) -> int:
        """The exit status of asking, in the first call with the config."""
        if self.state.exists():
            return main(["ask", str(self.state), "--output", str(self.gains)])
        return main(["ask", str(self.state), *self.first, "--output", str(self.gains)])

    def measure(self) -> None:
        """Write the table of costs, the last row first."""
        lines = ["request,row,cost\n"]
        for row in reversed(table(self.gains)):
            entries = [float(value) for name, value in row.items() if name.startswith("K_")]
            columns = int(list(row)[-1].rpartition("_")[2])
            parameters = self.parameters[int(row["task"])] if self.parameters else {}
            gain = np.array(entries).reshape(-1, columns)
            cost = self.simulate(gain, int(row["length"]), int(row["seed"]), **parameters)
            lines.append(f"{row['request']},{row['row']},{self.shown(cost)}\n")
        self.costs.write_text("".join(lines))

    def tell(self) -> int:
        """The exit status of telling the costs."""
        return main(["tell", str(self.state), str(self.costs)])

    def to_the_end(self) -> int:
        """Ask, measure and tell until the run has ended; the number of rounds."""
        rounds = 0
        while (status := self.ask()) == 0:
            self.measure()
            assert self.tell() == 0
            rounds += 1
        assert status == 3
        return rounds

"""Runs by files, with a plant in place of a simulator, as a user's loop makes them."""

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from metalqr.cli import main
from metalqr.exchange.state import load_state
from metalqr.results.files import save

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


#: Other cases than the plant: one that can be asked and told too, and some that cannot.
OTHERS: dict[str, Any] = {
    "second": CASE,
    "exact": {**CASE, "algorithm": {**CASE["algorithm"], "method": "exact_mean_cost"}},
    "unstable": {
        "tasks": {"family": "given", "A": [[[2.0]]], **{name: [[[1.0]]] for name in "BQR"}, "Psi": [[[1.0]]]},
        "state_dim": 1,
        "action_dim": 1,
        "initial_gain": "zero",
        "algorithm": CASE["algorithm"],
    },
    "resampled": {
        "tasks": {"family": "bus", "speed": {"low": 5, "high": 15}, "count": 3, "resample": "each_iteration"},
        "initial_gain": "stabilising",
        "algorithm": CASE["algorithm"],
    },
}


def spoilt_folder(folder: Path) -> int:
    """Make the files that docs/bad-input.md names; the request that ``state.nc`` waits for, of four rows."""
    settings = {"method": "mean_cost", "iterations": 1}
    ended = Loop(config(folder, settings), seed=5)
    ended.to_the_end()
    ended.state.rename(folder / "ended.nc")
    loop = Loop(config(folder, {"method": "mean_cost"}))
    content = yaml.safe_load(loop.config.read_text())
    content["cases"] |= OTHERS
    loop.config.write_text(yaml.safe_dump(content))
    loop.ask()
    loop.measure()
    loop.tell()
    loop.costs.rename(folder / "told.csv")
    (folder / "other.csv").write_text((folder / "told.csv").read_text().replace(",3,", ",3,1"))
    loop.ask()
    state = bytearray(loop.state.read_bytes())
    state[len(state) // 2] ^= 1
    (folder / "damaged.nc").write_bytes(state)
    changed = {"algorithm": {"learning_rate": 1.0e-4}}
    (folder / "changed.yaml").write_text(yaml.safe_dump({"cases": {"plant": changed}}))
    (folder / "moved.yaml").write_text(yaml.safe_dump({"cases": {"plant": {"initial_gain": [[0.2, 0.2]]}}}))
    history = load_state(folder / "ended.nc").history
    run = dataclasses.replace(history, cost=np.zeros_like(history.cost), cost_error=None)
    save(folder / "run.nc", run.to_dataset({}, 0, case="plant", perturbed_policies=1))
    return int(table(loop.gains)[0]["request"])

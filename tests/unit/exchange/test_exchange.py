"""A run by files: the same as in one process, whatever is killed or repeated between."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanges import CASE, Loop, config, plant, table
from numpy.testing import assert_array_equal

from metalqr import MetaSettings, training
from metalqr.cli import main
from metalqr.exchange.state import load_state
from metalqr.results.runs import Status
from metalqr.simulation.user import SimulatedTasks

MAML = {"method": "zeroth_order_maml", "adaptation_rate": 1.0e-3}
MEAN = {"method": "mean_cost"}
RUNS: dict[str, dict[str, Any]] = {
    "one point": {**MEAN, "estimator": "one_point"},
    "pairs": {**MEAN, "estimator": "two_point"},
    "pairs with common noise": {**MEAN, "estimator": "two_point", "common_noise": True},
    "memory of an estimator": {**MEAN, "estimator": "residual"},
    "memory of momentum": {**MEAN, "estimator": "two_point", "update_rule": "momentum"},
    "memory of adam": {**MEAN, "estimator": "residual", "update_rule": "adam"},
    "Algorithm 2": {**MAML, "estimator": "one_point"},
    "Algorithm 2 with pairs": {**MAML, "estimator": "two_point", "average_last": 0.5},
    "Algorithm 2 with common noise": {**MAML, "estimator": "two_point", "common_noise": True, "task_batch": 1},
    "Algorithm 2 with memory": {**MAML, "estimator": "residual", "update_rule": "adam"},
    "a warm-up": {**MAML, "estimator": "two_point", "warm_up": 1},
    "inner steps": {"method": "reptile", "adaptation_rate": 1.0e-3, "estimator": "two_point", "inner_steps": 2},
}


def whole(chosen: dict[str, Any], simulate: Any = plant, unstable_cost: float | None = None) -> training.History:
    """The same run in one process, by a simulator that is called."""
    settings, parameters = MetaSettings(**{**CASE["algorithm"], **chosen}), CASE["simulator"]["tasks"]
    tasks = SimulatedTasks(
        simulate, parameters, state_dim=2, action_dim=1, evaluation_rollouts=2, unstable_cost=unstable_cost
    )
    return training.train(tasks, CASE["initial_gain"], settings, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_gain_is_that_of_a_run_in_one_process(name: str, tmp_path: Path, capsys: Any) -> None:
    """To the last bit, all gains on the way too."""
    loop = Loop(config(tmp_path, RUNS[name]), seed=3)
    rounds = loop.to_the_end()
    expected, found = whole(RUNS[name]), load_state(loop.state).history
    assert expected.status is Status.COMPLETED
    assert found.status is Status.COMPLETED
    assert_array_equal(found.K, expected.K)
    assert not np.array_equal(found.K[0], found.K[-1])
    assert_array_equal(found.gradient_norm, expected.gradient_norm)
    assert_array_equal(found.rollout_steps, expected.rollout_steps)
    assert np.isnan(found.cost).all()
    assert (found.K_average is None) == (expected.K_average is None)
    if expected.K_average is not None:
        assert_array_equal(found.K_average, expected.K_average)
    assert rounds == {"a warm-up": 5, "inner steps": 6}.get(name, 6 if "Algorithm 2" in name else 3)
    assert "The run has ended: completed at iteration 3. Its gain" in capsys.readouterr().out


@pytest.mark.slow
def test_rollouts_that_went_unstable_have_the_cost_of_the_case(tmp_path: Path, capsys: Any) -> None:
    """And are counted, as where a simulator gives no finite cost."""
    limit = 0.27  # above it a plant is lost here

    def fragile(gain: np.ndarray, length: int, seed: int, pole: float) -> float:
        return float("nan") if gain[0, 0] > limit else plant(gain, length, seed, pole)

    words = iter(["inf", "nan", "unstable", "NaN", "Inf", "-inf", "UNSTABLE"] * 30)
    loop = Loop(config(tmp_path, MEAN, unstable_cost=50.0), seed=3, simulate=fragile)
    loop.shown = lambda cost: repr(cost) if np.isfinite(cost) else next(words)
    loop.to_the_end()
    expected = whole(MEAN, fragile, 50.0)
    found = load_state(loop.state).history
    assert_array_equal(found.K, expected.K)
    assert_array_equal(found.unstable_perturbations, expected.unstable_perturbations)
    assert 0 < found.unstable_perturbations.sum() < 24
    assert "of them of rollouts without a finite one" in capsys.readouterr().out


def test_without_such_a_cost_the_run_ends_as_diverged(tmp_path: Path, capsys: Any) -> None:
    loop = Loop(config(tmp_path, MEAN), simulate=lambda *_, **__: float("inf"))
    assert loop.to_the_end() == 1
    shown = capsys.readouterr()
    assert "The run has ended: diverged at iteration 0. Its gain, u = -K x:\n[[0.2 0.1]]\n" in shown.out
    history = load_state(loop.state).history
    assert history.status is Status.DIVERGED
    assert_array_equal(history.K, [CASE["initial_gain"]])


@pytest.mark.slow
def test_every_call_can_be_repeated(tmp_path: Path, capsys: Any) -> None:
    loop = Loop(config(tmp_path, MAML), seed=3)
    while loop.ask() == 0:
        asked, state = loop.gains.read_bytes(), loop.state.read_bytes()
        loop.gains.unlink()  # killed before it was written
        assert loop.ask() == 0
        assert loop.gains.read_bytes() == asked
        assert main(["ask", str(loop.state), *loop.first, "--output", str(loop.gains)]) == 0  # as the first call
        assert loop.gains.read_bytes() == asked
        assert loop.state.read_bytes() == state
        loop.measure()
        assert loop.tell() == 0
        after = loop.state.read_bytes()
        capsys.readouterr()
        assert loop.tell() == 0
        assert "these costs are told already; nothing is changed" in capsys.readouterr().out
        assert loop.state.read_bytes() == after
    assert_array_equal(load_state(loop.state).history.K, whole(MAML).K)


@pytest.mark.slow
def test_rows_columns_and_digits_are_as_other_programs_write_them(tmp_path: Path) -> None:
    loop = Loop(config(tmp_path, MEAN), seed=3)
    loop.ask()
    loop.measure()
    lines = table(loop.costs)
    for write in (
        lambda row: f"{row['cost']}, {float(row['request']):.18e} ,{float(row['row']):.1f},more",
        lambda row: f"{float(row['cost']):.16e},{row['request']},{row['row']},",
    ):
        content = "\ufeffcost,request,row,note\r\n" + "\r\n".join(map(write, reversed(lines))) + "\r\n\r\n"
        other = Loop(loop.config, seed=3, folder=tmp_path / f"other{len(content)}")
        other.ask()
        other.costs.write_text(content, encoding="utf-8", newline="")
        assert other.tell() == 0
        assert_array_equal(load_state(other.state).history.K, whole({**MEAN, "iterations": 1}).K)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_telling(moment: str, tmp_path: Path, capsys: Any) -> None:
    """SIGKILL at the moment when the new state takes the place of the old one: either is whole."""
    code = (
        "import os, signal\nfrom pathlib import Path\nreplace = Path.replace\n"
        "def killed(self, target):\n"
        f"    {'replace(self, target)' if moment == 'after' else 'pass'}\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.replace = killed\n"
        "import sys\nfrom metalqr.cli import main\nmain(sys.argv[1:])"
    )
    loop = Loop(config(tmp_path, MAML), seed=3)
    loop.ask()
    loop.measure()
    old = loop.state.read_bytes()
    command = [sys.executable, "-c", code, "tell", str(loop.state), str(loop.costs)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (loop.state.read_bytes() == old) == (moment == "before")
    assert loop.tell() == 0
    assert ("told already" in capsys.readouterr().out) == (moment == "after")
    loop.to_the_end()
    assert_array_equal(load_state(loop.state).history.K, whole(MAML).K)
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.slow
def test_a_case_with_a_model_has_its_initial_gain_from_it(tmp_path: Path, capsys: Any) -> None:
    """The model says nothing else: costs are those that are told, and each task has its probability."""
    given = {"tasks": {"family": "given", "A": [[[1.1]], [[0.5]]], "p": [0.75, 0.25]}}
    given["tasks"] |= {name: [[[1.0]], [[1.0]]] for name in ("B", "Q", "R", "Psi")}
    loop = Loop(config(tmp_path, MEAN, case={**given, "state_dim": 1, "action_dim": 1, "initial_gain": "stabilising"}))
    loop.simulate = lambda gain, length, seed: float((gain**2).sum())
    loop.to_the_end()
    state = load_state(loop.state)
    assert abs(1.1 - state.initial_gain[0, 0]) < 1
    assert abs(state.history.K[-1, 0, 0]) < abs(state.initial_gain[0, 0])
    assert state.run.asked(()).p.tolist() == [0.75, 0.25]

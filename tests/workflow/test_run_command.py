"""The command `metalqr run`: the numbers of the pipeline without it, also after it was stopped."""

import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import xarray as xr
from configs import overlaid
from places import ROOT
from project import Project, until

from metalqr.cli import main
from metalqr.config import Plan

pytestmark = pytest.mark.slow

CONFIG = """
algorithm: {perturbations: 4, inner_perturbations: 4, rollout_length: 6, iterations: 4}
cases:
  d2k2: {tasks: {count: 3}, algorithm: {average_last: 0.5}}
  resampled:
    tasks:
      family: similar
      count: 2
      spectral_radius: 0.5
      perturbed_share: 0.5
      perturbation_deviation: 0.1
      resample: each_iteration
    state_dim: 2
    action_dim: 1
    initial_gain: zero
    algorithm: {learning_rate: 1.0e-3, adaptation_rate: 1.0e-4}
  tank:
    simulator: {path: "own_simulator.py:Tank", tasks: [{leak: 0.1}, {leak: 0.4}], state_dim: 1, action_dim: 1}
    initial_gain: [[0.2]]
    algorithm: {method: mean_cost, learning_rate: 1.0e-3, adaptation_rate: 0.0}
experiments: {figure1: {cases: [d2k2, resampled, tank], seeds: [1]}}
only_experiments: [figure1]
theory: {cases: []}
prediction: {experiments: []}
"""


def test_the_file_is_that_of_the_pipeline(fresh: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(fresh.root, tmp_path / "made", []).overlay(CONFIG)
    (config,) = project.configs
    shutil.copy(ROOT / "examples" / "own_simulator.py", config.parent)
    project.snakemake("runs", "--cores", "2")
    files = Plan(overlaid(config.read_text(encoding="utf-8")), config.parent).run_files("figure1")
    assert len(files) == 3
    for file in files:
        case, output = Path(file).parts[2], tmp_path / "run.nc"
        assert main(["run", str(config), "--case", case, "--seed", "1", "--output", str(output)]) == 0
        with xr.open_dataset(output) as mine, xr.open_dataset(project.directory / file) as expected:
            xr.testing.assert_identical(mine, expected)
        output.unlink()
        shown = capsys.readouterr().out
        assert shown.startswith(f"{case}, seed 1: completed at iteration 4, after ")
        assert ("measured with standard errors" in shown) == (case == "tank")
        assert ("excess over the optimum of each task: " in shown) == (case != "tank")
    assert not list(tmp_path.glob("*.state.nc"))


def written_after(moment: int, path: Path) -> bool:
    """Whether a file has been written since then."""
    return path.exists() and path.stat().st_mtime_ns > moment


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"plugins: [{Path(__file__).with_name('unhurried.py')}]\n"
        "algorithm: {perturbations: 2, inner_perturbations: 2, rollout_length: 5}\n"
        "cases: {d2k2: {algorithm: {method: unhurried, pause: 2.0e-3, iterations: 1500, learning_rate: 1.0e-6}}}\n"
        "only_experiments: [figure1]\nexecution: {checkpoint_seconds: 0.1}\n"
    )
    outputs = tmp_path / "run.nc", tmp_path / "whole.nc"
    commands = [["run", str(config), "--case", "d2k2", "--output", str(output)] for output in outputs]
    code = "import sys; from metalqr.cli import main; sys.exit(main(sys.argv[1:]))"
    state = tmp_path / "run.state.nc"
    for kind in (signal.SIGKILL, signal.SIGTERM):
        before = state.stat().st_mtime_ns if state.exists() else 0
        with subprocess.Popen([sys.executable, "-c", code, *commands[0]], stderr=subprocess.PIPE, text=True) as process:
            assert until(partial(written_after, before, state), process)
            process.send_signal(kind)
            _, printed = process.communicate()
        assert process.returncode == (1 if kind == signal.SIGTERM else -signal.SIGKILL)
        assert not outputs[0].exists()
    assert "stopped by SIGTERM at iteration" in printed
    assert f"its state is in {state}; run the same command again to resume from it" in printed
    assert [main(command) for command in commands] == [0, 0]
    assert f"{state} has the state of a run that was stopped" in capsys.readouterr().err
    with xr.open_dataset(outputs[0]) as resumed, xr.open_dataset(outputs[1]) as whole:
        xr.testing.assert_identical(resumed, whole)
    assert not state.exists()

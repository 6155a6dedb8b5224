"""The command `metalqr advise`."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from metalqr.advice import candidates
from metalqr.cli import main
from metalqr.config.algorithm import MetaSettings

OVERLAY = "only_experiments: [figure1]\n"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small grid."""
    monkeypatch.setattr(candidates, "LENGTHS", (10,))
    monkeypatch.setattr(candidates, "ITERATIONS", (25, 50))
    monkeypatch.setattr(candidates, "RATES", (1.0,))
    monkeypatch.setattr(candidates, "DECAYS", (0.0,))


@pytest.mark.slow
def test_block_curve_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curve = tmp_path / "curve.csv"
    assert main(["advise", "--case", "d1k1", "--budget", "1e5", "--common-noise", "--output", str(curve)]) == 0
    shown = capsys.readouterr().out
    block = tmp_path / "advised.yaml"
    block.write_text(shown.partition("\n\n")[0] + "\n")
    experiment = yaml.safe_load(block.read_text())["experiments"]["advised"]
    settings = MetaSettings(**experiment["variants"]["advised"])
    assert experiment["cases"] == ["d1k1"]
    assert settings.common_noise
    assert settings.iterations in (25, 50)
    rows = np.genfromtxt(curve, delimiter=",", names=True)
    assert len(rows) == settings.iterations + 1
    assert f"Predicted final ratio {rows['ratio'][-1]:.4g} after {int(rows['rollout_steps'][-1]):,} rollout" in shown
    assert " limits it" in shown
    assert "Ten times the budget would bring" in shown
    assert main(["check", str(block)]) == 0
    assert "experiment advised: 5 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--case", "d2k3", "--budget", "1e5"], "--case: there is no case 'd2k3'; did you mean d2k2?"),
        (["--case", "d2k2", "--budget", "10"], "--case d2k2: budget: 10 rollout steps are too few for 5 tasks"),
        (["--case", "d2k2", "--budget", "nan"], "--case d2k2: budget"),
        (["--case", "d2k2", "--budget", "1e5", "--output", "nowhere/c.csv"], "--output: there is no folder"),
    ],
)
def test_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", *arguments]) == 1
    assert message in capsys.readouterr().err

"""The command `metalqr advise`."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from bad_input import rows

from metalqr.advice import candidates
from metalqr.cli import main
from metalqr.config.algorithm import MetaSettings

OVERLAY = "only_experiments: [figure1]\n"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small grid."""
    monkeypatch.setattr(candidates, "LENGTHS", (10,))
    monkeypatch.setattr(candidates, "ITERATIONS", (25, 50))
    monkeypatch.setattr(candidates, "RATES", (1.0,))
    monkeypatch.setattr(candidates, "DECAYS", (0.0,))


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
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


BAD_INPUT = [
    # These are found by a search.
    pytest.param(
        *row.values, id=row.id, marks=[pytest.mark.slow] * ("none of" in row.values[2] or "full" in row.values[2])
    )
    for row in rows("In the arguments of `metalqr advise`")
]


@pytest.mark.parametrize(("overlay", "arguments", "message"), BAD_INPUT)
def test_bad_input(
    overlay: str,
    arguments: str,
    message: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(overlay)
    if "cannot be written" in message:  # after any search
        request.getfixturevalue("tiny")
    monkeypatch.chdir(tmp_path)
    assert main(["advise", str(config), *arguments.split()]) == 1
    shown = capsys.readouterr()
    assert message.replace("FOLDER", str(tmp_path)) in shown.err
    assert not shown.out

"""The loop of docs/ask-tell.md, as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import blocks

from metalqr.exchange.state import load_state


@pytest.mark.slow
def test_the_loop_of_the_page_runs_to_the_end(tmp_path: Path) -> None:
    """In a shell, with its config shortened; then again, when the run has ended. Every call is a process: seconds."""
    found = [(block.language, block.text) for block in blocks("docs/ask-tell.md") if block.language != "matlab"]
    assert sorted(language for language, _ in found) == ["python", "sh", "yaml"]
    config, plant, loop = (dict(found)[language] for language in ("yaml", "python", "sh"))
    assert "iterations: 25" in config
    (tmp_path / "mine.yaml").write_text(config.replace("iterations: 25", "iterations: 1"))
    (tmp_path / "plant.py").write_text(plant)
    command = tmp_path / "bin" / "metalqr"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m metalqr.cli "$@"\n')
    command.chmod(0o755)
    places = (str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"])
    environment = {**os.environ, "PATH": os.pathsep.join(places)}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "check": False}
    printed = subprocess.run(["sh", "-c", loop], **run).stdout  # type: ignore[call-overload]
    assert printed.count("costs.csv: 8 costs told.") == 1
    assert printed.count("The run has ended: completed at iteration 1.") == 2
    history = load_state(tmp_path / "state.nc").history
    assert history.status_iteration == 1
    assert (history.K[-1] != history.K[0]).all()
    again = subprocess.run(["sh", "-c", loop], **run).stdout  # type: ignore[call-overload]
    assert again == printed[printed.rindex("The run has ended") :]

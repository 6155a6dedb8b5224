"""The overlays of neighbouring papers: each is accepted as it is, and has a figure of its name and a table beside."""

from pathlib import Path

import pytest
import yaml
from configs import overlaid
from places import ROOT

from metalqr.config import Plan

FOLDER = ROOT / "config" / "papers"
OVERLAYS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_an_overlay_is_accepted_and_has_its_figure_and_table(path: Path, forgotten: None) -> None:
    overlay = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert overlay["plugins"] == [f"{path.stem}.py"]
    assert all(name.startswith(path.stem) for name in overlay["only_experiments"])
    plan = Plan(overlaid(overlay), FOLDER)
    assert path.stem in plan.figures.by_name
    assert {path.stem, f"{path.stem}_met"} & set(plan.tables.by_name)
    assert f"## {path.stem}" in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()


def test_the_makefile_names_every_overlay() -> None:
    (line,) = (
        line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if line.startswith("PAPERS :=")
    )
    assert {path.stem for path in OVERLAYS} <= set(line.removeprefix("PAPERS :=").split())

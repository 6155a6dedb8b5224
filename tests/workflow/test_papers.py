"""The overlays of neighbouring papers: Snakemake plans the figure and the table of each from nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from places import ROOT
from project import Project

pytestmark = pytest.mark.slow

FOLDER = ROOT / "config" / "papers"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_an_overlay_is_planned(name: str, fresh: Project, tmp_path: Path) -> None:
    project = replace(fresh, directory=tmp_path / "made", configs=[FOLDER / f"{name}.yaml"])
    planned = project.planned("figures", "tables")
    assert f"results/figures/{name}.pdf" in planned["draw"]
    assert any(path.startswith(f"results/tables/{name}") for path in planned["tabulate"])
    assert planned["train_policy"]

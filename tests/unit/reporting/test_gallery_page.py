"""docs/gallery.md: every figure and every example is there, with a command that makes it and pictures that exist."""

import re
from pathlib import Path

import pytest
from configs import DEFAULT
from places import ROOT

from metalqr.config import Plan
from metalqr.config.registries import figures
from metalqr.reporting import showcase

PAGE = ROOT / "docs" / "gallery.md"
TEXT = PAGE.read_text(encoding="utf-8")
MAX_BYTES = 60_000
PAPERS = {path.stem for path in (ROOT / "config" / "papers").glob("*.yaml")}


def section(heading: str) -> str:
    """The text under a heading of the third level."""
    (found,) = re.findall(rf"^### {heading}\n(.*?)(?=^###? |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("name", [name for name in figures.names() if name not in PAPERS])
def test_every_figure_has_a_picture_a_page_and_commands_that_make_it(name: str) -> None:
    found = section(name)
    outputs = Plan(DEFAULT, ROOT).figures.by_name
    made = re.findall(r"results/figures/(\S+)\.pdf", found)
    assert made
    assert {outputs[file].plugin for file in made} == {name}
    (picture,) = re.findall(r"!\[[^]]+\]\(figures/gallery/([\w-]+)\.png\)", found)
    assert picture in made
    assert re.search(r"\[[^]]+\]\([a-z-]+\.md[^)]*\)", found)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_every_neighbouring_paper_has_a_picture_and_its_command(name: str) -> None:
    found = section(name)
    assert f"(figures/gallery/{name}.png)" in found
    assert f"make {name}\n" in found
    assert f"(papers.md#{name})" in found


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.*")), ids=lambda path: path.name)
def test_every_example_is_linked(path: Path) -> None:
    examples = TEXT.partition("\n## Examples\n")[2]
    assert f"[{path.name}](../examples/{path.name})" in examples
    if path.suffix == ".yaml":
        command = next(line for line in path.read_text().splitlines() if "snakemake " in line).partition("snakemake ")[
            2
        ]
        assert f"--configfile examples/{path.name}" in command
        assert f".venv/bin/snakemake {command}\n" in examples


def test_pictures_are_shown_small_and_have_a_source() -> None:
    shown = {ROOT / "docs" / picture for picture in re.findall(r"\(([^()\s]+\.png)\)", TEXT)}
    folder = showcase.FIGURES / "gallery"
    there = set(folder.rglob("*.png"))
    assert {path for path in shown if folder in path.parents} == there
    assert all(path.is_file() for path in shown)
    assert max(path.stat().st_size for path in there) < MAX_BYTES


def test_figures_are_copied_from_the_run_that_makes_them() -> None:
    places = {
        "figure1.png": "figures/figure1.png",
        "gallery/figure1.png": "figures/figure1.png",
        "gallery/plugins/tank.png": "plugins/results/figures/tank.png",
        "papers/toso2024.png": "papers/toso2024/results/figures/toso2024.png",
        "gallery/song2025.png": "papers/song2025/results/figures/song2025.png",
    }
    assert {copy: showcase.drawn(Path(copy), Path("results")).as_posix() for copy in places} == {
        copy: f"results/{path}" for copy, path in places.items()
    }
    folder = showcase.FIGURES / "gallery"
    examples = {path.parent.name for path in folder.rglob("*.png")} - {"gallery"}
    assert all(f"--directory results/{example}\n" in TEXT for example in examples)

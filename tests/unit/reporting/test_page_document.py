"""The page as a file: what is in it, what is beside it, and what it says about where things come from."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from configs import DEFAULT
from PIL import Image

from metalqr.config.page_plan import part
from metalqr.config.plan import Plan
from metalqr.reporting.pages import document, embedding
from metalqr.reporting.pages.embedding import Budget
from metalqr.reporting.pages.words import html_of, table_of


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    """A folder with an image of four colours, and a file."""
    (tmp_path / "figures").mkdir()
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[:20, :20], pixels[20:, :20], pixels[:20, 20:] = (255, 255, 255), (0, 114, 178), (230, 159, 0)
    Image.fromarray(pixels).save(tmp_path / "figures/one.png")
    (tmp_path / "figures/one.pdf").write_bytes(b"%PDF" + bytes(1000))
    return tmp_path


def test_files_are_within_the_page_unchanged_and_images_with_their_colours(figures: Path, tmp_path: Path) -> None:
    budget = Budget(0)
    address = budget.file(figures, "figures/one.pdf", "application/pdf")
    assert base64.b64decode(address.removeprefix("data:application/pdf;base64,")) == b"%PDF" + bytes(1000)
    (tmp_path / "found.png").write_bytes(base64.b64decode(budget.image(figures, "figures/one.png").partition(",")[2]))
    with Image.open(tmp_path / "found.png") as found, Image.open(figures / "figures/one.png") as given:
        np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.asarray(given))
    assert not budget.is_spent


def test_what_does_not_fit_is_linked_beside_the_page(figures: Path) -> None:
    budget = Budget(embedding.LIMIT - 500_000 - 1000)
    assert budget.file(figures, "figures/one.pdf", "application/pdf") == "figures/one.pdf"
    assert budget.image(figures, "figures/one.png").startswith("data:image/png;base64,")  # smaller
    assert budget.is_spent


def test_captions_keep_their_words_and_take_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")
    found = html_of(f"A *plain* caption of ``K``, <b>: :math:`r^2`.\n\n* a line\n\n.. include:: {tmp_path}/secret\n")
    assert "<em>plain</em>" in found
    assert "&lt;b&gt;" in found
    assert "<math" in found
    assert re.search(r"<li><p>a line</p>\s*</li>", found)
    assert "hidden" not in found


def test_the_page_says_what_an_overlay_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_library", str)  # the scripts of the charts, which take seconds
    changes = [("algorithm.iterations", "1200", "300"), ("cases.<a>", "given", "left out")]
    found = document.page(tmp_path, [], changes)
    assert "Not the paper's numbers" in found
    assert "in 2 places" in found
    assert re.search(r"algorithm.iterations</td><td[^>]*>1200</td><td[^>]*>300</td>", found)
    assert "cases.&lt;a&gt;" in found
    assert "Not the paper's numbers" not in document.page(tmp_path, [])


def test_tables_escape_their_cells() -> None:
    assert "<td>a&lt;b|c</td>" in table_of("| x |\n| --: |\n| a<b\\|c |\n")


@pytest.mark.parametrize(
    ("reads", "names", "blocks", "cases"),
    [
        ("datasets", ["figure1"], {"experiments"}, ["d1k1", "d2k2", "d20k10"]),
        ("evaluation", ["unseen_tasks/bus_speed"], {"experiments", "evaluation"}, ["bus_speed"]),
        ("meta_benefit", ["bus_speed"], {"evaluation"}, ["bus_speed"]),
        ("meta_optima", ["d2k2/1e-05"], set(), ["d2k2"]),
        ("exact_methods", ["d1k1"], {"theory"}, ["d1k1"]),
        ("predictions", ["perturbations"], {"experiments", "prediction"}, ["d2k2"]),
    ],
)
def test_the_part_of_the_config_is_that_of_the_results(
    reads: str, names: list[str], blocks: set[str], cases: list[str]
) -> None:
    config = Plan(DEFAULT).config
    found = part(config, reads, names)
    assert found.keys() == {"algorithm", "cases", *blocks}
    assert found["cases"] == {case: config["cases"][case] for case in cases}


def test_every_figure_and_table_has_an_entry_with_its_data_and_figures_say_what_to_see() -> None:
    plan = Plan(DEFAULT)
    entries = {(entry["kind"], entry["name"]): entry for entry in plan.page.entries()}
    kinds = {"section": plan.sections, "figure": plan.figures, "table": plan.tables}
    assert set(entries) == {(kind, name) for kind, outputs in kinds.items() for name in outputs.by_name}
    assert entries["figure", "figure1"]["data"] == ["results/datasets/figure1.nc"]
    for (kind, name), entry in entries.items():
        assert entry["see"] or kind != "figure", name
        assert entry["data"], name

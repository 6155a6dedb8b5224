"""The numbers of the documentation are those of docs/tables."""

from pathlib import Path

import pytest
from places import ROOT

from metalqr.reporting import showcase
from metalqr.reporting.figures.copies import small
from metalqr.reporting.showcase import ShowcaseError, renewed, source_of, used, value

CSV = """case,variant,final_ratio,difference
d1k1,paper,0.01223,-0.5
d1k1,mean_cost,0.03,-0.25
d2k2,paper,12.5,1
d4k4,two words,0.25,0
"""
MARKDOWN = "| case | ratio |\n| ---- | ----: |\n| d1k1 | 0.012 |\n| d2k2 |  12.5 |\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "some.csv").write_text(CSV)
    (tmp_path / "some.md").write_text(f"{MARKDOWN}\nA note.\n")
    return tmp_path


def asked(where: str) -> str:
    return f"before\n<!-- some{where}: from results, by `make showcase` -->\nold\n<!-- end of some{where} -->\nafter\n"


@pytest.mark.parametrize("path", showcase.pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_have_the_numbers_of_the_tables(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert renewed(page) == page, "run `make showcase`"


def test_no_table_that_no_page_shows() -> None:
    there = {path.relative_to(showcase.TABLES) for path in showcase.TABLES.rglob("*.*")}
    assert there == {path for page in showcase.pages() for path in used(page.read_text(encoding="utf-8"))}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("case=d1k1 variant=paper final_ratio", "0.0122"),
        ("case=d1k1 variant=paper final_ratio percent", "1.22 %"),
        ("case=d1k1 variant=paper final_ratio .2f", "0.01"),
        ("case=d1k1 variant=paper -difference", "0.500"),
        ("case=d1k1 min(final_ratio)", "0.0122"),
        ("max(final_ratio) .0f", "12"),
        ("case=d1k1 count(final_ratio) .0f", "2"),
        ("positive(difference) .0f", "1"),
        ("case=d1k1 min(final_ratio) / 0.001 .1f", "12.2"),
        ("case=d1k1 variant=mean_cost final_ratio / some case=d1k1 variant=paper final_ratio", "2.45"),
        ("case=d1k1 variant=mean_cost final_ratio - some case=d1k1 variant=paper final_ratio .5f", "0.01777"),
        ("case=d2k2 final_ratio / some case=d2k2 difference / 100 .3f", "0.125"),
        ("'variant=two words' final_ratio", "0.250"),
    ],
)
def test_number(tables: Path, words: str, text: str) -> None:
    assert value(f"some {words}", tables) == text
    line = f"It is <!--= some {words} -->1.00<!--=-->, not more."
    assert renewed(line, tables) == f"It is <!--= some {words} -->{text}<!--=-->, not more."
    assert set(used(line)) == {Path("some.csv")}


def test_quotient_of_two_tables(tables: Path) -> None:
    (tables / "other.csv").write_text("case,cost\nd1k1,4\n")
    line = "It is <!--= some case=d2k2 final_ratio / other cost .3f -->1<!--=-->."
    assert renewed(line, tables) == line.replace(">1<", ">3.125<")
    assert list(used(line)) == [Path("some.csv"), Path("other.csv")]


def test_files_of_tables(tmp_path: Path) -> None:
    places = {
        "figure1": "tables/figure1",
        "benchmarks/demands": "benchmarks/demands",
        "toso2024_met": "papers/toso2024/results/tables/toso2024_met",
        "toso2024/adaptation": "papers/toso2024/results/tables/adaptation",
    }
    assert {name: source_of(name, tmp_path) for name in places} == {
        name: tmp_path / path for name, path in places.items()
    }


def test_tables_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, copies, page = tmp_path / "results" / "tables", tmp_path / "copies", tmp_path / "page.md"
    for folder, name in ((results, "some.csv"), (results, "unused.csv"), (copies, "old.csv")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(CSV)
    page.write_text("It is <!--= some case=d2k2 final_ratio -->1<!--=-->.")
    monkeypatch.setattr(showcase, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(showcase, "TABLES", copies)
    monkeypatch.setattr(showcase, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(showcase, "pages", lambda: [page])
    showcase.main()
    assert {path.name for path in copies.iterdir()} == {"some.csv"}
    assert page.read_text() == "It is <!--= some case=d2k2 final_ratio -->12.5<!--=-->."


def test_table(tables: Path) -> None:
    assert renewed(asked(""), tables) == asked("").replace("old\n", MARKDOWN)
    assert list(used(asked(""))) == [Path("some.md")]


def test_rows_of_a_table(tables: Path) -> None:
    page = asked(" where case = d2k2")
    heading, rule, _, row = MARKDOWN.splitlines(keepends=True)
    assert renewed(page, tables) == page.replace("old\n", heading + rule + row)
    page = asked(" where case = d2k2 or d1k1")
    assert renewed(page, tables) == page.replace("old\n", MARKDOWN)


def test_columns_of_a_table(tables: Path) -> None:
    page = asked(" with ratio and case")
    new = "| ratio | case |\n| ----: | ---- |\n| 0.012 | d1k1 |\n|  12.5 | d2k2 |\n"
    assert renewed(page, tables) == page.replace("old\n", new)
    page = asked(" where case = d2k2 with ratio")
    assert renewed(page, tables) == page.replace("old\n", "| ratio |\n| ----: |\n|  12.5 |\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("case=d1k1 final_ratio", "2 rows, not one; give a KEY=VALUE for each key"),
        ("case=d3k3 final_ratio", "0 rows, not one"),
        ("case=d2k2 ratio", "no column 'ratio', but case, variant"),
        ("kase=d2k2 final_ratio", "no column 'kase'"),
        ("mode(final_ratio)", "mode is none of min"),
        ("case=d2k2", "should be NAME KEY=VALUE"),
        ("case=d2k2 final_ratio percent .3f", "should be NAME KEY=VALUE"),
        ("case=d2k2 final_ratio / other", "should be NAME KEY=VALUE"),
        ("case=d2k2 final_ratio / other cost", "no other.csv in docs/tables"),
    ],
)
def test_wrong_numbers(tables: Path, words: str, message: str) -> None:
    with pytest.raises(ShowcaseError, match=message.replace("(", r"\(").replace(")", r"\)")):
        value(f"some {words}", tables)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (asked("").replace("some", "other"), "there is no other.md in docs/tables; run `make showcase`"),
        (asked(" where kase = d1k1"), "no column 'kase'"),
        (asked(" where case = d3k3"), "no such row"),
        (asked(" with case and cost"), "no column 'cost'"),
        (asked("").replace("end of some", "end"), "the part some does not end"),
        ("The ratio is\n<!--= some case=d2k2 final_ratio -->12.5<!--=-->.", "write a word before the number"),
        ("- <!--= some case=d2k2 final_ratio -->12.5<!--=-->", "write a word before the number"),
    ],
)
def test_wrong_tables(tables: Path, page: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        renewed(page, tables)


def test_figures_are_small(tmp_path: Path) -> None:
    from io import BytesIO

    import numpy as np
    from PIL import Image

    drawn = np.full((400, 3200, 3), 255, dtype=np.uint8)
    drawn[100:300, 400:2800] = (0, 114, 178)
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    with Image.open(BytesIO(small(tmp_path / "drawn.png"))) as copied:
        assert copied.size == (1600, 200)
        assert copied.convert("RGB").getpixel((800, 100)) == (0, 114, 178)
        assert copied.convert("RGB").getpixel((10, 10)) == (255, 255, 255)
    with Image.open(BytesIO(small(tmp_path / "drawn.png", (640, 40)))) as copied:
        assert copied.size == (320, 40)


def test_small_figures_keep_the_colours_of_thin_lines() -> None:
    """The blue and the green of the lines are apart by 60; the palette of the median cut errs by 90."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    path = ROOT / "docs" / "figures" / "exact_methods.png"
    with Image.open(BytesIO(small(path, (640, 720)))) as copied, Image.open(path) as drawn:
        found = np.asarray(copied.convert("RGB"), dtype=int)
        expected = np.asarray(drawn.convert("RGB").resize(copied.size, Image.Resampling.LANCZOS), dtype=int)
    assert np.abs(found - expected).max() < 30

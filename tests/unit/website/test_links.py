"""Links of the site's pages: where they lead, and what is said of those that lead nowhere."""

from pathlib import Path

import pytest

from website import build
from website.links import LinkError, Links


@pytest.fixture
def links(tmp_path: Path) -> Links:
    (tmp_path / "docs").mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "own.py").write_text('"""Own."""\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\n")
    (tmp_path / "Snakefile").write_text("rule all:\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    return Links(tmp_path, {"docs/one.md": "one.md", "docs/other.md": "other.md", "NOTES.md": "project/notes.md"})


def rewritten(links: Links, text: str, source: str = "docs/one.md") -> str:
    (links.root / source).write_text(text)
    return links.rewritten(source)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("[other](other.md)", "[other](other.md)"),
        ("[part](other.md#a-part)", "[part](other.md#a-part)"),
        ("[part](#a-part)", "[part](#a-part)"),
        ("[elsewhere](https://example.org/a.md)", "[elsewhere](https://example.org/a.md)"),
        ("[example](../examples/own.py)", "[example](files/examples/own.py.md)"),
        ("`[code](nowhere.md)`", "`[code](nowhere.md)`"),
        ("```\n[code](nowhere.md)\n```", "```\n[code](nowhere.md)\n```"),
    ],
)
def test_a_link_leads_to_the_page_of_its_file(written: str, found: str, links: Links) -> None:
    assert rewritten(links, written) == found


def test_a_link_of_a_page_in_another_folder(links: Links) -> None:
    assert rewritten(links, "[other](docs/other.md)", "NOTES.md") == "[other](../other.md)"


@pytest.mark.parametrize("target", ["nowhere.md", "../../outside.md", "../examples"])
def test_a_link_that_leads_nowhere(target: str, links: Links) -> None:
    with pytest.raises(LinkError, match=r"docs/one\.md: the link to .* leads to no file of the project"):
        rewritten(links, f"[there]({target})")


@pytest.mark.parametrize(
    ("path", "language"), [("examples/own.py", "python"), ("Snakefile", "python"), ("CITATION.cff", "text")]
)
def test_a_file_is_shown_as_it_is(path: str, language: str, links: Links) -> None:
    page = links.shown(path)
    assert page.startswith("---\norphan: true\n---\n")
    assert f"```{language}\n{(links.root / path).read_text()}```\n" in page


def test_every_page_is_in_the_menu_once() -> None:
    """Which Sphinx does not ask of a page that another page's list has."""
    named = [name for names in build.menu().values() for name in names]
    assert len(named) == len(set(named))
    pages = {path.stem for path in (build.ROOT / "docs").glob("*.md")} - {"index"}
    further = {Path(page).stem for page in build.FURTHER.values()}
    assert set(named) == pages | further | {"api/index"}

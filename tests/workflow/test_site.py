"""The site as `make docs` builds it, and in a browser, from its files."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from browser import Page
from places import ROOT

from website import build

# The site is built once, in most of a minute: Sphinx reads every docstring, and repeats no warning of what it has read.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as by `make docs`, silently: a warning would be an error."""
    folder = tmp_path_factory.mktemp("site")
    program = "import sys, pathlib; from website import build; sys.exit(build.build(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "site"


@pytest.fixture(scope="module")
def opened(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if browser.program() is None:
        pytest.skip("no Chromium on this machine; `make browser` installs Debian's")
    with browser.tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def test_every_page_and_every_public_name_is_there(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    for names in build.menu().values():
        assert all(f'href="{name}.html' in text for name in names)
    library = (site / "api" / "metalqr.html").read_text(encoding="utf-8")
    assert 'id="metalqr.MetaSettings"' in library
    assert (site / "api" / "metalqr.prediction.html").is_file()


def test_nothing_comes_from_the_network(site: Path) -> None:
    loads = re.compile(r"""<(?:script|img|iframe)[^>]*\bsrc=["'](?:https?:)?//|<link[^>]*\bstylesheet[^>]*https?://""")
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text(encoding="utf-8")), page


def test_the_files_that_pages_link_to_are_shown(site: Path) -> None:
    shown = (site / "files" / "examples" / "own_estimator.py.html").read_text(encoding="utf-8")
    assert "running_baseline" in shown


def test_it_opens_from_its_files_without_a_complaint(opened: Page, site: Path) -> None:
    for page in ("index.html", "theory.html", "api/metalqr.html", "gallery.html"):
        opened.open(site / page, "true")
        assert opened.value("document.querySelector('h1').innerText.length > 0")
        assert opened.value("[...document.images].every(each => each.complete && each.naturalWidth > 0)"), page
    assert opened.complaints == []
    assert {address.partition(":")[0] for address in opened.requests} <= {"file", "data"}


@pytest.mark.parametrize(("width", "pages"), [(400, "*.html"), (400, "api/*.html"), (1400, "*.html")])
def test_no_page_is_wider_than_the_window(width: int, pages: str, opened: Page, site: Path) -> None:
    opened.show(width, 900)
    for path in sorted(site.glob(pages)):
        opened.open(path, "true")
        assert opened.value("document.documentElement.scrollWidth") <= width, path.name


def test_the_search_finds_a_page_and_a_name(opened: Page, site: Path) -> None:
    address = (site / "search.html").resolve().as_uri()
    for words, page in (("certificate", "certificates.html"), ("shared_gain", "api/metalqr.optimal.html")):
        opened.call("Page.navigate", url=f"{address}?q={words}")
        opened.wait("document.querySelectorAll('#search-results li a').length")
        # They come one after the other.
        links = "[...document.querySelectorAll('#search-results li a')]"
        opened.wait(f"{links}.some(each => each.href.includes({json.dumps(page)}))")
    assert opened.complaints == []


def test_the_workflow_publishes_what_make_docs_builds() -> None:
    text = (ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
    assert "run: make docs" in text
    assert "path: build/site" in text

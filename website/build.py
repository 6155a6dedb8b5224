"""The source of the site, put together in ``build/docs``, and the site that Sphinx makes of it in ``build/site``."""

import shutil
import sys
from pathlib import Path

import yaml
from sphinx.cmd.build import build_main

from website import api
from website.links import LinkError, Links

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "website"
#: Files outside docs/ that are pages, and where.
FURTHER = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def menu() -> dict[str, list[str]]:
    """The pages of the menu, by heading."""
    return dict(yaml.safe_load((HERE / "nav.yaml").read_text(encoding="utf-8")))


def source() -> dict[str, str]:
    """The text of every page of the site, by its path.

    Raises
    ------
    LinkError
        If a link of a page leads to no file of the project.
    """
    own = {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    links = Links(ROOT, own | FURTHER | {"README.md": "index.md"})
    links.rewritten("README.md")  # for its links; it is the home of the project on GitHub, not of the site
    pages = {page: links.rewritten(path) for path, page in (own | FURTHER).items()}
    pages["index.md"] += "".join(_toctree(heading, names) for heading, names in menu().items())
    pages |= {page: links.shown(path) for path, page in links.files.items()}
    return pages | api.pages()


def _toctree(heading: str, names: list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *names, "```", ""])


def assemble(folder: Path) -> None:
    """Write the source of the site into a new folder."""
    for name, text in source().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "figures", folder / "figures")


def build(build_folder: Path, *options: str) -> int:
    """Build the site into the folder ``site`` of a folder; a warning is an error. The exit code of Sphinx.

    All is built anew: of pages that it read before, Sphinx does not repeat the warnings.
    """
    pages, trees, site = (build_folder / name for name in ("docs", "doctrees", "site"))
    for old in (pages, trees, site):
        shutil.rmtree(old, ignore_errors=True)
    assemble(pages)
    strict = ["--fail-on-warning", "--nitpicky", "--quiet", "--jobs", "auto"]
    return build_main([*strict, *options, "-c", str(HERE), "-d", str(trees), str(pages), str(site)])


def main() -> None:
    """Build the site into ``build/site`` of the project."""
    try:
        code = build(ROOT / "build", *sys.argv[1:])
    except LinkError as error:
        sys.exit(f"Error: {error}")
    if code == 0:
        print(f"Site: {ROOT / 'build' / 'site' / 'index.html'}")
    sys.exit(code)

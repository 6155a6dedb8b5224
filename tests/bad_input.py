"""The tables of docs/bad-input.md, which tests take their rows from: the messages there are those that a user gets."""

import codecs
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bad-input.md"


def rows(heading: str) -> list[Any]:
    """The rows of a section's tables, without the first column and the code marks."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[1].startswith("`"):
            found.append(pytest.param(*(cell.strip("`") for cell in cells[1:]), id=cells[0]))
    assert found, heading
    return found


def unescaped(cell: str) -> bytes:
    r"""The content of a file that a table gives in one line, with `\n`, `\t` and `\xff`."""
    return codecs.decode(cell, "unicode_escape").encode("latin-1")

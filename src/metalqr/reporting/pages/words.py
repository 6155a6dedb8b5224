"""Captions and tables as HTML."""

from __future__ import annotations

import html
import re


def html_of(caption: str) -> str:
    """A caption in reStructuredText as HTML, with its mathematics in MathML."""
    from docutils.core import publish_parts

    # Nothing from files, no configuration of the user, and no messages of the parser within the page.
    settings = {
        "file_insertion_enabled": False, "raw_enabled": False, "_disable_config": True, "report_level": 5,
        "math_output": "MathML", "input_encoding": "unicode",
    }  # fmt: skip
    return str(publish_parts(caption, writer="html5", settings_overrides=settings)["body"])


def table_of(markdown: str) -> str:
    r"""A table in Markdown, as :func:`metalqr.reporting.tables.markdown.to_markdown` writes it, as HTML.

    Examples
    --------
    >>> table_of("| d |\n| --: |\n| 2 |\n")
    '<table><thead><tr><th scope="col">d</th></tr></thead><tbody><tr><td>2</td></tr></tbody></table>'
    """
    rows = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in markdown.splitlines()
    ]
    if not rows:
        return "<table><thead><tr><th>No rows</th></tr></thead><tbody></tbody></table>"
    head, rules, *body = rows
    looks = ["" if rule.endswith(":") else ' class="words"' for rule in rules]
    heads = "".join(f'<th{look} scope="col">{html.escape(cell)}</th>' for cell, look in zip(head, looks, strict=True))
    lines = "".join(
        f"<tr>{''.join(f'<td{look}>{html.escape(cell)}</td>' for cell, look in zip(row, looks, strict=True))}</tr>"
        for row in body
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"

"""Mathematics of the pages as MathML."""

import logging

import pytest
from docutils import nodes

from website.mathml import mathml


def test_a_formula_in_a_line() -> None:
    assert mathml(nodes.math("", "K_i^*"), block=False) == (
        "<math><msubsup><mi>K</mi><mi>i</mi><mo>∗</mo></msubsup></math>"
    )


def test_lines_are_aligned() -> None:
    found = mathml(nodes.math_block("", r"a &= b \\ &= c"), block=True)
    assert found.startswith('<math display="block">')
    assert found.count("<mtr>") == 2


def test_what_is_no_formula_is_shown_and_told(caplog: pytest.LogCaptureFixture) -> None:
    # Sphinx's logger does not hand on what it is told, unless Sphinx runs.
    with caplog.at_level(logging.WARNING, "sphinx.website.mathml"):
        found = mathml(nodes.math("", r"\nonsense < 1"), block=False)
    assert found == r"<code>\nonsense &lt; 1</code>"
    assert r"the formula \nonsense < 1 cannot be converted" in caplog.text

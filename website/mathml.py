"""Mathematics as MathML, which browsers draw without a script or a network. A formula that is not TeX is a warning."""

import html
import re
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

LOG = logging.getLogger(__name__)
_CONVERTER = LatexToMathML(fancy_error=False)
_SEVERAL_LINES = re.compile(r"(?<!\\)&")


def mathml(node: nodes.Element, *, block: bool) -> str:
    """The formula of a node; its source where it cannot be converted."""
    source = node.astext().strip()
    # Sphinx lets a displayed formula have several lines, aligned at &.
    if block and _SEVERAL_LINES.search(source) and not source.startswith(r"\begin{"):
        source = rf"\begin{{aligned}}{source}\end{{aligned}}"
    try:
        return _CONVERTER.convert_with_local_state(source, displaystyle=block)
    except LatexError as error:
        LOG.warning("the formula %s cannot be converted: %s", source, error, location=node, type="mathml")
        return f"<code>{html.escape(source)}</code>"


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

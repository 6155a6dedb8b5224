"""The settings of Sphinx, in its own names. ``website/build.py`` puts the pages together and calls it."""

from typing import Any

from metalqr import __version__

project = "metalqr"
author = "metalqr authors"
copyright = author
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "website.mathml",
    "website.references",
    "website.signatures",
]
root_doc = "index"
exclude_patterns: list[str] = []

# Pages in Markdown are what GitHub shows: its anchors, and mathematics between dollars.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Each page of api/ names what it documents, from the code.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"metalqr {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# A browser lets no page read another from files, and a search that tries has an error for each result.
html_show_search_summary = False
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .go"

# The colours of results/page.html.
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0060a8",
        "color-brand-content": "#0060a8",
        "color-brand-visited": "#0060a8",
    },
    "dark_css_variables": {
        "color-background-primary": "#14171b",
        "color-background-secondary": "#1b1f25",
        "color-foreground-primary": "#e8ebee",
        "color-foreground-secondary": "#a5aeb8",
        "color-brand-primary": "#7cc0ff",
        "color-brand-content": "#7cc0ff",
        "color-brand-visited": "#7cc0ff",
    },
}


def _without_menu(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    if page.startswith("_modules/"):
        context["toctree"] = lambda **options: ""


def setup(app: Any) -> None:
    """Leave the menu out of the pages of the code, hundreds of them, for which Sphinx would make it anew each time."""
    app.connect("html-page-context", _without_menu, priority=400)

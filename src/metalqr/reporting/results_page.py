"""The list of all files under results/, and the contents of each: the generated parts of docs/results.md.

``make schema`` runs this module as a program; a test fails when the pages are out of date. What is in a dataset is
taken from its layout, and what is in a figure or a table from its plug-in.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from metalqr.config.outputs import EACH
from metalqr.config.registries import figures, sections, tables
from metalqr.config.registry import Registry
from metalqr.config.schema import ROOT, with_tables
from metalqr.reporting.result_files import FILES
from metalqr.results.layout import Kind, NonFinite, Variable

OVERVIEW = ROOT / "results" / "README.md"
PAGE = ROOT / "docs" / "results.md"


def shown(path: str) -> str:
    """A path with its wildcards in capitals."""
    return re.sub(r"\{(\w+)\}", lambda wildcard: wildcard[1].upper(), path)


def overview() -> str:
    """The table of all files in Markdown, for results/README.md."""
    rows = (f"| `{shown(each.path)}` | {each.stage} | {each.contents} |\n" for each in FILES)
    return "| place | stage | contents |\n|---|---|---|\n" + "".join(rows)


def parts() -> dict[str, str]:
    """The generated parts of docs/results.md, by name."""
    return {
        "the datasets": "".join(_datasets()),
        "the figures": "".join(_products(figures, "results/figures/{}.pdf", " (also .svg and .png)")),
        "the tables": "".join(_products(tables, "results/tables/{}.md", " (also .csv)")),
        "the sections of the page": "".join(_products(sections, "results/sections/{}.json", "")),
    }


def _datasets() -> Iterator[str]:
    for layout in {id(each.layout): each.layout for each in FILES if each.layout}.values():
        files = [each for each in FILES if each.layout is layout]
        yield f"\n### {layout.title}\n\n"
        for each in files:
            yield f"- `results/{shown(each.path)}`: {_from_docs(each.contents)}; `{each.reader}`\n"
        yield "\n| name | dimensions | unit | values | meaning |\n|---|---|---|---|---|\n"
        for mark, group in (
            ("", layout.coordinates),
            ("", layout.variables),
            (" (not in every file)", layout.optional),
        ):
            for name, variable in group.items():
                yield _row(f"`{name}`{mark}", variable)
        named = ", ".join(f"`{name}`" for name in layout.attributes)
        yield f"\nAttributes beside those of every file: {named}.\n"


def _row(name: str, variable: Variable) -> str:
    dims = ", ".join(f"{dim} (or none)" if dim == variable.optional else dim for dim in variable.dims)
    cells = [name, dims, variable.units or "", _values(variable), variable.long_name]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _values(variable: Variable) -> str:
    """The type of the values and what they may be besides, in few words."""
    if variable.choices:
        return ", ".join(f"`{each}`" for each in variable.choices)
    words = {Kind.REAL: "real", Kind.WHOLE: "whole", Kind.TEXT: "text", Kind.SETTING: "any", Kind.JSON: "JSON"}
    besides = []
    for special, word in ((NonFinite.NAN, "NaN"), (NonFinite.INFINITE, "infinite")):
        if special in variable.may_be | variable.may_end_as:
            besides.append(word if special in variable.may_be else f"{word} at the end")
    return ", ".join([words[variable.kind], *besides])


def _products(registry: Registry[Any], pattern: str, also: str) -> Iterator[str]:
    for plugin in registry:
        file = getattr(plugin, "file", "") or plugin.name
        each = "experiment" if plugin.reads == "datasets" else "case"
        one = f", one for each {each} NAME" if EACH in file else ""
        yield f"\n### {registry.kind} {plugin.name}\n\n"
        yield f"`{pattern.format(file.replace(EACH, 'NAME'))}`{also}{one}; made of `{plugin.reads}`.\n\n"
        yield inspect.cleandoc(plugin.__doc__ or "").replace("``", "`") + "\n"


def _from_docs(text: str) -> str:
    """The text with the links of results/ as docs/ has them."""
    return text.replace("](../docs/", "](")


def main() -> None:
    """Write the table of results/README.md, and the page."""
    for path, found in ((OVERVIEW, {"the files": overview()}), (PAGE, parts())):
        path.write_text(with_tables(path.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The page: one HTML file with every section, figure and table, which needs no network and no other file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import yaml

from metalqr import __version__
from metalqr.reporting.pages.embedding import Budget, text_uri
from metalqr.reporting.pages.words import html_of, table_of

#: The name of the page, and the sentence under it.
TITLE = "metalqr: results"
LEAD = (
    "Zeroth-order meta-policy optimisation for linear quadratic regulators. Point at a curve for its values, or "
    "move along it with the arrow keys; switch curves, cases and axes above each chart."
)
#: Makes the file after it again.
COMMAND = ".venv/bin/snakemake --cores all --force"
#: The heading of what belongs to no section.
REST = "More"
_ASSETS = Path(__file__).parent / "assets"
#: In this order: each uses those before it.
_SCRIPTS = ("theme.js", "chart.js", "controls.js", "table.js", "cursor.js", "page.js")

#: What the library leaves for the scripts of the page.
_GLOBAL = "window.vegaEmbed = vegaEmbed;"

Entry = Mapping[str, Any]


def page(results: Path, entries: Sequence[Entry], changes: Sequence[Sequence[str]] = ()) -> str:
    """The page.

    Parameters
    ----------
    results : Path
        The folder of the files; what does not fit into the page is linked relative to it.
    entries : sequence of mappings
        As :meth:`metalqr.config.page_plan.PagePlan.entries` returns them.
    changes : sequence of (key, value in config.yaml, value here)
        As :func:`metalqr.config.differences.differences` returns them.

    Returns
    -------
    str
        HTML, of at most :data:`metalqr.reporting.pages.embedding.LIMIT` bytes unless the charts alone are larger.
    """
    loaded = {
        name: json.loads((results / "sections" / f"{name}.json").read_text("utf-8"))
        for name in _names(entries, "section")
    }
    sections = dict(sorted(loaded.items(), key=lambda item: item[1]["place"]))
    places = {shown: section["category"] for section in sections.values() for shown in section["shows"]}
    headings = list(dict.fromkeys([*(section["category"] for section in sections.values() if section["charts"]), REST]))
    groups: dict[str, dict[str, Any]] = {
        heading: {"category": heading, "id": _identifier(heading), "charts": [], "figures": [], "tables": []}
        for heading in headings
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    origin = environment.get_template("origin.html.jinja")
    described = {(entry["kind"], entry["name"]): _origin(entry) for entry in entries}
    data = []
    for name, section in sections.items():
        for number, chart in enumerate(section["charts"]):
            known = {**chart, "id": _identifier(f"{name}-{number}")}
            groups[section["category"]]["charts"].append({**known, "origin": described["section", name]})
            data.append({key: known[key] for key in ("id", "spec", "x", "y", "curves", "choices", "switches", "table")})
    tables = [entry for entry in entries if entry["kind"] == "table"]
    shown_tables = [(entry, _table(results, entry, described["table", entry["name"]])) for entry in tables]
    charts = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    library = _library()
    budget = Budget(
        len(charts.encode()) + len(library.encode()) + sum(len(str(table).encode()) for _, table in shown_tables)
    )
    ranks = {shown: place for place, shown in enumerate(places)}
    figures = [entry for entry in entries if entry["kind"] == "figure"]
    figures.sort(key=lambda entry: ranks.get(entry["plugin"], len(ranks)))
    images = {entry["name"]: budget.image(results, f"figures/{entry['name']}.png") for entry in figures}
    for entry in figures:
        file = budget.file(results, f"figures/{entry['name']}.pdf", "application/pdf")
        _group(groups, places, entry)["figures"].append(
            _figure(entry, images[entry["name"]], file, described["figure", entry["name"]])
        )
    for entry, table in shown_tables:
        _group(groups, places, entry)["tables"].append(table)
    return environment.get_template("page.html.jinja").render(
        title=TITLE, lead=LEAD, changes=changes, version=__version__, beside=budget.is_spent, charts=charts,
        library=library,
        groups=[group for group in groups.values() if group["charts"] or group["figures"] or group["tables"]],
        style=_read("page.css"), scripts=[_read(name) for name in _SCRIPTS],
        origin=lambda given: markupsafe.Markup(origin.render(given)),
    )  # fmt: skip


def _names(entries: Iterable[Entry], kind: str) -> list[str]:
    return [entry["name"] for entry in entries if entry["kind"] == kind]


def _group(groups: Mapping[str, dict[str, Any]], places: Mapping[str, str], entry: Entry) -> dict[str, Any]:
    """The group of a figure or table: that of the section that names it, that of its category, or the last one."""
    for heading in (places.get(entry["plugin"]), entry["category"]):
        if isinstance(heading, str) and heading in groups:
            return groups[heading]
    return groups[REST]


def _origin(entry: Entry) -> dict[str, Any]:
    forms = {"section": "json", "figure": "pdf", "table": "csv"}
    file = f"results/{entry['kind']}s/{entry['name']}.{forms[entry['kind']]}"
    target = f"{COMMAND} {file}" + (f"\n{COMMAND} results/page.html" if entry["kind"] == "section" else "")
    settings = yaml.safe_dump(
        entry["settings"], sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    return {"files": entry["data"], "command": target, "settings": settings}


def _figure(entry: Entry, image: str, file: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    name = entry["name"]
    first, _, more = entry["caption"].partition("\n\n")
    return {
        "id": _identifier(f"figure-{name}"),
        "name": name,
        "title": f"Figure: {name}",
        "see": entry["see"],
        "caption": html_of(first),
        "more": html_of(more) if more else "",
        "image": image,
        "pdf": file,
        "origin": origin,
    }


def _table(results: Path, entry: Entry, origin: Mapping[str, Any]) -> dict[str, Any]:
    name = entry["name"]
    return {
        "id": _identifier(f"table-{name}"),
        "name": name,
        "caption": html_of(entry["caption"]),
        "html": table_of((results / "tables" / f"{name}.md").read_text("utf-8")),
        "href": text_uri((results / "tables" / f"{name}.csv").read_text("utf-8"), "text/csv"),
        "origin": origin,
    }


def _identifier(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower())


def _read(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed of the version that Altair writes for, as one script."""
    import altair as alt
    import vl_convert

    version = alt.SCHEMA_VERSION.rpartition(".")[0]
    return str(vl_convert.javascript_bundle(_GLOBAL, version)).replace("</script", "<\\/script")

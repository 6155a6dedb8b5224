"""The parts of docs/systems.md that follow from the code: the table of named systems, and a section for each.

``make schema`` runs this module as a program; a test fails when the page is out of date.
"""

from collections.abc import Iterator

from metalqr.config.schema import ROOT, with_tables
from metalqr.config.settings import Declaration
from metalqr.evaluation.systems import SystemFacts, described, percent, system_facts
from metalqr.systems.catalogue import names
from metalqr.systems.system import SystemSettings

PAGE = ROOT / "docs" / "systems.md"

#: No default is this.
MISSING = object()
_HEADING = (
    "| system | d | k | ρ(A) | J* | J(K_0) | differs most over | excess | source |\n"
    "|---|---:|---:|---:|---:|---:|---|---:|---|\n"
)
_PARAMETERS = (
    "| parameter | symbol | default | unit | allowed | typical | excess there | meaning |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def parts() -> dict[str, str]:
    """The parts in Markdown by name."""
    found = [system_facts(name) for name in names()]
    return {
        "the named systems": _HEADING + "".join(map(_row, found)),
        "the settings of all systems": "".join(_settings(SystemSettings.declarations())),
        "the single systems": "\n".join(map(_section, found)),
    }


def _row(facts: SystemFacts) -> str:
    family = facts.family
    d, k = family.dimensions
    parameter, largest = facts.largest_heterogeneity
    cells = [
        f"[{family.name}](#{family.name})",
        *map(str, (d, k)),
        f"{facts.radius:.3f}",
        f"{facts.optimum:.3g}",
        f"{facts.initial:.3g}",
        f"`{parameter}`" if parameter else "",
        percent(largest) if parameter else "",
        family.reference,
    ]
    return f"| {' | '.join(cells)} |\n"


def _section(facts: SystemFacts) -> str:
    family = facts.family
    parameters = family.settings.parameters()
    declared = {each.name: each for each in family.settings.declarations()}
    lines = [f"### {family.name}\n", described(type(family)) + "\n", f"Source: {family.reference}.\n"]
    lines.append(f"- States: {_listed(family.states)}\n- Inputs: {_listed(family.inputs)}\n")
    lines.append(f"![Response of {family.name} to a step](figures/systems/{family.name}.png)\n")
    if parameters:
        rows = [_parameter(facts, declared[name]) for name in parameters]
        lines.append(_PARAMETERS + "".join(rows))
    # Of the shared settings those whose default is the system's own.
    shared = {each.name: each.default for each in SystemSettings.declarations()}
    own = [
        each for name, each in declared.items() if name not in parameters and each.default != shared.get(name, MISSING)
    ]
    if own:
        lines.append("".join(_settings(own)))
    return "\n".join(lines)


def _listed(entries: tuple[str, ...]) -> str:
    shown = entries if len(entries) <= 6 else (*entries[:2], "...", entries[-1])
    return ", ".join(shown)


def _parameter(facts: SystemFacts, declared: Declaration) -> str:
    each, values = facts.family.settings.parameters()[declared.name], facts.heterogeneity[declared.name]
    symbol = f"${declared.symbol}$" if declared.symbol else ""
    cells = [
        f"`{declared.name}`",
        symbol,
        f"{declared.default:g}",
        each.unit,
        f"{each.low:g} to {each.high:g}",
        ", ".join(f"{value:.3g}" for value in values),
        ", ".join(map(percent, values.values())),
        declared.about,
    ]
    return f"| {' | '.join(cells)} |\n"


def _settings(settings: "Iterator[Declaration] | list[Declaration]") -> Iterator[str]:
    yield "| setting | default | unit | meaning |\n|---|---|---|---|\n"
    for each in settings:
        yield f"| `{each.name}` | `{each.default}` | {each.unit} | {each.about} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), parts()), encoding="utf-8")


if __name__ == "__main__":
    main()

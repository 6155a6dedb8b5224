"""The command ``metalqr systems``: the named systems."""

import argparse
import sys
from collections.abc import Iterable

from metalqr.commands.command import Commands, added, columns, shown

_SYSTEMS = """\
List the named systems, plants with parameters in physical units, or describe one of them. In a config, a system is the
family of a case's tasks:

    tasks: {family: bus, speed: {low: 5, high: 15}, count: 5}

Columns: the state dimension d and the action dimension k; the spectral radius of A, which is stable below 1; the
optimal cost J* of a step; the cost J(K_0) of a step with initial_gain: {detuned: 40}; and the heterogeneity: the excess
cost of the default's optimal gain where the named parameter is at an end of its typical range. A family with a
heterogeneity far below 1 % has little to learn."""

_EXAMPLES = """\
examples:
  metalqr systems             all systems, a line each
  metalqr systems bus         states, inputs, parameters with units and ranges, and an example for a config"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(commands, "systems", "list the named systems, or describe one", _SYSTEMS, _EXAMPLES, _run)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a system to describe; without it, all are listed")


def _run(given: argparse.Namespace) -> int:
    try:
        return shown(_one_system(given.name) if given.name else _all_systems())
    except LookupError as error:
        print(f"metalqr: {error}", file=sys.stderr)
        return 2


def _all_systems() -> Iterable[str]:
    from metalqr.evaluation.systems import percent, system_facts
    from metalqr.systems.catalogue import names

    rows = [("system", "d", "k", "radius", "J*", "J(K_0)", "heterogeneity", "parameters")]
    for name in names():
        facts = system_facts(name)
        d, k = facts.family.dimensions
        parameter, largest = facts.largest_heterogeneity
        parameters = ", ".join(
            f"{key} [{each.unit}]" if each.unit else key for key, each in facts.family.settings.parameters().items()
        )
        spread = f"{percent(largest)} ({parameter})" if parameter else "none"
        rows.append(
            (
                name,
                str(d),
                str(k),
                f"{facts.radius:.3f}",
                f"{facts.optimum:.3g}",
                f"{facts.initial:.3g}",
                spread,
                parameters,
            )
        )
    yield from columns(rows)
    yield ""
    yield "metalqr systems NAME describes one; metalqr systems --help explains the columns."


def _one_system(name: str) -> Iterable[str]:
    from metalqr.evaluation.systems import described, example, percent, system_facts
    from metalqr.systems.system import SystemSettings

    facts = system_facts(name)
    family = facts.family
    yield name
    yield ""
    yield described(type(family), with_equations=False)
    yield ""
    yield f"Source: {family.reference}."
    yield ""
    yield f"states ({len(family.states)}): {', '.join(family.states)}"
    yield f"inputs ({len(family.inputs)}): {', '.join(family.inputs)}"
    yield ""
    parameters = family.settings.parameters()
    declared = {each.name: each for each in family.settings.declarations()}
    if parameters:
        yield "Parameters, each a number, a range {low: ..., high: ...} or a list with a value for each task:"
        yield ""
        rows = [("name", "default", "unit", "allowed", "meaning", "excess of the default's optimal gain")]
        for key, each in parameters.items():
            losses = ", ".join(f"{percent(loss)} at {value:.3g}" for value, loss in facts.heterogeneity[key].items())
            ends = f"{each.low:g} to {each.high:g}"
            rows.append((key, f"{declared[key].default:g}", each.unit, ends, declared[key].about, losses))
        yield from columns(rows)
    else:
        yield "It has no parameter to vary: a single task, count: 1."
    others = [each for each in declared.values() if each.name not in parameters]
    yield ""
    yield "Other settings:"
    yield ""
    own = [each for each in others if each.name not in SystemSettings.names()]
    shared = [each for each in others if each.name in SystemSettings.names()]
    yield from columns([(each.name, str(each.default), each.unit, each.about) for each in (*own, *shared)])
    yield ""
    yield f"spectral radius of A                          {facts.radius:.6g}"
    yield f"spectral radius of A - B K*                   {facts.optimal_radius:.6g}"
    yield f"optimal cost J* of a step                     {facts.optimum:.6g}"
    yield f"cost J(K_0) with initial_gain: {{detuned: 40}}  {facts.initial:.6g}, an excess of {percent(facts.detuned)}"
    yield ""
    yield "In a config:"
    yield ""
    yield f"  tasks: {example(facts)}"
    yield "  initial_gain: {detuned: 40}    # or stabilising"

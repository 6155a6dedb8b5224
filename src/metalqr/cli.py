"""The command ``metalqr``."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from metalqr import __version__
from metalqr.config import Plan
from metalqr.config.problems import ConfigError

_DESCRIPTION = """\
Meta-policy optimisation of linear quadratic regulators. The results of a config are computed by Snakemake, see
README.md; this command answers questions about what a config can name."""

_SYSTEMS = """\
List the named systems, plants with parameters in physical units, or describe one of them. In a config, a system is the
family of a case's tasks:

    tasks: {family: bus, speed: {low: 5, high: 15}, count: 5}

Columns: the state dimension d and the action dimension k; the spectral radius of A, which is stable below 1; the
optimal cost J* of a step; the cost J(K_0) of a step with initial_gain: {detuned: 40}; and the heterogeneity: the excess
cost of the default's optimal gain where the named parameter is at an end of its typical range. A family with a
heterogeneity far below 1 % has little to learn."""

_CHECK = """\
Check a config without running anything. The files are laid over config.yaml of this folder, or of the checkout that
metalqr is installed from, one after the other, as Snakemake does it with --configfile. Every problem is one line that
begins with the key or the file; warnings and what the config asks for follow where there is none."""

_ADVISE = """\
Recommend settings for a case: those with the least predicted final ratio within a budget of rollout steps. The config
is laid over config.yaml, as in metalqr check. Nothing is simulated; the model of every task is used. Prints a block to
paste into a config, the predicted curve, and what limits it. Takes about a minute for small gains."""

_EXAMPLES = """\
examples:
  metalqr systems             all systems, a line each
  metalqr systems bus         states, inputs, parameters with units and ranges, and an example for a config"""

_DEFAULT = "config.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process, and return its exit status."""
    parser = argparse.ArgumentParser("metalqr", description=_DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", action="version", version=f"metalqr {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    systems = commands.add_parser(
        "systems",
        help="list the named systems, or describe one",
        description=_SYSTEMS,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    systems.add_argument("name", nargs="?", metavar="NAME", help="a system to describe; without it, all are listed")
    systems.set_defaults(run=lambda given: _one_system(given.name) if given.name else _all_systems())
    check = commands.add_parser(
        "check",
        help="check a config without running it",
        description=_CHECK,
        epilog="example:\n  metalqr check mine.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("configs", nargs="*", metavar="CONFIG", help="a file to lay over config.yaml")
    check.set_defaults(run=lambda given: _checked(given.configs))
    advise = commands.add_parser(
        "advise",
        help="recommend settings for a case within a budget",
        description=_ADVISE,
        epilog="example:\n  metalqr advise mine.yaml --case d2k2 --budget 1e7",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    advise.add_argument("configs", nargs="*", metavar="CONFIG", help="a file to lay over config.yaml")
    advise.add_argument("--case", required=True, metavar="NAME", help="a case of the config")
    advise.add_argument(
        "--budget", required=True, type=float, metavar="STEPS", help="rollout steps, all tasks together"
    )
    advise.add_argument(
        "--adaptation-rate", type=float, default=0.0, metavar="ETA", help="of zeroth_order_maml; 0: none"
    )
    advise.add_argument("--common-noise", action="store_true", help="the simulator can replay its noise")
    advise.add_argument("--output", type=Path, metavar="FILE", help="a .csv file for the predicted curve")
    advise.set_defaults(run=_advised)
    given = parser.parse_args(arguments)
    try:
        lines = given.run(given)
        print("\n".join(lines))
    except LookupError as error:
        print(f"metalqr: {error}", file=sys.stderr)
        return 2
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _plan(files: Sequence[str]) -> Plan:
    from metalqr.config import read_configs
    from metalqr.config.reading import lay_over

    default = Path(_DEFAULT) if Path(_DEFAULT).exists() else Path(__file__).resolve().parents[2] / _DEFAULT
    (config, *changes), folder = read_configs([default, *files])
    for change in changes:
        lay_over(config, change)
    return Plan(config, folder)


def _advised(given: argparse.Namespace) -> Iterable[str]:
    from metalqr.advice.command import advised

    return advised(
        _plan(given.configs),
        given.case,
        given.budget,
        adaptation_rate=given.adaptation_rate,
        common_noise=given.common_noise,
        output=given.output,
    )


def _checked(files: Sequence[str]) -> Iterable[str]:
    plan = _plan(files)
    for warning in plan.warnings:
        yield f"Warning: {warning}"
    for name in plan.cases:
        case = plan.checked.cases[name]
        tasks = f"{case.family.count} tasks" if case.family.count > 1 else "1 task"
        yield f"case {name}: {tasks} of the family {case.family.name}, d = {case.state_dim}, k = {case.action_dim}"
    for name in plan.experiments:
        runs = len(plan.run_files(name))
        yield f"experiment {name}: {runs} runs" if runs > 1 else f"experiment {name}: 1 run"
    yield "The config can be used."


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
        shown = f"{percent(largest)} ({parameter})" if parameter else "none"
        rows.append(
            (
                name,
                str(d),
                str(k),
                f"{facts.radius:.3f}",
                f"{facts.optimum:.3g}",
                f"{facts.initial:.3g}",
                shown,
                parameters,
            )
        )
    yield from _columns(rows)
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
        yield from _columns(rows)
    else:
        yield "It has no parameter to vary: a single task, count: 1."
    others = [each for each in declared.values() if each.name not in parameters]
    yield ""
    yield "Other settings:"
    yield ""
    own = [each for each in others if each.name not in SystemSettings.names()]
    shared = [each for each in others if each.name in SystemSettings.names()]
    yield from _columns([(each.name, str(each.default), each.unit, each.about) for each in (*own, *shared)])
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


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The rows with their cells below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())

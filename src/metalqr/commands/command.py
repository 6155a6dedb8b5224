"""What all commands share."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from metalqr.config import Plan, read_configs
from metalqr.config.reading import lay_over

#: What a parser adds a command to.
Commands = Any
_DEFAULT = "config.yaml"


class CommandError(Exception):
    """A command cannot do what it was called for; the message says why, and the next step."""


def added(
    commands: Commands,
    name: str,
    about: str,
    description: str,
    examples: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """A new command; ``run`` returns its exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_configs(parser: argparse.ArgumentParser) -> None:
    """Add the config files that a command takes."""
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="a file to lay over config.yaml")


def shown(lines: Iterable[str], status: int = 0) -> int:
    """Print lines, once all are known, and return the exit status."""
    print("\n".join(lines), flush=True)
    return status


def planned(files: Sequence[str | Path]) -> Plan:
    """The plan of a config: of files that are laid over the default one, one after the other."""
    (config, *changes), folder = read_configs([_default(), *files])
    for change in changes:
        lay_over(config, change)
    return Plan(config, folder)


def _default() -> Path:
    """The config.yaml of the working directory, or else of a wheel, which setup.py puts there, or of a clone."""
    package = Path(__file__).resolve().parents[1]
    places = (Path(_DEFAULT), package / "config" / "default.yaml", package.parents[1] / _DEFAULT)
    return next((place for place in places if place.exists()), places[-1])


def columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The rows with their cells below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

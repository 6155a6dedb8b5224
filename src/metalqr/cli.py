"""The command ``metalqr``."""

import argparse
import sys
from collections.abc import Sequence

from metalqr import __version__
from metalqr.commands import advise, ask, check, run, systems, tell
from metalqr.commands.command import CommandError
from metalqr.common.threads import one_blas_thread
from metalqr.config.problems import ConfigError

_DESCRIPTION = """\
Meta-policy optimisation of linear quadratic regulators. The results of a config are computed by Snakemake, see
docs/using.md; this command answers questions about what a config can name, and trains single cases: on their model, on
a simulator of your own, or on a plant that is asked and told by files."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default those of the process, and return its exit status."""
    parser = argparse.ArgumentParser("metalqr", description=_DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", action="version", version=f"metalqr {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (systems, check, advise, run, ask, tell):
        command.add(commands)
    given, rest = parser.parse_known_args(arguments)
    # argparse takes configs in one place alone, so that those after an option may be left over.
    if not hasattr(given, "configs") or any(each.startswith("-") for each in rest):
        parser.parse_args(arguments)
    else:
        given.configs += rest
    one_blas_thread()  # as the jobs of the pipeline have it, so that the numbers are the same
    try:
        status: int = given.run(given)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except CommandError as error:
        print(f"metalqr: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())

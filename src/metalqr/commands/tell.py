"""The command ``metalqr tell``: costs that were measured elsewhere."""

import argparse
from pathlib import Path

from metalqr.commands.command import Commands, added, shown

_TELL = """\
Tell a run the costs of the gains that metalqr ask has written, and go on as far as they lead. See metalqr ask --help
for how to begin.

The table of costs has a line of names and the columns request and row, copied from the table of gains, and cost: the
mean cost of a step of the rollout. Give numbers all their digits (17). Rows may be in any order; further columns are
not read. For a rollout that went unstable write inf, nan or unstable as its cost; it then has the unstable_cost of the
case. The costs of all rows are told at once. A table that was told already changes nothing."""

_EXAMPLES = """\
example:
  metalqr tell state.nc costs.csv"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(commands, "tell", "read the costs of the gains that were asked for", _TELL, _EXAMPLES, _run)
    parser.add_argument("state", type=Path, metavar="STATE", help="the state file of the run")
    parser.add_argument("costs", type=Path, metavar="COSTS", help="the table of costs, such as costs.csv")


def _run(given: argparse.Namespace) -> int:
    from metalqr.commands.problems import as_command_errors
    from metalqr.exchange.command import told

    with as_command_errors():
        return shown(told(given.state, given.costs))

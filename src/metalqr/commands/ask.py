"""The command ``metalqr ask``: gains whose costs are to be measured elsewhere."""

import argparse
from pathlib import Path

from metalqr.commands.command import Commands, added, planned, shown

#: Exit status where the run has ended, so that a loop ends too.
ENDED = 3

_ASK = """\
Train on hardware, or on a simulation in another language: metalqr ask writes gains into a table, you make a rollout
with each and write its cost into another table, metalqr tell reads that, and so on until the run has ended. Between the
calls nothing runs; the state file has everything, so that any of them can be repeated after a crash.

The first call names a config and a case, and makes the state file. Give the case a block

    simulator: {tasks: [{}], state_dim: 2, action_dim: 1, unstable_cost: 100.0}

without a path, with an entry of tasks for each plant, and as initial_gain zero or the rows of a gain that is stable.
Leave the case out of the experiments.

Each row of the table of gains is a rollout to make: of the policy u = -K x with the entries K_1_1, K_1_2, ... of K, on
the plant task (0 is the first), for length steps. seed is for simulations: rows with the same seed share their noise.
Exit status: 0 if there are gains, 3 if the run has ended."""

_EXAMPLES = """\
examples:
  metalqr ask state.nc mine.yaml --case plant       begin: makes state.nc and gains.csv
  metalqr tell state.nc costs.csv                   costs.csv has the columns request, row and cost
  metalqr ask state.nc                              the next gains, or the trained gain"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(commands, "ask", "write the gains whose costs training needs next", _ASK, _EXAMPLES, _run)
    parser.add_argument("state", type=Path, metavar="STATE", help="the state file of the run, such as state.nc")
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help="to begin: a file to lay over config.yaml")
    parser.add_argument("--case", metavar="NAME", help="to begin: a case of the config")
    parser.add_argument("--seed", type=int, metavar="N", help="to begin: seed of the random numbers; by default 0")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("gains.csv"),
        metavar="FILE",
        help="the table of gains; by default gains.csv",
    )


def _run(given: argparse.Namespace) -> int:
    from metalqr.commands.problems import as_command_errors
    from metalqr.exchange.command import Begin, asked

    names_run = given.configs or given.case is not None or given.seed is not None
    with as_command_errors():
        begin = Begin(planned(given.configs), given.case, given.seed) if names_run else None
        lines, has_ended = asked(given.state, begin, given.output)
    return shown(lines, ENDED if has_ended else 0)

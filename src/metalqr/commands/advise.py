"""The command ``metalqr advise``: settings within a budget."""

import argparse
from pathlib import Path

from metalqr.commands.command import Commands, add_configs, added, planned, shown

_ADVISE = """\
Recommend settings for a case: those with the least predicted final ratio within a budget of rollout steps. The config
is laid over config.yaml, as in metalqr check. Nothing is simulated; the model of every task is used. Prints a block to
paste into a config, the predicted curve, and what limits it. Takes a few seconds for
small gains, and half a minute for those of 200 entries."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(
        commands,
        "advise",
        "recommend settings for a case within a budget",
        _ADVISE,
        "example:\n  metalqr advise mine.yaml --case d2k2 --budget 1e7",
        _run,
    )
    add_configs(parser)
    parser.add_argument("--case", required=True, metavar="NAME", help="a case of the config")
    parser.add_argument(
        "--budget", required=True, type=float, metavar="STEPS", help="rollout steps, all tasks together"
    )
    parser.add_argument(
        "--adaptation-rate", type=float, default=0.0, metavar="ETA", help="of zeroth_order_maml; 0: none"
    )
    parser.add_argument("--common-noise", action="store_true", help="the simulator can replay its noise")
    parser.add_argument("--output", type=Path, metavar="FILE", help="a .csv file for the predicted curve")


def _run(given: argparse.Namespace) -> int:
    from metalqr.advice.command import advised

    return shown(
        advised(
            planned(given.configs),
            given.case,
            given.budget,
            adaptation_rate=given.adaptation_rate,
            common_noise=given.common_noise,
            output=given.output,
        )
    )

"""The command ``metalqr run``: one training without Snakemake."""

import argparse
from pathlib import Path

from metalqr.commands.command import Commands, add_configs, added, planned, shown

_RUN = """\
Train one case at its own settings, without Snakemake: the same numbers as the pipeline, in one file. The config is laid
over config.yaml, as in metalqr check; the case need not be in an experiment, and no other case is run. It may have
tasks with a model, or a simulator of your own. A run that was stopped or killed goes on where it was when the same
command is run again: its state is saved beside the output every execution.checkpoint_seconds."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(
        commands,
        "run",
        "train one case without Snakemake",
        _RUN,
        "example:\n  metalqr run mine.yaml --case d2k2 --seed 1 --output run.nc",
        _run,
    )
    add_configs(parser)
    parser.add_argument("--case", required=True, metavar="NAME", help="a case of the config")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random numbers; by default 0")
    parser.add_argument(
        "--output", type=Path, default=Path("run.nc"), metavar="FILE", help="the file of the run; by default run.nc"
    )


def _run(given: argparse.Namespace) -> int:
    from metalqr.commands.problems import as_command_errors
    from metalqr.training.command import trained

    with as_command_errors():
        return shown(trained(planned(given.configs), given.case, given.seed, given.output))

"""The command ``metalqr check``: what is wrong with a config."""

from collections.abc import Iterable, Sequence

from metalqr.commands.command import Commands, add_configs, added, planned, shown

_CHECK = """\
Check a config without running anything. The files are laid over config.yaml of this folder, or of the checkout that
metalqr is installed from, one after the other, as Snakemake does it with --configfile. Every problem is one line that
begins with the key or the file; warnings and what the config asks for follow where there is none."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = added(
        commands,
        "check",
        "check a config without running it",
        _CHECK,
        "example:\n  metalqr check mine.yaml",
        lambda given: shown(_checked(given.configs)),
    )
    add_configs(parser)


def _checked(files: Sequence[str]) -> Iterable[str]:
    plan = planned(files)
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

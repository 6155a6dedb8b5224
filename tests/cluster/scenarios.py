"""Snakemake with the profiles for clusters, on a throw-away cluster."""

from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from project import Project

#: What the profiles are given besides, because this cluster is small and near: an account and a partition that it has,
#: and no long waits before a look at the queue.
SLURM = (
    *("--default-resources", "slurm_account=none", "slurm_partition=main", "mem_mb=1000", "runtime=30"),
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"),
)
GENERIC = ("--default-resources", "mem_mb=1000", "runtime=30", "--seconds-between-status-checks", "3")

#: Several runs in one job, one after another: the block that profiles/slurm has commented out, of three runs.
GROUPS = (
    *("--groups", "train_policy=runs", "--group-components", "runs=3"),
    *(
        "--set-resources",
        "train_policy:at_once=1",
        "--resources",
        "at_once=1",
        "--set-resource-scopes",
        "at_once=local",
    ),
)

#: One run that lasts long enough to be disturbed, some ten seconds on a free core, and saves its state every second.
LONG = """
cases: {d1k1: {tasks: {count: 2}}, d2k2: null, d20k10: null}
experiments:
  figure1: {cases: [d1k1], seeds: [0]}
  perturbations: null
  learning_rate: null
algorithm: {perturbations: 100, inner_perturbations: 100, rollout_length: 50, iterations: 3000}
execution: {checkpoint_seconds: 1}
"""


@dataclass
class ClusterProject(Project):
    """A project whose Snakemake sends its jobs to a cluster."""

    options: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """The command line, with the profile and what this cluster needs besides."""
        # The profile alone: without this, profiles/default would be read too and hide what it lacks.
        return super().command(*arguments, "--workflow-profile", "none", *self.options)


def results(project: Project) -> dict[str, Path]:
    """The files that the stages make."""
    folder = project.directory / "results"
    made = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path for name, path in made.items() if not name.startswith(("logs/", "timings/"))}


def assert_same_results(project: Project, expected: Project, without: tuple[str, ...] = ()) -> None:
    """The same files, nothing beside them, and the same contents, some stages aside; netCDF is compared by contents."""
    mine, others = results(project), results(expected)
    others = {name: path for name, path in others.items() if not name.startswith(without)}
    assert set(mine) == set(others)
    for name, path in mine.items():
        if path.suffix == ".nc":
            with xr.open_datatree(path) as tree, xr.open_datatree(others[name]) as other:
                xr.testing.assert_identical(tree, other)
        else:
            assert path.read_bytes() == others[name].read_bytes(), name


def on_cluster(local: Project, directory: Path, profile: str, options: tuple[str, ...]) -> ClusterProject:
    """The same config, elsewhere and with nothing made, through one of the profiles."""
    directory.mkdir(parents=True, exist_ok=True)
    return ClusterProject(
        local.root, directory, local.configs, ("--profile", str(local.root / "profiles" / profile), *options)
    )

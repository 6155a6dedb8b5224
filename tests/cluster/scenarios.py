"""Snakemake with the profiles for clusters, on a throw-away cluster."""

from dataclasses import dataclass
from pathlib import Path

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
    *("--groups", "train_policy=runs", "--group-components", "runs=3", "--set-resources", "train_policy:at_once=1"),
    *("--resources", "at_once=1", "--set-resource-scopes", "at_once=local"),
)

#: One run that lasts long enough to be disturbed, some ten seconds on a free core, and saves its state every second.
LONG = """
cases: {d1k1: {tasks: {count: 2}}, d2k2: null, d20k10: null}
experiments: {figure1: {cases: [d1k1], seeds: [0]}}
only_experiments: [figure1]
algorithm: {perturbations: 100, inner_perturbations: 100, rollout_length: 50, iterations: 3000}
execution: {checkpoint_seconds: 1}
"""
#: The same for a minute: Slurm looks only every 30 s for jobs that are over their time.
LONGER = LONG.replace("iterations: 3000", "iterations: 20000")


@dataclass
class ClusterProject(Project):
    """A project whose Snakemake sends its jobs to a cluster."""

    options: tuple[str, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """The command line, with the profile and what this cluster needs besides."""
        # The profile alone: without this, profiles/default would be read too and hide what it lacks.
        return super().command(*arguments, "--workflow-profile", "none", *self.options)


def on_cluster(local: Project, directory: Path, profile: str, options: tuple[str, ...]) -> ClusterProject:
    """The same config, elsewhere and with nothing made, through one of the profiles."""
    directory.mkdir(parents=True, exist_ok=True)
    through = ("--profile", str(local.root / "profiles" / profile), *options)
    return ClusterProject(local.root, directory, local.configs, options=through)

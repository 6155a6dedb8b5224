"""What the terminal's output has to know of the jobs before they run."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from metalqr.config.plan import Plan

#: Rule, stage, a name, seconds and threads of a job.
Planned = tuple[str, str, str, float, int]


def planned_jobs(dag: Any, plan: Plan) -> dict[int, Planned]:
    """The jobs that Snakemake will run, by their numbers; targets make nothing and are left out."""
    return {dag.jobid(job): _planned(job, plan) for job in dag.needrun_jobs() if job.output}


def _planned(job: Any, plan: Plan) -> Planned:
    rule = job.rule.name
    return rule, _stage(job.log, rule), plan.name_of(job.wildcards), plan.expected(rule, job.wildcards), job.threads


def _stage(logs: Iterable[str], rule: str) -> str:
    """The folder of a log in `results/logs`."""
    return next((Path(log).parts[2] for log in logs), rule)

"""Memory and time of jobs against what they request, from the timings of Snakemake."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from benchmarks.tables import markdown
from metalqr.config import Plan, read_config

ROOT = Path(__file__).resolve().parents[1]
#: Rules with their timings, by the name of a case or an experiment.
RULES = {
    "generate_tasks": "tasks/{name}.tsv",
    "solve_optima": "optima/{name}.tsv",
    "solve_meta_optimum": "optima/{name}/*.tsv",
    "train_policy": "runs/{name}/**/*.tsv",
    "collect_dataset": "datasets/{name}.tsv",
    "audit_theory": "theory/{name}.tsv",
    "measure_estimation_error": "estimation_error/{name}.tsv",
    "run_exact_methods": "exact_methods/{name}.tsv",
    "check_stability": "stability/{name}.tsv",
    "certify_runs": "certificates/{name}.tsv",
}
MISSING = "There are no timings: `make paper` leaves them in `results/timings/`.\n"


def default_plan() -> Plan:
    """The plan of config.yaml."""
    return Plan(read_config(ROOT / "config.yaml"))


def summary(timings: Path, plan: Plan) -> str:
    """The table in Markdown: for each rule and case or experiment of the plan, the largest of its jobs."""
    rows = []
    for rule, pattern in RULES.items():
        for name in plan.experiments if rule == "collect_dataset" else plan.cases:
            jobs = [pd.read_csv(path, sep="\t") for path in timings.glob(pattern.format(name=name))]
            if jobs:
                rows.append([rule, name, *_largest(pd.concat(jobs)), *_requested(plan, rule, name)])
    if not rows:
        return MISSING
    headings = ["rule", "of", "jobs", "seconds", "MB", "minutes requested", "MB requested"]
    return (
        markdown(headings, rows, names=2)
        + "\nSeconds, memory and requests are the largest of the jobs; memory is not measured below about a second.\n"
    )


def _largest(jobs: pd.DataFrame) -> list[str]:
    # Snakemake gives memory in MiB, or a dash without a measurement.
    memory = pd.to_numeric(jobs["max_rss"], errors="coerce").max() * 2**20 / 1e6
    return [str(len(jobs)), f"{jobs['s'].max():.1f}", "" if pd.isna(memory) else f"{memory:.0f}"]


def _requested(plan: Plan, rule: str, name: str) -> list[str]:
    configurations = plan.configurations_of(name) if rule == "train_policy" else [""]
    jobs = [SimpleNamespace(case=name, experiment=name, configuration=each) for each in configurations]
    resources = plan.resources(rule)
    return [str(max(resources[name](job, 1) for job in jobs)) for name in ("runtime", "mem_mb")]

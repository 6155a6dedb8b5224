"""How the time of ``make paper`` splits over its stages, from the timings that Snakemake has left."""

from pathlib import Path

import pandas as pd

from benchmarks.tables import markdown

#: In the order of the pipeline.
STAGES = (
    "tasks", "optima", "tuned", "runs", "datasets",
    "theory", "estimation_error", "exact_methods", "stability", "certificates",
    "evaluation", "meta_benefit", "predictions",
    "figures", "tables", "sections", "pages",
)  # fmt: skip
MISSING = (
    "There are no timings: `make paper` leaves them in `results/timings/`, and `make bench` then adds them up here.\n"
)


def read(timings: Path) -> pd.DataFrame:
    """A row for each job with its stage, its seconds and those of all cores; the runs of each case are a stage."""
    rows = []
    for stage in STAGES:
        for path in sorted((timings / stage).rglob("*.tsv")):
            # The last line: a job that was repeated has several.
            measured = pd.read_csv(path, sep="\t").iloc[-1]
            name = f"runs, {path.relative_to(timings / stage).parts[0]}" if stage == "runs" else stage
            rows.append({"stage": name, "seconds": float(measured["s"]), "core_seconds": float(measured["cpu_time"])})
    return pd.DataFrame(rows, columns=["stage", "seconds", "core_seconds"])


def summary(jobs: pd.DataFrame) -> str:
    """The table of the stages in Markdown, or a note that there is nothing to show."""
    if jobs.empty:
        return MISSING
    total = jobs["seconds"].sum()
    rows = [_row(str(stage), group, total) for stage, group in [*jobs.groupby("stage", sort=False), ("all", jobs)]]
    return (
        markdown(["stage", "jobs", "seconds", "core seconds", "share of seconds"], rows)
        + "\nSeconds are summed over jobs, of which several may run at once; core seconds are the time that processors "
        "worked. The installation and Snakemake itself are not part of them.\n"
    )


def _row(stage: str, jobs: pd.DataFrame, total: float) -> list[str]:
    seconds = jobs["seconds"].sum()
    return [stage, str(len(jobs)), f"{seconds:,.1f}", f"{jobs['core_seconds'].sum():,.1f}", f"{seconds / total:.1%}"]

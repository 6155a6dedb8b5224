"""Refusing a config with a job that needs more memory than allowed, before any job starts."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metalqr.config import demands
from metalqr.config.jobs import Job, case_keys, case_sizes, case_values, dataset_jobs, training_jobs
from metalqr.config.theory_jobs import theory_jobs

if TYPE_CHECKING:
    from metalqr.config.model import Config

_UNITS = ("MB", "GB", "TB", "PB", "EB")


def memory_problems(config: "Config") -> Iterator[str]:
    """The jobs of a config that need more memory than `execution.largest_memory_mb`; the largest of each case only."""
    limit = config.execution.largest_memory_mb
    for case, jobs in _jobs(config).items():
        # Of the stage `theory` only where nothing else is too large: that can be left out.
        job = max(jobs, key=lambda job: (job.memory > limit and not job.remedy, job.memory))
        if job.memory <= limit:
            continue
        blamed = job.blame()
        needs = f"the job {job.rule} of {case} would need about {readable(job.memory)} of memory"
        if blamed:
            value = job.values[blamed[0]]
            many = f"{value} runs are too many" if blamed[0] == "runs" else f"{value} is too much"
            remedies = [f"lower {_listed([job.keys[name] for name in blamed])}", job.remedy, "or raise the limit"]
            more = f"more than execution.largest_memory_mb: {limit}"
            yield f"{job.keys[blamed[0]]}: {many}: {needs}, {more}; {', '.join(filter(None, remedies))}"
        else:
            yield f"execution.largest_memory_mb: {limit} is too little: {needs}; raise it"
            return


def _listed(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def readable(memory: float) -> str:
    """Megabytes in the unit that a person would take, with two digits."""
    power = 0
    while memory >= 1000 and power < len(_UNITS) - 1:
        memory /= 1000
        power += 1
    digits = f"{memory:.2g}" if memory < 100 else f"{memory:.0f}"
    return f"{digits} {_UNITS[power]}"


def _jobs(config: "Config") -> dict[str, list[Job]]:
    """The largest jobs of every case that an experiment or the stage `theory` uses."""
    jobs: dict[str, list[Job]] = {}
    swept: list[Job] = []
    for experiment in config.resolved.values():
        datasets = dataset_jobs(config, experiment)
        for case in datasets:
            jobs.setdefault(case, _case_jobs(config, case)).extend(training_jobs(config, experiment, case))
        _add_shared(jobs, "collect_dataset", datasets.values(), demands.gathering_memory)
        _add_shared(jobs, "tabulate", datasets.values(), demands.drawing_memory)
        if len(experiment.axes) == 1:
            swept += datasets.values()
    _add_shared(jobs, "draw", swept, demands.drawing_memory)
    for case in config.theory_cases:
        jobs.setdefault(case, _case_jobs(config, case)).extend(theory_jobs(config, case).values())
    return jobs


def _case_jobs(config: "Config", case: str) -> list[Job]:
    values, keys = case_values(config, case), case_keys(config, case)
    memories = {
        "generate_tasks": demands.task_memory,
        "solve_optima": demands.optima_memory,
        "solve_meta_optimum": demands.meta_optimum_memory,
    }
    return [Job(rule, case, values, keys, _of_tasks(memory_of)) for rule, memory_of in memories.items()]


def _of_tasks(memory_of: Callable[[demands.Sizes], float]) -> Callable[[Mapping[str, Any]], float]:
    return lambda values: memory_of(case_sizes(values))


def _add_shared(
    jobs: dict[str, list[Job]], rule: str, parts: Collection[Job], memory_of: Callable[[float], float]
) -> None:
    """Add a job that reads several parts of datasets: as that of the largest part, beside the others."""
    if parts:
        largest = max(parts, key=lambda part: part.memory)
        others = sum(part.memory for part in parts) - largest.memory
        jobs[largest.case].append(
            replace(largest, rule=rule, memory_of=lambda values: memory_of(others + largest.memory_of(values)))
        )

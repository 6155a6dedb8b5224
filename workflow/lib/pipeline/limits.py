"""Refusing a config with a job that needs more memory than allowed, before any job asks for it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline import demands
from pipeline.canonical import theory_cases
from pipeline.jobs import Job, case_keys, dataset_jobs, sizes_of
from pipeline.theory_jobs import theory_jobs

_UNITS = ("MB", "GB", "TB", "PB", "EB")


def memory_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """The jobs of a config that need more memory than `execution.largest_memory_mb`; the largest of each case only."""
    limit = config["execution"]["largest_memory_mb"]
    for case, jobs in _jobs(config).items():
        # Of the stage `theory` only where nothing else is too large: that can be left out.
        job = max(jobs, key=lambda job: (job.memory > limit and not job.remedy, job.memory))
        if job.memory <= limit:
            continue
        blamed = job.blame()
        needs = f"the job {job.rule} of {case} would need about {readable(job.memory)} of memory"
        if blamed:
            value = getattr(job.sizes, blamed[0])
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


def _jobs(config: Mapping[str, Any]) -> dict[str, list[Job]]:
    """The largest jobs of every case that an experiment or the stage `theory` uses."""
    jobs: dict[str, list[Job]] = {}
    for name in config["experiments"]:
        datasets = dataset_jobs(config, name)
        for case, dataset in datasets.items():
            jobs.setdefault(case, _case_jobs(config, case))
            jobs[case].append(Job("train_policy", case, dataset.sizes, dataset.keys, demands.run_memory))
        _add_shared(jobs, "collect_dataset", datasets.values(), demands.gathering_memory)
        _add_shared(jobs, "summarise_experiment", datasets.values(), demands.drawing_memory)
    parts = [
        part
        for name in config["experiments"]
        if _axes(config, name) == 1
        for part in dataset_jobs(config, name).values()
    ]
    _add_shared(jobs, "draw_hyperparameters", parts, demands.drawing_memory)
    for case in theory_cases(config):
        jobs.setdefault(case, _case_jobs(config, case)).extend(theory_jobs(config, case).values())
    return jobs


def _case_jobs(config: Mapping[str, Any], case: str) -> list[Job]:
    sizes, keys = sizes_of(config["cases"][case]), case_keys(config, case)
    return [
        Job("generate_tasks", case, sizes, keys, demands.task_memory),
        Job("solve_optima", case, sizes, keys, demands.optima_memory),
        Job("solve_meta_optimum", case, sizes, keys, demands.meta_optimum_memory),
    ]


def _add_shared(
    jobs: dict[str, list[Job]], rule: str, parts: Collection[Job], memory_of: Callable[[float], float]
) -> None:
    """Add a job that reads several parts of datasets: as that of the largest part, beside the others."""
    if parts:
        largest = max(parts, key=lambda part: part.memory)
        others = sum(part.memory for part in parts) - largest.memory
        jobs[largest.case].append(
            replace(largest, rule=rule, memory_of=lambda sizes: memory_of(others + demands.dataset_memory(sizes)))
        )


def _axes(config: Mapping[str, Any], experiment: str) -> int:
    """Number of the settings that an experiment sweeps independently."""
    return sum(not isinstance(values, str) for values in config["experiments"][experiment]["sweep"].values())

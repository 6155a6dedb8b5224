"""Refusing a config with a job that needs more memory than allowed, before any job asks for it."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline import demands
from pipeline.canonical import complete_settings
from pipeline.demands import Sizes

_UNITS = ("MB", "GB", "TB", "PB", "EB")
_CASE_SIZES = ("state_dim", "action_dim", "tasks")
#: Settings that are sizes.
_SETTING_SIZES = ("perturbations", "inner_perturbations", "rollout_length", "iterations", "task_batch")
#: Share of the memory that a key must stand for to be named in a message.
_NOTABLE_SHARE = 0.1


@dataclass(frozen=True)
class Job:
    """The largest job of a rule for a case, with the key behind each of its sizes."""

    rule: str
    case: str
    sizes: Sizes
    keys: Mapping[str, str]  # by the name of the size
    memory_of: Callable[[Sizes], float]

    @property
    def memory(self) -> float:
        """Megabytes."""
        return self.memory_of(self.sizes)

    def blame(self) -> list[str]:
        """The names of the sizes that would save most if they were 1, the largest saving first."""
        savings = {name: self.memory - self.memory_of(replace(self.sizes, **{name: 1})) for name in self.keys}
        notable = [name for name in savings if savings[name] > _NOTABLE_SHARE * self.memory]
        return sorted(notable, key=lambda name: -savings[name])


def memory_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """The jobs of a config that need more memory than `execution.largest_memory_mb`; the largest of each case only."""
    limit = config["execution"]["largest_memory_mb"]
    for case, jobs in _jobs(config).items():
        job = max(jobs, key=lambda job: job.memory)
        if job.memory <= limit:
            continue
        blamed = job.blame()
        needs = f"the job {job.rule} of {case} would need about {readable(job.memory)} of memory"
        if blamed:
            value = getattr(job.sizes, blamed[0])
            many = f"{value} runs are too many" if blamed[0] == "runs" else f"{value} is too much"
            remedy = f"lower {_listed([job.keys[name] for name in blamed])}, or raise the limit"
            more = f"more than execution.largest_memory_mb: {limit}"
            yield f"{job.keys[blamed[0]]}: {many}: {needs}, {more}; {remedy}"
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


def sizes_of(block: Mapping[str, Any], settings: Mapping[str, Any] | None = None, threads: int = 1) -> Sizes:
    """The sizes of a case's block, with settings also those of a run."""
    tasks = block["tasks"]
    count = len(tasks["A"]) if tasks["family"] == "given" else tasks["count"]
    sizes = Sizes(block["state_dim"], block["action_dim"], count, threads=threads)
    if settings is None:
        return sizes
    given = {name: settings[name] for name in _SETTING_SIZES if settings[name] != "all"}
    return replace(sizes, **given)


def _jobs(config: Mapping[str, Any]) -> dict[str, list[Job]]:
    """The largest jobs of every case that an experiment uses."""
    jobs: dict[str, list[Job]] = {}
    for name in config["experiments"]:
        datasets = dataset_jobs(config, name)
        for case, dataset in datasets.items():
            keys = {key: dataset.keys[key] for key in _CASE_SIZES}
            jobs.setdefault(case, []).extend(
                [
                    Job("generate_tasks", case, dataset.sizes, keys, demands.task_memory),
                    Job("solve_optima", case, dataset.sizes, keys, demands.optima_memory),
                    Job("solve_meta_optimum", case, dataset.sizes, keys, demands.meta_optimum_memory),
                    Job("train_policy", case, dataset.sizes, dataset.keys, demands.run_memory),
                ]
            )
        _add_shared(jobs, "collect_dataset", datasets.values(), demands.gathering_memory)
        _add_shared(jobs, "summarise_experiment", datasets.values(), demands.drawing_memory)
    parts = [
        part
        for name in config["experiments"]
        if _axes(config, name) == 1
        for part in dataset_jobs(config, name).values()
    ]
    _add_shared(jobs, "draw_hyperparameters", parts, demands.drawing_memory)
    return jobs


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


def dataset_jobs(config: Mapping[str, Any], experiment: str) -> dict[str, Job]:
    """The part of each case in the job `collect_dataset` of an experiment; sizes of the largest run."""
    block = config["experiments"][experiment]
    axes = {name: values for name, values in block["sweep"].items() if not isinstance(values, str)}
    points = math.prod(map(len, axes.values()))
    seeds, threads = len(block["seeds"]), config["execution"]["threads"]
    runs_key = f"experiments.{experiment}.{'sweep' if points > seeds else 'seeds'}"
    jobs = {}
    for case in block["cases"]:
        settings, keys = _largest_settings(config, case, experiment)
        sizes = replace(sizes_of(config["cases"][case], settings, threads), runs=points * seeds)
        family = "A" if config["cases"][case]["tasks"]["family"] == "given" else "count"
        keys |= {name: f"cases.{case}.{name}" for name in ("state_dim", "action_dim")}
        keys |= {"tasks": f"cases.{case}.tasks.{family}", "runs": runs_key, "threads": "execution.threads"}
        jobs[case] = Job("collect_dataset", case, sizes, keys, demands.dataset_memory)
    return jobs


def _largest_settings(config: Mapping[str, Any], case: str, experiment: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The largest value of every setting among an experiment's runs of a case, and the key that gives it."""
    sweep = config["experiments"][experiment]["sweep"]
    settings, keys = complete_settings(config, case), {}
    count = sizes_of(config["cases"][case]).tasks
    for name in _SETTING_SIZES:
        axis = sweep[name] if isinstance(sweep.get(name), str) else name
        if axis in sweep:
            values = sweep[axis]
            sizes = [count if value == "all" else value for value in values]
            place = sizes.index(max(sizes))
            settings[name] = values[place]
            keys[name] = f"experiments.{experiment}.sweep.{axis}[{place}]"
        else:
            own = name in config["cases"][case].get("algorithm", {})
            keys[name] = f"cases.{case}.algorithm.{name}" if own else f"algorithm.{name}"
    if settings["task_batch"] == "all":
        del keys["task_batch"]
    return settings, keys

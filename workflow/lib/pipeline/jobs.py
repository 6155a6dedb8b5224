"""The sizes of a case's jobs, each with the key of the config behind it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline import demands
from pipeline.canonical import complete_settings
from pipeline.demands import Sizes

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
    # Of the stage `theory` alone, where a rule has one job for each case.
    seconds: float = 0.0
    remedy: str = ""

    @property
    def memory(self) -> float:
        """Megabytes."""
        return self.memory_of(self.sizes)

    def blame(self) -> list[str]:
        """The names of the sizes that would save most if they were 1, the largest saving first."""
        savings = {name: self.memory - self.memory_of(replace(self.sizes, **{name: 1})) for name in self.keys}
        notable = [name for name in savings if savings[name] > _NOTABLE_SHARE * self.memory]
        return sorted(notable, key=lambda name: -savings[name])


def sizes_of(block: Mapping[str, Any], settings: Mapping[str, Any] | None = None, threads: int = 1) -> Sizes:
    """The sizes of a case's block, with settings also those of a run."""
    tasks = block["tasks"]
    count = len(tasks["A"]) if tasks["family"] == "given" else tasks["count"]
    sizes = Sizes(block["state_dim"], block["action_dim"], count, threads=threads)
    if settings is None:
        return sizes
    given = {name: settings[name] for name in _SETTING_SIZES if settings[name] != "all"}
    return replace(sizes, **given)


def case_keys(config: Mapping[str, Any], case: str) -> dict[str, str]:
    """The keys behind the sizes of a case's tasks."""
    family = "A" if config["cases"][case]["tasks"]["family"] == "given" else "count"
    keys = {name: f"cases.{case}.{name}" for name in ("state_dim", "action_dim")}
    return {**keys, "tasks": f"cases.{case}.tasks.{family}"}


def setting_key(config: Mapping[str, Any], case: str, name: str) -> str:
    """The key that gives a case its own value of a setting."""
    own = name in config["cases"][case].get("algorithm", {})
    return f"cases.{case}.algorithm.{name}" if own else f"algorithm.{name}"


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
        keys |= {**case_keys(config, case), "runs": runs_key, "threads": "execution.threads"}
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
            keys[name] = setting_key(config, case, name)
    if settings["task_batch"] == "all":
        del keys["task_batch"]
    return settings, keys

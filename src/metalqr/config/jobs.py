"""The sizes of a case's jobs, each with the key of the config behind it."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metalqr.config import demands
from metalqr.config.algorithm import CHOICES, MetaSettings, declared_sizes
from metalqr.config.demands import Sizes
from metalqr.config.experiments import TASKS, Experiment
from metalqr.config.problems import key_path
from metalqr.config.registries import methods

if TYPE_CHECKING:
    from metalqr.config.model import Config

#: Share of the memory that a key must stand for to be named in a message.
_NOTABLE_SHARE = 0.1
#: Names of values that are no settings.
TASK_COUNT = "tasks"


@dataclass(frozen=True)
class Job:
    """The largest job of a rule for a case, with the values behind its sizes and the key behind each of these."""

    rule: str
    case: str
    values: Mapping[str, Any]
    keys: Mapping[str, str]  # by the name of the value
    memory_of: Callable[[Mapping[str, Any]], float]
    # Of the stage `theory` alone, where a rule has one job for each case.
    seconds: float = 0.0
    remedy: str = ""

    @property
    def memory(self) -> float:
        """Megabytes."""
        return self.memory_of(self.values)

    def blame(self) -> list[str]:
        """The names of the values that would save most if they were 1, the largest saving first."""
        savings = {name: self.memory - self.memory_of({**self.values, name: 1}) for name in self.keys}
        notable = [name for name in savings if savings[name] > _NOTABLE_SHARE * self.memory]
        return sorted(notable, key=lambda name: -savings[name])


def case_values(config: "Config", case: str) -> dict[str, int]:
    """The dimensions of a case and the number of its tasks."""
    block = config.cases[case]
    return {"state_dim": block.state_dim, "action_dim": block.action_dim, TASK_COUNT: block.family.count}


def case_sizes(values: Mapping[str, Any]) -> Sizes:
    """The sizes of a case's tasks."""
    return Sizes(values["state_dim"], values["action_dim"], values[TASK_COUNT])


def run_sizes(values: Mapping[str, Any]) -> Sizes:
    """The sizes of a run, from those of its tasks and from its settings: its method says what an iteration takes."""
    # Not checked: to blame a size it is set to 1, whatever the other settings are.
    settings = MetaSettings.model_construct(**{name: value for name, value in values.items() if name != TASK_COUNT})
    method = methods.get(settings.method)
    work = method.work(values[TASK_COUNT], settings)
    return Sizes(
        values["state_dim"],
        values["action_dim"],
        values[TASK_COUNT],
        policies=work.policies,
        inner_policies=work.inner,
        rollouts=work.rollouts,
        inner_perturbations=settings.inner_perturbations,
        rollout_length=settings.rollout_length,
        iterations=settings.iterations,
        threads=values.get("threads", 1),
        runs=values.get("runs", 1),
        has_gain_per_task=method.gain_per_task,
        is_exact=method.is_exact,
    )


def case_keys(config: "Config", case: str) -> dict[str, str]:
    """The keys behind the sizes of a case's tasks."""
    keys = {name: f"cases.{case}.{name}" for name in ("state_dim", "action_dim")}
    return {**keys, TASK_COUNT: f"cases.{case}.tasks.{config.cases[case].family.count_setting}"}


def setting_key(config: "Config", case: str, name: str) -> str:
    """The key that gives a case its own value of a setting."""
    return f"cases.{case}.algorithm.{name}" if name in config.cases[case].algorithm else f"algorithm.{name}"


def dataset_jobs(config: "Config", experiment: Experiment) -> dict[str, Job]:
    """The part of each case in the job `collect_dataset` of an experiment; sizes of the largest run."""
    return {
        case: max(
            (
                Job("collect_dataset", case, values, keys, lambda values: demands.dataset_memory(run_sizes(values)))
                for values, keys in largest_runs(config, experiment, case)
            ),
            key=lambda job: job.memory,
        )
        for case in experiment.bases
    }


def training_jobs(config: "Config", experiment: Experiment, case: str) -> Iterator[Job]:
    """The largest run of every method and estimator in an experiment."""
    for values, keys in largest_runs(config, experiment, case):
        yield Job("train_policy", case, values, keys, lambda values: demands.run_memory(run_sizes(values)))


def largest_runs(
    config: "Config", experiment: Experiment, case: str
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """For every variant, method and estimator of an experiment the largest value of every size, with its key.

    The points of the experiment are not listed: they may be too many.
    """
    runs = experiment.size * len(experiment.seeds)
    fixed = {**case_values(config, case), "threads": config.execution.threads, "runs": runs}
    runs_key = f"experiments.{experiment.name}.{_most_runs(experiment)}"
    choices = [name for name in CHOICES if name in experiment.sweep]
    for variant in experiment.variants or [""]:
        for chosen in itertools.product(*(experiment.sweep[name] for name in choices)):
            own = experiment.variants.get(variant, {})
            # Of the first point, whose settings are possible together.
            first = {axis: entries[0] for axis, entries in experiment.sweep.items()}
            first |= {name: first[axis] for name, axis in experiment.linked.items()}
            given = (
                experiment.bases[case].settings({**own, **first, **dict(zip(choices, chosen, strict=True))}).as_dict()
            )
            values, keys = {**fixed, **given}, {**case_keys(config, case), "runs": runs_key}
            for name in declared_sizes(given):
                found = _largest(experiment, name, values[TASK_COUNT])
                if found is not None:
                    values[name], keys[name] = found
                elif name in own:
                    keys[name] = key_path(["experiments", experiment.name, "variants", variant, name])
                else:
                    keys[name] = setting_key(config, case, name)
            counted = f"{TASKS}{config.cases[case].family.count_setting}"
            if (found := _largest(experiment, counted, 1)) is not None:
                count, keys[TASK_COUNT] = found
                values[TASK_COUNT] = count if isinstance(count, int) else len(count)
            if values["task_batch"] == "all":
                del keys["task_batch"]
            yield values, {**keys, "threads": "execution.threads"}


def _largest(experiment: Experiment, name: str, count: int) -> tuple[Any, str] | None:
    """The largest value that a sweep gives a size, with the key; ``all`` is so many."""
    axis = experiment.linked.get(name, name)
    if axis not in experiment.sweep:
        return None
    values = experiment.sweep[axis]
    sizes = [count if value == "all" else value if isinstance(value, int) else len(value) for value in values]
    place = sizes.index(max(sizes))
    return values[place], key_path(["experiments", experiment.name, "sweep", axis, place])


def _most_runs(experiment: Experiment) -> str:
    """The key of an experiment that makes most of its runs."""
    if experiment.size <= len(experiment.seeds):
        return "seeds"
    return "sweep" if len(experiment.variants) ** 2 <= experiment.size else "variants"

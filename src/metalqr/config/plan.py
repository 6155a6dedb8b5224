"""From the checked config to the runs: every experiment's points, and the identity that lets experiments share runs."""

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config import demands
from metalqr.config.algorithm import MetaSettings
from metalqr.config.checks import check_config
from metalqr.config.experiments import Experiment
from metalqr.config.files import OPTIMA_FILE, RUN_FILE, meta_optimum_file
from metalqr.config.identity import configuration_digest
from metalqr.config.jobs import TASK_COUNT, case_sizes, case_values, dataset_jobs, run_sizes
from metalqr.config.outputs import figure_outputs, table_outputs
from metalqr.config.problems import ConfigError, SettingsError
from metalqr.config.theory import Theory

if TYPE_CHECKING:
    from metalqr.systems.family import Family


class TaskSet(NamedTuple):
    """Tasks that runs use: those of a case, or the same with some settings of the family moved by a sweep."""

    case: str
    family: "Family"


class Run(NamedTuple):
    """The part that the runs of all seeds share.

    Attributes
    ----------
    tasks : str
        Name of the set of tasks.
    settings : MetaSettings
    changed : dict
        Of the settings those that are not at their defaults.
    plugins : tuple of Path
        The files of the method and the estimator.
    """

    tasks: str
    settings: MetaSettings
    changed: dict[str, Any]
    plugins: tuple[Path, ...]


class Plan:
    """Everything that the rules need of a config; look-ups in dictionaries, since every job needs them.

    Parameters
    ----------
    raw_config : mapping
    folder : Path, optional
        To which the paths of ``plugins`` are relative; by default the working directory.

    Raises
    ------
    ConfigError
        If the config is unusable.
    """

    def __init__(self, raw_config: Mapping[str, Any], folder: Path | None = None) -> None:
        self.folder = folder or Path.cwd()
        self.checked = check_config(raw_config, self.folder)
        self.config = self.checked.plain()
        self.config["plugins"] = [str(self.folder / file) for file in self.checked.plugins]
        self._runs: dict[tuple[str, str], Run] = {}
        self._run_files: dict[str, list[str]] = {}
        self._task_sets: dict[str, TaskSet] = {}
        try:
            for experiment in self.experiments.values():
                self._list_runs(experiment)
        except SettingsError as error:
            raise ConfigError([f"experiments: {error}"]) from None
        self._costs: dict[tuple[str, str], tuple[float, float]] = {}
        self.figures = figure_outputs(self)
        self.tables = table_outputs(self)

    def _list_runs(self, experiment: Experiment) -> None:
        files = self._run_files[experiment.name] = []
        for case, base in experiment.bases.items():
            for point in experiment.points(case):
                if point.tasks not in self._task_sets:
                    family = type(self.checked.cases[case].family)
                    self._task_sets[point.tasks] = TaskSet(case, family(base.family_settings(point.values)))
                changed = point.settings.changed()
                configuration = configuration_digest(point.settings)
                plugins = tuple(plugin.source for plugin in point.settings.plugins())
                self._runs[point.tasks, configuration] = Run(point.tasks, point.settings, changed, plugins)
                pattern = RUN_FILE.format(case=point.tasks, configuration=configuration, seed="{}")
                files += [pattern.format(seed) for seed in experiment.seeds]

    @property
    def experiments(self) -> dict[str, Experiment]:
        """All experiments by name, in the config's order."""
        return self.checked.resolved

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """The cases that an experiment or the stage `theory` uses, in the config's order."""
        used = {task_set.case for task_set in self._task_sets.values()} | set(self.theory.cases)
        return tuple(case for case in self.checked.cases if case in used)

    @cached_property
    def task_sets(self) -> dict[str, TaskSet]:
        """All sets of tasks by name, those of the cases that runs or the stage `theory` use as they are first."""
        own = {
            case: TaskSet(case, self.checked.cases[case].family)
            for case in self.cases
            if case in self._task_sets or case in self.theory.cases
        }
        return own | {name: each for name, each in self._task_sets.items() if name not in own}

    @cached_property
    def theory(self) -> Theory:
        """Params, resources and files of the stage `theory`."""
        return Theory(self.checked)

    # Params, by wildcards.

    def task_block(self, wildcards: Any) -> dict[str, Any]:
        """The origin of a set of tasks: dimensions, family, initial gain, and the seed where that counts."""
        case, family = self.task_sets[wildcards.case]
        block = self.checked.cases[case]
        # Without defaults, which stand in the file of the family: that is among the sources.
        chosen: dict[str, Any] = {
            "state_dim": block.state_dim,
            "action_dim": block.action_dim,
            "tasks": {"family": family.name, **family.settings.changed()},
            "initial_gain": block.initial_gain,
        }
        return {**chosen, "seed": self.checked.seed} if family.is_random else chosen

    def task_plugins(self, wildcards: Any) -> list[Path]:
        """The file of the family that makes a set of tasks."""
        return [self.task_sets[wildcards.case].family.source]

    def run(self, wildcards: Any) -> Run:
        """The run behind the digest of a configuration."""
        case, configuration = wildcards.case, wildcards.configuration
        try:
            return self._runs[case, configuration]
        except KeyError:
            raise ConfigError(
                [f"experiments: none produces the run {case}/{configuration}; request the target `runs`"]
            ) from None

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """The algorithm's settings of a run that are not at their defaults."""
        return self.run(wildcards).changed

    def run_plugins(self, wildcards: Any) -> tuple[Path, ...]:
        """The files of the method and the estimator of a run."""
        return self.run(wildcards).plugins

    def priority(self, wildcards: Any) -> int:
        """The priority of a run."""
        return demands.priority(self._run_cost(wildcards)[1])

    # Resources. Snakemake tries a job again with more of both, if --retries allows.

    def task_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `generate_tasks`."""
        return _memory(attempt, demands.task_memory(self._sizes(wildcards)))

    def task_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `generate_tasks`."""
        return attempt * demands.minutes(demands.task_seconds(self._sizes(wildcards)))

    def optima_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `solve_optima`."""
        return _memory(attempt, demands.optima_memory(self._sizes(wildcards)))

    def optima_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `solve_optima`."""
        return attempt * demands.minutes(demands.optima_seconds(self._sizes(wildcards)))

    def meta_optimum_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `solve_meta_optimum`."""
        return _memory(attempt, demands.meta_optimum_memory(self._sizes(wildcards)))

    def meta_optimum_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `solve_meta_optimum`."""
        return attempt * demands.minutes(demands.meta_optimum_seconds(self._sizes(wildcards)))

    def run_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `train_policy`."""
        return _memory(attempt, self._run_cost(wildcards)[0])

    def run_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `train_policy`."""
        return attempt * demands.minutes(self._run_cost(wildcards)[1])

    def dataset_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `collect_dataset`."""
        parts = dataset_jobs(self.checked, self.experiments[wildcards.experiment]).values()
        return math.ceil(attempt * demands.gathering_memory(sum(part.memory for part in parts)))

    def dataset_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `collect_dataset`."""
        cases = dataset_jobs(self.checked, self.experiments[wildcards.experiment]).values()
        return attempt * demands.minutes(sum(demands.dataset_seconds(run_sizes(job.values)) for job in cases))

    @property
    def threads(self) -> int:
        """Threads of a training job."""
        return self.checked.execution.threads

    def _sizes(self, wildcards: Any) -> demands.Sizes:
        return case_sizes(self._values(wildcards.case))

    def _values(self, name: str) -> dict[str, int]:
        case, family = self.task_sets[name]
        return {**case_values(self.checked, case), TASK_COUNT: family.count}

    def _run_cost(self, wildcards: Any) -> tuple[float, float]:
        """Megabytes and seconds of a run, the same for all seeds."""
        key = wildcards.case, wildcards.configuration
        if key not in self._costs:
            run = self.run(wildcards)
            sizes = run_sizes({**self._values(run.tasks), **run.settings.as_dict(), "threads": self.threads})
            self._costs[key] = demands.run_memory(sizes), demands.run_seconds(sizes)
        return self._costs[key]

    def configurations_of(self, tasks: str) -> list[str]:
        """The digests of all configurations that a set of tasks is trained with."""
        return [configuration for owner, configuration in self._runs if owner == tasks]

    # Files.

    def optima_of(self, wildcards: Any) -> list[str]:
        """The optima of an experiment's sets of tasks: by case, then in the order of the points."""
        experiment = self.experiments[wildcards.experiment]
        sets = dict.fromkeys(point.tasks for case in experiment.bases for point in experiment.points(case))
        return [OPTIMA_FILE.format(case=name) for name in sets]

    def runs_of(self, wildcards: Any) -> list[str]:
        """An experiment's run files: by case, then by point, then by seed."""
        return self.run_files(wildcards.experiment)

    def dataset_block(self, wildcards: Any) -> dict[str, Any]:
        """An experiment in plain values, every default included: a changed default collects its runs again."""
        return self.experiments[wildcards.experiment].block

    def run_files(self, name: str) -> list[str]:
        """The experiment's run files: by case, then by point, then by seed."""
        return self._run_files[name]

    def all_run_files(self) -> list[str]:
        """Every experiment's run files, each once."""
        return list(dict.fromkeys(file for files in self._run_files.values() for file in files))

    @cached_property
    def meta_optima(self) -> dict[str, str]:
        """The files of the optima of the meta-objective, at the adaptation rates of all runs and of the theory's cases.

        By the name of the tasks with the rate, such as ``d1k1/1e-05``.
        """
        rates = [(run.tasks, run.settings.adaptation_rate) for run in self._runs.values()]
        rates += [(case, self.checked.own_settings[case].adaptation_rate) for case in self.theory.cases]
        return {f"{tasks}/{rate!r}": meta_optimum_file(tasks, rate) for tasks, rate in dict.fromkeys(rates)}

    @property
    def dataset_files(self) -> list[str]:
        """The datasets of all experiments."""
        return [f"results/datasets/{name}.nc" for name in self.experiments]


def _memory(attempt: int, megabytes: float) -> int:
    """Megabytes to request, those of the Snakemakes around a job included."""
    return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + megabytes))

"""The stage `evaluation` of a config: its jobs, and the files and params of its rules."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config.evaluation import POOLS, tasks_of_file
from metalqr.config.experiments import Point
from metalqr.config.files import (
    COMPARATORS_FILE,
    EVALUATION_FILE,
    META_OPTIMUM_FILE,
    RUN_FILE,
    TASKS_FILE,
    TRAINED_FILE,
    UNSEEN_FILE,
    meta_optimum_file,
)
from metalqr.config.job_sizes import evaluation_sizes, unseen_counts
from metalqr.config.model import Config
from metalqr.config.registries import directions, estimators
from metalqr.config.sizes import Sizes

if TYPE_CHECKING:
    from metalqr.systems.family import Family


class Trained(NamedTuple):
    """The runs of one configuration of an experiment."""

    experiment: str
    #: The case, and the set of tasks that its runs use: that of the case, or one that a sweep has moved.
    case: str
    family: "Family"
    point: Point

    @property
    def file(self) -> str:
        """The evaluation of its gains."""
        names = {"experiment": self.experiment, "case": self.point.tasks, "configuration": self.point.configuration}
        return TRAINED_FILE.format(**names)

    @property
    def name(self) -> str:
        """Its place on the axes of the experiment, in words; the experiment's name without axes."""
        return self.point.name or self.experiment

    @property
    def comparators(self) -> tuple[str, float]:
        """The set of tasks and the adaptation rate of what it is compared with."""
        return self.point.tasks, self.point.settings.adaptation_rate


class EvaluationPlan:
    """The stage `evaluation` of a checked config, made where the paths of its files are relative to."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._origins = {pool: self._origin(getattr(config.evaluation, key)) for pool, key in POOLS.items()}
        self._counts = unseen_counts(config)

    def _origin(self, wanted: int | str) -> dict[str, Any]:
        if isinstance(wanted, int):
            return {"count": wanted}
        if wanted in self.config.cases:
            return {"case": wanted}
        return {"path": wanted, "digest": tasks_of_file(wanted).digest} if self.config.evaluated else {}

    @cached_property
    def trained(self) -> list[Trained]:
        """Every configuration to evaluate, each of an experiment once: by experiment, then by case."""
        found: dict[str, Trained] = {}
        for name in self.config.evaluated:
            experiment = self.config.resolved[name]
            for case in experiment.bases:
                moved = experiment.families(case)
                for point in experiment.points(case):
                    each = Trained(name, case, moved[point.tasks], point)
                    found.setdefault(each.file, each)
        return list(found.values())

    @cached_property
    def _by_file(self) -> dict[str, Trained]:
        return {each.file: each for each in self.trained}

    @cached_property
    def _by_tasks(self) -> dict[str, Trained]:
        """One of the configurations that use each set of tasks."""
        return {each.point.tasks: each for each in reversed(self.trained)}

    def _of(self, wildcards: Any) -> Trained:
        names = {name: getattr(wildcards, name) for name in ("experiment", "case", "configuration")}
        return self._by_file[TRAINED_FILE.format(**names)]

    def _joined(self, experiment: str, case: str) -> list[Trained]:
        return [each for each in self.trained if (each.experiment, each.case) == (experiment, case)]

    # Params.

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """The settings that all evaluations share."""
        block = self.config.evaluation
        names = ("seed", "repeats", "steps", "learning_rates")
        return {name: list(value) if isinstance(value := getattr(block, name), tuple) else value for name in names}

    def estimates(self, wildcards: Any) -> dict[str, dict[str, Any]]:
        """The settings of each estimate, but for those at their defaults."""
        case = self._by_tasks[wildcards.case].case
        return {name: settings.changed() for name, settings in self.config.estimates(case).items()}

    def plugins(self, wildcards: Any) -> list[Path]:
        """The files of the estimators and directions."""
        case = self._by_tasks[wildcards.case].case
        estimates = self.config.estimates(case).values()
        names = [(estimators.get(each.estimator), directions.get(each.directions)) for each in estimates]
        return list(dict.fromkeys(plugin.source for pair in names for plugin in pair))

    def stated(self, wildcards: Any) -> dict[str, Any]:
        """The settings of the runs that are evaluated, as their files state them."""
        return self._of(wildcards).point.stated

    def unseen(self, wildcards: Any) -> dict[str, Any]:
        """The origin of unseen tasks: a number of further tasks, the other case, or the file with its digest."""
        return self._origins[wildcards.pool]

    def names(self, wildcards: Any) -> list[str]:
        """The names of the configurations that are joined."""
        return [each.name for each in self._joined(wildcards.experiment, wildcards.case)]

    @property
    def comparators(self) -> list[str]:
        """The comparators, in the config's order."""
        return list(self.config.evaluation.comparators)

    # Files.

    def unseen_inputs(self, wildcards: Any) -> list[str]:
        """The tasks of the training, and those of the other case if its tasks are the unseen ones."""
        wanted = self.unseen(wildcards).get("case")
        return [TASKS_FILE.format(case=name) for name in (wildcards.case, *([wanted] if wanted else []))]

    def runs_of(self, wildcards: Any) -> list[str]:
        """The runs of a configuration, by seed."""
        each = self._of(wildcards)
        seeds = self.config.resolved[each.experiment].seeds
        names = {"case": each.point.tasks, "configuration": each.point.configuration}
        return [RUN_FILE.format(**names, seed=seed) for seed in seeds]

    def parts_of(self, wildcards: Any) -> list[str]:
        """The files of the configurations that are joined."""
        return [each.file for each in self._joined(wildcards.experiment, wildcards.case)]

    def comparators_of(self, wildcards: Any) -> list[str]:
        """The files of what they are compared with, each once."""
        if not self.comparators:
            return []
        pairs = dict.fromkeys(each.comparators for each in self._joined(wildcards.experiment, wildcards.case))
        return [COMPARATORS_FILE.format(case=tasks, rate=repr(rate)) for tasks, rate in pairs]

    def meta_optimum(self, wildcards: Any) -> list[str]:
        """The optimum of the meta-objective, if it is a comparator."""
        is_read = "meta_optimum" in self.comparators
        return [META_OPTIMUM_FILE.format(case=wildcards.case, rate=wildcards.rate)] if is_read else []

    @property
    def joined(self) -> dict[str, str]:
        """The file of each case of each experiment, by the names of both."""
        pairs = dict.fromkeys((each.experiment, each.case) for each in self.trained)
        return {f"{name}/{case}": EVALUATION_FILE.format(experiment=name, case=case) for name, case in pairs}

    @property
    def cases(self) -> list[str]:
        """The cases whose own tasks the stage needs, although perhaps no experiment does."""
        wanted = (getattr(self.config.evaluation, key) for key in POOLS.values())
        return [each for each in wanted if each in self.config.cases] if self.trained else []

    def sizes(self, rule: str, wildcards: Any) -> list[Sizes]:
        """The sizes behind a job, for its memory and its time."""
        if rule == "join_evaluation":
            case, configurations = wildcards.case, len(self._joined(wildcards.experiment, wildcards.case))
        else:
            case, configurations = self._by_tasks[wildcards.case].case, 1
        return evaluation_sizes(self.config, rule, case, self._counts, configurations)

    @property
    def inputs(self) -> list[str]:
        """What the stage needs of the stages before it: tasks, optima and runs."""
        return list(dict.fromkeys(self._inputs()))

    def _inputs(self) -> Iterator[str]:
        for each in self.trained:
            seeds = self.config.resolved[each.experiment].seeds
            names = {"case": each.point.tasks, "configuration": each.point.configuration}
            yield from (RUN_FILE.format(**names, seed=seed) for seed in seeds)
            if "meta_optimum" in self.comparators:
                yield meta_optimum_file(*each.comparators)

    @property
    def files(self) -> list[str]:
        """Everything that the stage makes, but for figures and tables."""
        found = [UNSEEN_FILE.format(case=tasks, pool=pool) for tasks in self._by_tasks for pool in POOLS]
        found += [each.file for each in self.trained]
        if self.comparators:
            pairs = dict.fromkeys(each.comparators for each in self.trained)
            found += [COMPARATORS_FILE.format(case=tasks, rate=repr(rate)) for tasks, rate in pairs]
        return [*found, *self.joined.values()]

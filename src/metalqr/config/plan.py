"""From the checked config to the runs: every experiment's points, and the identity that lets experiments share runs."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from metalqr.config import job_sizes, needs
from metalqr.config.algorithm import MetaSettings
from metalqr.config.benefit_plan import BenefitPlan
from metalqr.config.checks import check_config
from metalqr.config.evaluation_plan import EvaluationPlan
from metalqr.config.experiments import Experiment
from metalqr.config.files import OPTIMA_FILE, RUN_FILE, TUNED_FILE, meta_optimum_file
from metalqr.config.folders import relative_to
from metalqr.config.identity import identity
from metalqr.config.outputs import FIGURE_FORMATS, SECTION_FORMATS, TABLE_FORMATS, Outputs
from metalqr.config.page_plan import PagePlan
from metalqr.config.prediction_plan import PredictionPlan
from metalqr.config.problems import ConfigError
from metalqr.config.registries import families, figures, sections, tables
from metalqr.config.sizes import Sizes
from metalqr.config.theory_plan import TheoryPlan
from metalqr.config.tuning import grid

if TYPE_CHECKING:
    from metalqr.systems.family import Family


#: Wildcards whose values mean nothing without their names.
_SAID = {"seed": "seed", "rate": "adaptation rate"}


class TaskSet(NamedTuple):
    """Tasks that runs use: those of a case, or the same with some settings of the family moved by a sweep."""

    case: str
    family: "Family"


class Run(NamedTuple):
    """The part that the runs of all seeds share: its set of tasks, its settings, and what the rules need of these."""

    tasks: str
    settings: MetaSettings
    #: Of the settings those that are not at their defaults; in place of those that are tuned, the block that does it.
    changed: dict[str, Any]
    #: The files of the plug-ins that its settings name.
    plugins: tuple[Path, ...]
    #: Number of runs that tune it.
    tuning_runs: int
    #: The file of the tuning, if there is one.
    tuned: str | None
    #: Its place on the axes of the first experiment that has it.
    place: str


def quick(function: Callable[..., Any]) -> Callable[..., Any]:
    """Function with its signature at hand, for params, resources and priorities.

    Snakemake looks up the signature several times a job, and Python makes it anew each time, for a method or a lambda
    expression in 60 microseconds: a sixth of the time of planning ten thousand runs.
    """

    def call(*arguments: Any, **more: Any) -> Any:
        return function(*arguments, **more)

    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


class Plan:
    """Everything that the rules need of a config; look-ups in dictionaries, since every job needs them.

    The paths of ``plugins`` and ``tasks`` are relative to the folder, by default the working directory. ``config`` has
    every default, in plain values; ``task_sets`` has all sets of tasks by name.

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
        self.config["folder"] = str(self.folder)
        with relative_to(self.folder):
            self._list()

    def _list(self) -> None:
        self.experiments = self.checked.resolved
        self.theory = TheoryPlan(self.checked)
        self.evaluation = EvaluationPlan(self.checked)
        self.benefit = BenefitPlan(self.checked)
        self.prediction = PredictionPlan(self.checked)
        self._runs: dict[tuple[str, str], Run] = {}
        self._run_files: dict[str, list[str]] = {}
        self._tuned_files: dict[str, list[str]] = {}
        alone = [*self.theory.cases, *self.evaluation.cases, *self.benefit.cases]
        self.task_sets = {case: TaskSet(case, self.checked.cases[case].family) for case in alone}
        for experiment in self.experiments.values():
            self._list_runs(experiment)
        #: The sets of tasks with a model: those of a simulator have no optima.
        self.modelled = [name for name, each in self.task_sets.items() if each.family.has_model]
        self._known_needs: dict[tuple[str, ...], tuple[float, float]] = {}
        self.figures = Outputs(self, figures, FIGURE_FORMATS)
        self.tables = Outputs(self, tables, TABLE_FORMATS)
        self.sections = Outputs(self, sections, SECTION_FORMATS)
        self.page = PagePlan(self.config, self.sections, self.figures, self.tables)

    def _list_runs(self, experiment: Experiment) -> None:
        files, tunings = self._run_files[experiment.name], self._tuned_files[experiment.name] = [], []
        for case in experiment.bases:
            for name, family in experiment.families(case).items():
                self.task_sets.setdefault(name, TaskSet(case, family))
            sets = experiment.families(case)
            for point in experiment.points(case):
                plugins = tuple(plugin.source for plugin in point.settings.plugins())
                if sets[point.tasks].resamples or not sets[point.tasks].has_model:
                    plugins += tuple(sets[point.tasks].sources)
                tuning_runs = len(grid(point.tune)) * len(point.tune["seeds"]) if point.tune else 0
                names = {"case": point.tasks, "configuration": point.configuration}
                tuned = TUNED_FILE.format(**names) if point.tune else None
                changed = identity(point.settings, point.tune)
                place = experiment.place(point)
                run = Run(point.tasks, point.settings, changed, plugins, tuning_runs, tuned, place)
                self._runs.setdefault((point.tasks, point.configuration), run)
                pattern = RUN_FILE.format(**names, seed="{}")
                files += [pattern.format(seed) for seed in experiment.seeds]
                if tuned and tuned not in tunings:
                    tunings.append(tuned)

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """The cases that an experiment or the stage `theory` uses, in the config's order."""
        used = {each.case for each in self.task_sets.values()}
        return tuple(case for case in self.checked.cases if case in used)

    @property
    def evaluates(self) -> bool:
        """True if the stage `evaluation` makes anything."""
        return bool(self.evaluation.files or self.benefit.files)

    @property
    def warnings(self) -> Iterator[str]:
        """Warnings of what is possible, but may not be meant."""
        drawn = {name for output in self.figures.by_name.values() for name in output.predicted}
        yield from (*self.checked.warnings, *self.prediction.warnings(drawn))

    # Params, by wildcards.

    def task_block(self, wildcards: Any) -> dict[str, Any]:
        """The origin of a set of tasks: dimensions, family, initial gain, and the seed where that counts."""
        return self.origin(*self.task_sets[wildcards.case])

    def origin(self, case: str, family: "Family") -> dict[str, Any]:
        """The same of a case with a family of tasks, whether or not an experiment has it."""
        block = self.checked.cases[case]
        return {
            "state_dim": block.state_dim,
            "action_dim": block.action_dim,
            # Without defaults, which are in the file of the family, and that file is among the sources.
            "tasks": {"family": family.name, **family.settings.changed()},
            "initial_gain": block.initial_gain,
            **({"seed": self.checked.tasks_seed(case)} if family.is_random else {}),
            **({"digest": family.digest} if family.digest else {}),
        }

    def drawn_block(self, wildcards: Any) -> dict[str, Any]:
        """The origin of tasks that are drawn without an initial gain."""
        return {name: value for name, value in self.task_block(wildcards).items() if name != "initial_gain"}

    def task_plugins(self, wildcards: Any) -> list[Path]:
        """The file of the family that makes a set of tasks, and that of the way to find its initial gain."""
        case, family = self.task_sets[wildcards.case]
        finder = self.checked.cases[case].gain_finder
        return [*family.sources, *([finder.source] if finder else [])]

    def family_plugins(self, wildcards: Any) -> list[Path]:
        """The file of the family alone."""
        return list(self.task_sets[wildcards.case].family.sources)

    def unseen_plugins(self, wildcards: Any) -> list[Path]:
        """The file of the family that draws further tasks, or of what reads them from a file."""
        if "path" in self.evaluation.unseen(wildcards):
            return [families.get("file").source]
        return list(self.task_sets[wildcards.case].family.sources)

    def run(self, wildcards: Any) -> Run:
        """The run behind the digest of a configuration."""
        key = wildcards.case, wildcards.configuration
        if key not in self._runs:
            raise ConfigError([f"experiments: none produces the run {'/'.join(key)}; request the target `runs`"])
        return self._runs[key]

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """The algorithm's settings of a run that are not at their defaults, and the block that tunes it."""
        return self.run(wildcards).changed

    def run_plugins(self, wildcards: Any) -> tuple[Path, ...]:
        """The files of the plug-ins of a run."""
        return self.run(wildcards).plugins

    # Resources, by rule.

    def resources(self, rule: str) -> dict[str, Callable[[Any, int], int]]:
        """Memory and run time of a rule's jobs. A retry gets more of both."""

        def mem_mb(wildcards: Any, attempt: int) -> int:
            return math.ceil(attempt * (needs.SNAKEMAKE + self._needs(rule, wildcards)[0]))

        def runtime(wildcards: Any, attempt: int) -> int:
            return attempt * needs.minutes(self._needs(rule, wildcards)[1])

        return {"mem_mb": quick(mem_mb), "runtime": quick(runtime)}

    def priority(self, rule: str) -> Callable[[Any], int]:
        """The priority of a rule's jobs: the longest first, on one scale for all rules."""
        return quick(lambda wildcards: needs.priority(self._needs(rule, wildcards)[1]))

    def expected(self, rule: str, wildcards: Any) -> float:
        """Seconds that a job takes, as far as that is known before: right in proportion, and of the right size."""
        if rule in needs.RULES:
            return needs.START + needs.TYPICAL * self._needs(rule, wildcards)[1]
        return needs.REPORTING.get(rule, needs.START)

    def name_of(self, wildcards: Any) -> str:
        """A job among those of its rule: case, experiment, figure or the like, then a run's place on axes and seed."""
        words = dict(wildcards.items())
        if "configuration" in words:
            words["configuration"] = self.run(wildcards).place
        return ", ".join(f"{_SAID[key]} {word}" if key in _SAID else word for key, word in words.items() if word)

    def megabytes_of(self, kind: str, name: str) -> float:
        """Memory that holds a result; no file of the stage `theory` holds more than the largest job of its case."""
        if kind == "meta_optima":  # a gain and a few numbers
            return 0.1
        if kind == "evaluation":
            experiment, _, case = name.partition("/")
            return self._needs("join_evaluation", SimpleNamespace(case=case, experiment=experiment))[0] - needs.PROCESS
        wildcards = SimpleNamespace(case=name, experiment=name)
        if kind == "meta_benefit":
            return self._needs(needs.META_BENEFIT, wildcards)[0] - needs.PROCESS
        if kind == "predictions":
            return self._needs("join_predictions", wildcards)[0] - needs.PROCESS
        rules = ("collect_dataset",) if kind == "datasets" else needs.THEORY
        return max(self._needs(rule, wildcards)[0] for rule in rules) - needs.PROCESS

    def _needs(self, rule: str, wildcards: Any) -> tuple[float, float]:
        """Megabytes and seconds of a job, the same for all seeds."""
        key = rule, *(getattr(wildcards, name, "") for name in ("case", "configuration", "experiment", "pool"))
        if key not in self._known_needs:
            parts = self._parts(rule, wildcards)
            self._known_needs[key] = needs.megabytes(rule, parts), needs.seconds(rule, parts)
        return self._known_needs[key]

    def _parts(self, rule: str, wildcards: Any) -> list[Sizes]:
        if rule in needs.OF_EXPERIMENTS:
            return job_sizes.dataset_sizes(self.checked, self.experiments[wildcards.experiment])
        if rule in needs.THEORY:
            return job_sizes.theory_sizes(self.checked, wildcards.case)[rule]
        if rule == needs.META_BENEFIT:
            return self.benefit.sizes(wildcards.case)
        if rule in needs.EVALUATION:
            return self.evaluation.sizes(rule, wildcards)
        case, family = self.task_sets[wildcards.case]
        sizes = replace(job_sizes.case_sizes(self.checked, case), **job_sizes.of_family(family))
        if rule not in ("train_policy", "tune", "predict"):
            return [sizes]
        run = self.run(wildcards)
        return [replace(sizes, settings=run.settings, runs=run.tuning_runs if rule == "tune" else 1)]

    def configurations_of(self, tasks: str) -> list[str]:
        """The digests of all configurations that a set of tasks is trained with."""
        return [configuration for owner, configuration in self._runs if owner == tasks]

    # Files.

    def optima_of(self, wildcards: Any) -> list[str]:
        """The optima of an experiment's sets of tasks with a model: by case, then in the order of the points."""
        experiment = self.experiments[wildcards.experiment]
        names = [name for case in experiment.bases for name in experiment.families(case)]
        return [OPTIMA_FILE.format(case=name) for name in names if name in self.modelled]

    def tuned_file(self, wildcards: Any) -> list[str]:
        """The tuning that a run reads: one file, or none."""
        tuned = self.run(wildcards).tuned
        return [tuned] if tuned else []

    def tuned_files(self, wildcards: Any) -> list[str]:
        """The tunings of an experiment's runs, each once: by case, then by point."""
        return self._tuned_files[wildcards.experiment]

    def all_tuned_files(self) -> list[str]:
        """Every tuning, each once."""
        return [run.tuned for run in self._runs.values() if run.tuned]

    def run_files(self, name: str) -> list[str]:
        """The experiment's run files: by case, then by point, then by seed."""
        return self._run_files[name]

    def all_run_files(self) -> list[str]:
        """Every experiment's run files, each once."""
        return list(dict.fromkeys(file for files in self._run_files.values() for file in files))

    def files_of(self, names: Iterable[str]) -> list[str]:
        """The datasets of some experiments, and the files of all stages before them but for the tasks."""
        found = [file for name in names for file in self._files_of(name)]
        return list(dict.fromkeys(found))

    def _files_of(self, name: str) -> list[str]:
        optima = self.optima_of(SimpleNamespace(experiment=name))
        return [*optima, *self._tuned_files[name], *self._run_files[name], self.results("datasets")[name]]

    @cached_property
    def meta_optima(self) -> dict[str, str]:
        """The files of the optima of the meta-objective, at the adaptation rates of all runs and of the theory's cases.

        By the name of the tasks with the rate, such as ``d1k1/1e-05``.
        """
        rates = [(run.tasks, run.settings.adaptation_rate) for run in self._runs.values()]
        rates += [(case, self.checked.own_settings[case].adaptation_rate) for case in self.theory.cases]
        wanted = [(tasks, rate) for tasks, rate in dict.fromkeys(rates) if tasks in self.modelled]
        return {f"{tasks}/{rate!r}": meta_optimum_file(tasks, rate) for tasks, rate in wanted}

    def results(self, kind: str) -> dict[str, str]:
        """The files of a kind of result, a key of :data:`metalqr.config.outputs.READERS`, by experiment or case."""
        if kind == "datasets":
            return {name: f"results/datasets/{name}.nc" for name in self.experiments}
        if kind == "evaluation":
            return self.evaluation.joined
        if kind == "meta_benefit":
            return self.benefit.files
        if kind == "predictions":
            return self.prediction.joined
        return self.meta_optima if kind == "meta_optima" else self.theory.files_in(kind)

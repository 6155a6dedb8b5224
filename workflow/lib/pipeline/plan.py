"""From the checked config to the runs: every experiment's points, and the identity that lets experiments share runs."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline import demands
from pipeline.canonical import canonical_block, canonical_setting, complete_settings
from pipeline.configuration import HYPERPARAMETERS, check_config
from pipeline.limits import dataset_jobs, sizes_of
from pipeline.problems import ConfigError

DIGEST_LENGTH = 12
OPTIMA_FILE = "results/optima/{case}.nc"
META_OPTIMUM_FILE = "results/optima/{case}/adaptation_rate-{rate}.nc"
RUN_FILE = "results/runs/{case}/{setting}/seed-{seed}.nc"
FIGURE_FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class Experiment:
    """One experiment of the config, its sweep resolved.

    Attributes
    ----------
    sweep : dict
        Values of each independently swept setting: the axes of the experiment's dataset.
    linked : dict
        Settings that move together with an axis, with the axis' name.
    """

    name: str
    cases: tuple[str, ...]
    seeds: tuple[int, ...]
    sweep: dict[str, list[Any]]
    linked: dict[str, str]

    def changes(self) -> list[dict[str, Any]]:
        """The settings that each point of the sweep changes, the last axis fastest; one empty point without a sweep."""
        points = [dict(zip(self.sweep, values, strict=True)) for values in itertools.product(*self.sweep.values())]
        return [{**point, **{name: point[axis] for name, axis in self.linked.items()}} for point in points]


def setting_digest(settings: Mapping[str, Any]) -> str:
    """Short name of an algorithm's settings: it depends on their values only, not on order or spelling (1 or 1.0)."""
    canonical = {name: canonical_setting(name, value) for name, value in settings.items()}
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


@dataclass
class Plan:
    """Everything the rules ask of a config; look-ups in dictionaries, since the rules ask once a job.

    Raises
    ------
    ConfigError
        If the config is unusable.
    """

    raw_config: Mapping[str, Any]
    config: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.config = check_config(self.raw_config)
        self._settings: dict[tuple[str, str], dict[str, Any]] = {}
        for experiment in self.experiments.values():
            for case in experiment.cases:
                base = complete_settings(self.config, case)
                for change in experiment.changes():
                    settings = {**base, **{name: canonical_setting(name, value) for name, value in change.items()}}
                    self._settings[case, setting_digest(settings)] = settings

    @cached_property
    def experiments(self) -> dict[str, Experiment]:
        """All experiments by name, in the config's order."""
        experiments = {}
        for name, block in self.config["experiments"].items():
            values = {key: entry for key, entry in block["sweep"].items() if not isinstance(entry, str)}
            experiments[name] = Experiment(
                name=name,
                cases=tuple(block["cases"]),
                seeds=tuple(block["seeds"]),
                sweep={key: [canonical_setting(key, value) for value in entry] for key, entry in values.items()},
                linked={key: entry for key, entry in block["sweep"].items() if isinstance(entry, str)},
            )
        return experiments

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """The cases that an experiment uses, in the config's order."""
        used = {case for experiment in self.experiments.values() for case in experiment.cases}
        return tuple(case for case in self.config["cases"] if case in used)

    @cached_property
    def curves(self) -> tuple[str, ...]:
        """Experiments without a sweep: each is a figure of learning curves."""
        return tuple(name for name, experiment in self.experiments.items() if not experiment.sweep)

    @cached_property
    def sweeps(self) -> tuple[str, ...]:
        """Experiments with one axis: together they are the figure of the hyperparameters."""
        return tuple(name for name, experiment in self.experiments.items() if len(experiment.sweep) == 1)

    @property
    def threads(self) -> int:
        """Threads of a training job."""
        return int(self.config["execution"]["threads"])

    # What the rules ask for by wildcards.

    def task_block(self, wildcards: Any) -> dict[str, Any]:
        """The case's task family with its dimensions, and the seed where the family is random."""
        block = self.config["cases"][wildcards.case]
        chosen = {key: block[key] for key in ("state_dim", "action_dim")} | {"tasks": canonical_block(block["tasks"])}
        return chosen if block["tasks"]["family"] == "given" else {**chosen, "seed": self.config["seed"]}

    def initial_gain(self, wildcards: Any) -> Any:
        """`"zero"` or the rows of K_0."""
        return canonical_block(self.config["cases"][wildcards.case]["initial_gain"])

    def settings(self, wildcards: Any) -> dict[str, Any]:
        """The algorithm's settings behind a run's digest."""
        case, setting = wildcards.case, wildcards.setting
        try:
            return self._settings[case, setting]
        except KeyError:
            raise ConfigError(
                [f"experiments: none asks for the run {case}/{setting}; ask for the stage 'runs'"]
            ) from None

    def priority(self, wildcards: Any) -> int:
        """How early a run should start: ten more for each factor of ten in its time."""
        return round(10 * math.log10(1 + 1000 * demands.run_seconds(self._run_sizes(wildcards))))

    # What the rules ask for as resources. Snakemake tries a job again with more of both, if --retries allows.

    def task_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `generate_tasks`."""
        return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + demands.task_memory(self._sizes(wildcards))))

    def task_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `generate_tasks`."""
        return attempt * demands.minutes(demands.task_seconds(self._sizes(wildcards)))

    def optima_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `solve_optima`."""
        return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + demands.optima_memory(self._sizes(wildcards))))

    def optima_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `solve_optima`."""
        return attempt * demands.minutes(demands.optima_seconds(self._sizes(wildcards)))

    def meta_optimum_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `solve_meta_optimum`."""
        return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + demands.meta_optimum_memory(self._sizes(wildcards))))

    def meta_optimum_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `solve_meta_optimum`."""
        return attempt * demands.minutes(demands.meta_optimum_seconds(self._sizes(wildcards)))

    def run_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `train_policy`."""
        return math.ceil(attempt * (demands.SNAKEMAKE_MEGABYTES + demands.run_memory(self._run_sizes(wildcards))))

    def run_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `train_policy`."""
        return attempt * demands.minutes(demands.run_seconds(self._run_sizes(wildcards)))

    def dataset_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for `collect_dataset`."""
        return math.ceil(attempt * demands.gathering_memory(self._data([wildcards.experiment])))

    def figure_memory(self, wildcards: Any, attempt: int) -> int:
        """Megabytes for a figure or table of the experiment in the wildcards, or of all sweeps."""
        experiment = getattr(wildcards, "experiment", None)
        names = [experiment] if experiment else self.sweeps
        return math.ceil(attempt * demands.drawing_memory(self._data(names)))

    def dataset_minutes(self, wildcards: Any, attempt: int) -> int:
        """Minutes for `collect_dataset`."""
        cases = dataset_jobs(self.config, wildcards.experiment).values()
        return attempt * demands.minutes(sum(demands.dataset_seconds(job.sizes) for job in cases))

    def _sizes(self, wildcards: Any) -> demands.Sizes:
        return sizes_of(self.config["cases"][wildcards.case])

    def _data(self, experiments: Iterable[str]) -> float:
        """Megabytes of the datasets of experiments."""
        return sum(job.memory for name in experiments for job in dataset_jobs(self.config, name).values())

    def _run_sizes(self, wildcards: Any) -> demands.Sizes:
        return sizes_of(self.config["cases"][wildcards.case], self.settings(wildcards), self.threads)

    def settings_of(self, case: str) -> list[str]:
        """The digests of all settings that a case is run with."""
        return [setting for owner, setting in self._settings if owner == case]

    def optima_of(self, wildcards: Any) -> list[str]:
        """The optima of an experiment's cases."""
        return [OPTIMA_FILE.format(case=case) for case in self.experiments[wildcards.experiment].cases]

    def meta_optimum_of(self, wildcards: Any) -> str:
        """The optimum of the meta-objective at the adaptation rate of a run."""
        return _meta_optimum_file(wildcards.case, self.settings(wildcards))

    def runs_of(self, wildcards: Any) -> list[str]:
        """An experiment's run files: by case, then by point of the sweep, then by seed."""
        return self.run_files(wildcards.experiment)

    def dataset_block(self, wildcards: Any) -> dict[str, Any]:
        """How an experiment's runs are laid out: axes, seeds, and by case the settings that it does not sweep."""
        experiment = self.experiments[wildcards.experiment]
        swept = {*experiment.sweep, *experiment.linked}
        common = {
            case: {key: value for key, value in complete_settings(self.config, case).items() if key not in swept}
            for case in experiment.cases
        }
        seeds = list(experiment.seeds)
        return {"cases": common, "sweep": experiment.sweep, "linked": experiment.linked, "seeds": seeds}

    # Files.

    def run_files(self, name: str) -> list[str]:
        """The experiment's run files: by case, then by point of the sweep, then by seed."""
        experiment = self.experiments[name]
        files = []
        for case in experiment.cases:
            base = complete_settings(self.config, case)
            for change in experiment.changes():
                setting = setting_digest({**base, **change})
                files += [RUN_FILE.format(case=case, setting=setting, seed=seed) for seed in experiment.seeds]
        return files

    def all_run_files(self) -> list[str]:
        """Every experiment's run files, each once."""
        return list(dict.fromkeys(file for name in self.experiments for file in self.run_files(name)))

    @property
    def meta_optimum_files(self) -> list[str]:
        """The optima of the meta-objective at the adaptation rates of all runs, each once."""
        return list(dict.fromkeys(_meta_optimum_file(case, each) for (case, _), each in self._settings.items()))

    @property
    def dataset_files(self) -> list[str]:
        """The datasets of all experiments."""
        return [f"results/datasets/{name}.nc" for name in self.experiments]

    @property
    def figure_files(self) -> list[str]:
        """All figures, in all formats."""
        names = [*self.curves, *([HYPERPARAMETERS] if self.sweeps else [])]
        return [f"results/figures/{name}.{form}" for name in names for form in FIGURE_FORMATS]

    @property
    def table_files(self) -> list[str]:
        """The tables of all experiments."""
        return [f"results/tables/{name}.{form}" for name in self.experiments for form in ("md", "csv")]


def _meta_optimum_file(case: str, settings: Mapping[str, Any]) -> str:
    return META_OPTIMUM_FILE.format(case=case, rate=repr(float(settings["adaptation_rate"])))

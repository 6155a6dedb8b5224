"""The whole config as frozen models: one field for each key, with its type, default and range.

What the blocks ``algorithm``, ``tasks``, ``sweep`` and ``variants`` may hold follows from the settings that runs and
plug-ins declare: ``plugin_types.py``.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from metalqr.config.algorithm import MetaSettings
from metalqr.config.estimation import estimation_points
from metalqr.config.evaluation import Evaluation, estimate_settings
from metalqr.config.experiments import Base, Experiment
from metalqr.config.prediction import Prediction
from metalqr.config.registries import directions, gain_finder, methods
from metalqr.config.registry import NAME, NAME_RULE
from metalqr.config.settings import (
    AllOrListed,
    Count,
    Distinct,
    Listed,
    Real,
    Seed,
    Settings,
    refuse,
    setting,
)
from metalqr.config.theory import Theory

if TYPE_CHECKING:
    from metalqr.initial_gains.initial_gain import InitialGain
    from metalqr.systems.family import Family


def _is_name(name: str) -> str:
    """Names become folders and files."""
    if not re.fullmatch(NAME, name):
        raise refuse("", f"not a valid name; {NAME_RULE}")
    return name


Name = Annotated[str, AfterValidator(_is_name)]


class Execution(Settings):
    """Settings of how the jobs run, never of what they compute."""

    threads: Count = setting(
        1, about="threads per training job; jobs run in parallel, more threads only finish a single run sooner"
    )
    checkpoint_seconds: Real = setting(
        30.0,
        unit="s",
        about="time between saves of a training job's state; 0 saves as often as a twentieth of the run time allows",
        at_least=0,
    )
    largest_memory_mb: Count = setting(
        16000, label="largest memory", unit="MB", about="a config with a job that needs more memory is rejected"
    )


class Case(Settings):
    """A set of tasks, the initial gain, and the settings that depend on them."""

    state_dim: Count = setting(
        None,
        symbol="d",
        label="state dimension",
        about="of all tasks; by default, that of the family",
        size=True,
        derived=True,
    )
    action_dim: Count = setting(
        None,
        symbol="k",
        label="action dimension",
        about="of all tasks; by default, that of the family",
        size=True,
        derived=True,
    )
    tasks: Any = setting(None, about="a task family with its settings", derived=True)
    simulator: Any = setting(
        None,
        about="in place of tasks: a simulator of your own and the parameters of each task, without a model",
        derived=True,
    )
    seed: Seed | None = setting(None, about="seed of its random task family; by default, that of the config")
    initial_gain: Any = setting(symbol="K_0", about="zero, its rows, or a way to find it; it must stabilise every task")
    algorithm: dict[str, Any] = setting({}, about="the case's own settings of the algorithm")
    meta_benefit: bool = setting(False, about="whether evaluation.benefit compares gains for tasks of its family")
    theory: bool = setting(True, about="whether the stage theory takes the case where theory.cases is all")

    @model_validator(mode="after")
    def _dimensions_are_known(self) -> Self:
        if self.tasks is None and self.simulator is None:
            raise refuse("tasks", "missing; add it")
        if self.tasks is not None and self.simulator is not None:
            raise refuse("simulator", "the case has tasks too; remove one of the two")
        for name, size in zip(("state_dim", "action_dim"), self.family.dimensions or (None, None), strict=True):
            if getattr(self, name) is None:
                if size is None:
                    raise refuse(name, "missing; add it")
                self.__dict__[name] = size
        return self

    @property
    def family(self) -> "Family":
        """The task family."""
        return self.tasks if self.simulator is None else self.simulator

    @property
    def origin(self) -> str:
        """The key that says where its tasks come from."""
        return "tasks" if self.simulator is None else "simulator"

    @property
    def gain_finder(self) -> "InitialGain | None":
        """The way in which the initial gain is found; None where it is given."""
        return gain_finder(self.initial_gain)

    @property
    def family_settings(self) -> dict[str, Any]:
        """The name of the task family, and of its settings those that are not at their defaults."""
        return {"family": self.family.name, **self.family.settings.changed()}


class ExperimentBlock(Settings):
    """Runs for every case, variant, value of the sweep and seed, which become one dataset."""

    cases: Distinct[str] = setting(about="names of cases")
    seeds: Distinct[Seed] = setting(about="seeds of the random numbers of a run")
    variants: dict[Name, dict[str, Any]] = setting(
        {},
        about="an axis of named combinations of settings: algorithm settings for each name, and a block tune where a "
        "rule chooses some",
    )
    evaluated: bool = setting(False, about="whether the stage evaluation adapts its trained gains to unseen tasks")
    show_prediction: bool = setting(False, about="whether figures of its learning curves show the predicted ones too")
    sweep: dict[str, Any] = setting(
        {},
        about="an axis for each setting with a list of values; the name of another setting in place of a list links "
        'it to that one; "tasks.NAME" is a setting of the task family',
    )

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The values of every setting that is not linked to another one."""
        return {name: values for name, values in self.sweep.items() if not isinstance(values, str)}

    @property
    def linked(self) -> dict[str, str]:
        """The settings that are linked to another one, with its name."""
        return {name: values for name, values in self.sweep.items() if isinstance(values, str)}


class Config(Settings):
    """A config, checked."""

    seed: Seed = setting(about="seed of the random task families of all cases that have none of their own")
    plugins: Listed[str] = setting(
        (),
        label="plug-ins",
        about="Python files with your own estimators, directions, methods, update rules, families, figures or tables",
    )
    algorithm: dict[str, Any] = setting({}, about="settings that all cases share")
    cases: Annotated[dict[Name, Any], Field(min_length=1)] = setting(about="sets of tasks by name")
    experiments: Annotated[dict[Name, Any], Field(min_length=1)] = setting(about="experiments by name")
    only_experiments: AllOrListed = setting("all", about="the experiments that are made: all, or a list of their names")
    theory: Theory = setting(Theory(), about="the stage theory")
    evaluation: Evaluation = setting({}, about="the stage evaluation")  # made of the type with the plug-ins
    prediction: Prediction = setting(Prediction(), about="the stage predictions")
    execution: Execution = setting(Execution(), about="how the jobs run")

    def given(self, case: str) -> dict[str, Any]:
        """Every setting that the config gives a case, or that all settings share a default of."""
        return {**default_algorithm(), **self.algorithm, **self.cases[case].algorithm}

    @property
    def warnings(self) -> Iterator[str]:
        """Warnings of what is possible, but may not be meant: cases of one draw, values over a budget, another bias."""
        yield from self._same_draws()
        yield from self._over_budget()
        yield from self._other_biases()
        yield from self._without_model()

    def _without_model(self) -> Iterator[str]:
        if names := [name for name in self._used if not self.cases[name].family.has_model]:
            have = "has a simulator" if len(names) == 1 else "have simulators"
            yield (
                f"{', '.join(names)} {have} and no model: costs are measured by rollouts, there are no optima and no "
                "floors, and the stages optima, predictions, theory and evaluation leave them out"
            )

    def _other_biases(self) -> Iterator[str]:
        for name in self.theory_cases:
            chosen = self.own_settings[name].directions
            if not directions.get(chosen).is_on_sphere:
                yield (
                    f"theory.estimation_error gives {name} the bias of smoothing over a ball, as directions on a "
                    f"sphere have it; its directions: {chosen} smooth otherwise, so compare errors with the noise alone"
                )

    def _over_budget(self) -> Iterator[str]:
        sweeps = self.theory.estimation_error
        for name in self.theory_cases:
            case = self.cases[name]
            sizes = case.family.count, case.state_dim, case.action_dim
            swept = estimation_points(sweeps, self.own_settings[name], *sizes)
            left_out = [
                f"{axis} {value!r}"
                for axis, points in swept.items()
                for value, point in zip(getattr(sweeps, axis), points, strict=True)
                if not point.is_measured
            ]
            if left_out:
                yield (
                    f"theory.estimation_error leaves out of {name} what is over rollout_steps_budget: "
                    f"{sweeps.rollout_steps_budget:.2g}: {', '.join(left_out)}"
                )

    def _same_draws(self) -> Iterator[str]:
        drawn: dict[str, str] = {}
        for name, case in self.cases.items():
            draw = repr((case.state_dim, case.action_dim, case.family_settings, self.tasks_seed(name)))
            first = drawn.setdefault(draw, name)
            if case.family.is_random and first != name:
                yield (
                    f"cases.{name} has the same tasks as cases.{first}, because their family, its settings, the "
                    f"dimensions and the seed are the same; give one a seed of its own, as in cases.{name}.seed: 1"
                )

    def tasks_seed(self, case: str) -> int:
        """The seed of a case's random task family."""
        own: int | None = self.cases[case].seed
        return self.seed if own is None else own

    @cached_property
    def own_settings(self) -> dict[str, MetaSettings]:
        """Each case's own settings, those of the stage ``theory``."""
        return {case: Base(self.given(case), {}).settings() for case in self.cases}

    def estimates(self, case: str) -> dict[str, MetaSettings]:
        """The settings of each estimate of the stage ``evaluation`` for a case, by name."""
        return {name: estimate_settings(self.given(case), each) for name, each in self.evaluation.estimators.items()}

    @cached_property
    def resolved(self) -> dict[str, Experiment]:
        """All experiments by name."""
        found = {}
        for name, block in self.experiments.items():
            bases = {case: Base(self.given(case), self.cases[case].family_settings) for case in block.cases}
            found[name] = Experiment(name, bases, block.seeds, block.variants, block.axes, block.linked)
        return found

    @property
    def theory_cases(self) -> list[str]:
        """The cases of the stage ``theory``, in the order of the config's cases."""
        if self.theory.cases != "all":
            return [case for case in self.cases if case in self.theory.cases]
        return [name for name in self._used if self.cases[name].theory and self.cases[name].family.has_model]

    @property
    def benefit_cases(self) -> list[str]:
        """The cases of the block ``evaluation.benefit``, in the order of the config's cases."""
        return [name for name in self._used if self.cases[name].meta_benefit]

    @property
    def _used(self) -> list[str]:
        """The cases of the experiments, in the config's order."""
        used = {case for block in self.experiments.values() for case in block.cases}
        return [name for name in self.cases if name in used]

    @property
    def evaluated(self) -> list[str]:
        """The experiments of the stage ``evaluation``."""
        return [name for name, block in self.experiments.items() if block.evaluated]

    @property
    def predicted(self) -> list[str]:
        """The experiments of the stage ``predictions``."""
        chosen = self.prediction.experiments
        return [name for name in self.experiments if chosen == "all" or name in chosen]

    def seeds_without_axes(self, case: str) -> list[int]:
        """The seeds of a case in experiments without an axis, each once: of its runs at its own settings.

        None where its method has a gain for each task: Definitions 1 and 2 are about one gain for all.
        """
        if methods.get(self.own_settings[case].method).gain_per_task:
            return []
        blocks = [each for each in self.resolved.values() if not each.axes and case in each.bases]
        return list(dict.fromkeys(seed for block in blocks for seed in block.seeds))

    def plain(self) -> dict[str, Any]:
        """The config in plain values, every default filled in: what the jobs and the captions of the report read."""
        return {
            **self.model_dump(mode="json", exclude_none=True),
            "algorithm": {**default_algorithm(), **self.algorithm},
        }


def default_algorithm() -> dict[str, Any]:
    """The settings of Algorithm 2 that have a default."""
    return {each.name: each.default for each in MetaSettings.declarations() if not each.is_required}

"""The whole config as frozen models: one field for each key, with its type, default and range.

The blocks ``algorithm``, ``tasks``, ``sweep`` and ``variants`` follow from the settings that runs and plug-ins declare,
so their models are made when a config is checked and the plug-ins are known: :func:`config_model`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cache, cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    TypeAdapter,
    WithJsonSchema,
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo

from metalqr.config.algorithm import CHOICES, MetaSettings, all_fields, family_fields
from metalqr.config.estimation import estimation_points
from metalqr.config.experiments import TASKS, Base, Experiment
from metalqr.config.problems import nearest, short_repr, wrong_type
from metalqr.config.registries import directions, families, methods
from metalqr.config.registry import NAME, NAME_RULE
from metalqr.config.settings import (
    MAX_COUNT,
    Count,
    Distinct,
    Listed,
    Matrix,
    Radius,
    Real,
    Seed,
    Settings,
    TextOr,
    declaration,
    no_twins,
    refuse,
    setting,
    type_of,
)
from metalqr.config.tuning import TUNE, Tune

if TYPE_CHECKING:
    from metalqr.systems.family import Family


def _is_name(name: str) -> str:
    """Names become folders and files."""
    if not re.fullmatch(NAME, name):
        raise refuse("", f"not a valid name; {NAME_RULE}")
    return name


Name = Annotated[str, AfterValidator(_is_name)]
#: Settings that no tuning chooses: optima depend on the first, the others do not change the steps of a run.
_NOT_TUNABLE = ("adaptation_rate", "tolerance", "average_last")
_ABOUT_TUNE = "settings that a rule chooses by runs of their own: the rule, and a list of values for each"
#: The zero gain, or its rows.
Gain = TextOr[Literal["zero"], Matrix]


def _list_or_text(value: Any) -> Any:
    if not isinstance(value, list | tuple | str):
        raise refuse("", f"{short_repr(value)} is neither a list nor text")
    return value


def _all_cases(value: str) -> str:
    if value != "all":
        raise refuse("", f"{short_repr(value)} is not allowed; write all, or a list of cases")
    return value


#: Some cases, or all that an experiment uses.
Cases = Annotated[
    TextOr[
        Annotated[str, AfterValidator(_all_cases), WithJsonSchema({"const": "all"})],
        Annotated[Listed[str], AfterValidator(no_twins)],
    ],
    BeforeValidator(_list_or_text),
]


class Audit(Settings):
    """Every inequality of the lemmas, checked at gains of the sub-level set of Definition 2."""

    gains: Count = setting(1000, about="random gains in the sub-level set, per case", size=True)
    perturbations: Count = setting(
        2, about="perturbations per gain, for the inequalities that compare two gains", size=True
    )
    random_tasks: Count = setting(100, about="random sets of tasks in addition to the case's own", size=True)
    sublevel_factor: Real = setting(
        1.0,
        symbol=r"\gamma",
        label="sub-level factor",
        about="of Definition 2: maximum gap of a gain, as a multiple of the gap at K_0",
        at_least=1,
    )


class Requirements(Settings):
    """The target of Theorems 1 and 2."""

    target: Real = setting(
        0.1, symbol=r"\varepsilon_0", about="target accuracy, as a fraction of the gap at K_0", above=0, at_most=1
    )
    failure_probability: Real = setting(
        0.1, symbol=r"\delta", about="failure probability of the theorems", above=0, below=1
    )


class ErrorSweeps(Settings):
    """Values at which the true errors of Algorithms 1 and 2 are measured, one list at a time."""

    repeats: Annotated[int, Field(ge=2, le=MAX_COUNT)] = setting(
        40,
        about="estimates per value; fewer of Algorithm 2 where one takes more steps than at the case's own settings",
        size=True,
    )
    perturbations: Distinct[Count] = setting(
        (25, 50, 100, 200), symbol="M", about="perturbations of both algorithms, swept together"
    )
    smoothing_radius: Distinct[Radius] = setting(
        (0.0125, 0.025, 0.05, 0.1, 0.2), symbol="r", about="Frobenius norm of a perturbation"
    )
    rollout_length: Distinct[Count] = setting((10, 25, 50, 100, 200), symbol=r"\ell", about="steps of a rollout")
    rollout_steps_budget: Real = setting(
        2.0e9,
        label="budget",
        unit="rollout steps",
        about="of each case; the costliest values over it are left out; an exact bias counts as the steps that take as "
        "long",
        at_least=0,
    )


class ExactMethods(Settings):
    """The exact first-order methods from K_0."""

    iterations: Count = setting(300, about="iterations of each exact first-order method", size=True)


class Theory(Settings):
    """The stage ``theory``."""

    cases: Cases = setting("all", about="all cases of the experiments, or a list of any cases; [] skips the stage")
    seed: Seed = setting(0, about="seed of the random gains, perturbations, tasks and rollouts")
    audit: Audit = setting(Audit(), about="check of every inequality")
    requirements: Requirements = setting(Requirements(), about="requirements of Theorems 1 and 2")
    estimation_error: ErrorSweeps = setting(ErrorSweeps(), about="error of Algorithms 1 and 2")
    exact_methods: ExactMethods = setting(ExactMethods(), about="exact first-order methods")


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

    state_dim: Count = setting(symbol="d", label="state dimension", about="of all tasks", size=True)
    action_dim: Count = setting(symbol="k", label="action dimension", about="of all tasks", size=True)
    tasks: Any = setting(about="a task family with its settings")
    seed: Seed | None = setting(None, about="seed of its random task family; by default, that of the config")
    initial_gain: Gain = setting(symbol="K_0", about="zero, or its rows; it must stabilise every task")
    algorithm: dict[str, Any] = setting({}, about="the case's own settings of the algorithm")

    @property
    def family(self) -> "Family":
        """The task family."""
        return self.tasks

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
    theory: Theory = setting(Theory(), about="the stage theory")
    execution: Execution = setting(Execution(), about="how the jobs run")

    def given(self, case: str) -> dict[str, Any]:
        """Every setting that the config gives a case, or that all settings share a default of."""
        return {**_defaults(), **self.algorithm, **self.cases[case].algorithm}

    @property
    def warnings(self) -> Iterator[str]:
        """Warnings of what is possible, but may not be meant: cases of one draw, values over a budget, another bias."""
        yield from self._same_draws()
        yield from self._over_budget()
        yield from self._other_biases()

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
        used = {case for block in self.experiments.values() for case in block.cases}
        return [case for case in self.cases if case in (used if self.theory.cases == "all" else self.theory.cases)]

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
        return {**self.model_dump(mode="json", exclude_none=True), "algorithm": {**_defaults(), **self.algorithm}}


def _defaults() -> dict[str, Any]:
    return {each.name: each.default for each in MetaSettings.declarations() if not each.is_required}


def config_model() -> type[Config]:
    """The model of a config with the plug-ins that are known by now."""
    return _model_with(tuple(plugin for registry in (*CHOICES.values(), families) for plugin in registry))


@cache
def _model_with(plugins: tuple[type, ...]) -> type[Config]:
    """The model for these plug-ins, which only serve as the key: whoever registers another gets another model."""
    algorithm = _partial("Algorithm", _settings_of_runs())
    swept = {name: (_values(kind), field) for name, (kind, field) in sweepable().items()}
    sweep = _partial("Sweep", swept, with_defaults=False)
    case = _with_types(Case, "Case", tasks=_families(), algorithm=algorithm)
    variant = _partial("Variant", {**_settings_of_runs(), TUNE: (_tune(), Field(description=_ABOUT_TUNE))})
    block = _with_types(ExperimentBlock, "Experiment", variants=_by_name(variant), sweep=sweep)
    return _with_types(Config, "Config", algorithm=algorithm, cases=_by_name(case), experiments=_by_name(block))


def _by_name(kind: Any) -> Any:
    return dict[Name, kind]


def _with_types(base: type[Settings], name: str, **types: Any) -> Any:
    """A model like its base, with narrower types of some fields."""
    fields: dict[str, Any] = {key: (kind, copy(base.model_fields[key])) for key, kind in types.items()}
    return create_model(name, __base__=base, **fields)


def sweepable() -> dict[str, tuple[Any, FieldInfo]]:
    """Every name in a sweep with the type of a value: any, where families differ, since each point is checked too."""
    found = _settings_of_runs()
    for name, field in family_fields().items():
        kinds = [type_of(each.Settings.model_fields[name]) for each in families if name in each.Settings.model_fields]
        found[f"{TASKS}{name}"] = (kinds[0] if all(kind == kinds[0] for kind in kinds) else Any, field)
    return found


def _settings_of_runs() -> dict[str, tuple[Any, FieldInfo]]:
    """Every setting of a run with its type: of one that names a plug-in, the names that are known."""
    choices = {name: Literal[tuple(registry.names())] for name, registry in CHOICES.items()}
    return {name: (choices.get(name, type_of(field)), field) for name, field in all_fields().items()}


def tunable() -> dict[str, tuple[Any, FieldInfo]]:
    """The settings that a rule may choose, with their types: numbers on which no memory, time or optimum depends."""
    return {
        name: (kind, field)
        for name, (kind, field) in _settings_of_runs().items()
        if TypeAdapter(kind).json_schema().get("type") == "number"
        and not declaration(name, field).is_size
        and name not in _NOT_TUNABLE
    }


def _tune() -> Any:
    """The type of a block that tunes: its rule, and lists of values; its value has every default of the rule."""
    lists: dict[str, Any] = {
        name: (Distinct[kind], Field(None, title=field.title, description=field.description, validate_default=False))  # type: ignore[valid-type]
        for name, (kind, field) in tunable().items()
    }
    return Annotated[create_model("Tune", __base__=Tune, **lists), WrapValidator(_rule_and_lists)]


def _rule_and_lists(value: Any, check: Callable[[Any], Settings]) -> dict[str, Any]:
    checked = check(value)
    names = [*Tune.names(), *(name for name in value if name not in Tune.names())]
    return _in_lists({name: getattr(checked, name) for name in names})


def _partial(name: str, fields: Mapping[str, tuple[Any, FieldInfo]], with_defaults: bool = True) -> Any:
    """The type of a mapping with any of the fields; its value has those that are given, in the order they are given."""
    optional: dict[str, Any] = {}
    for key, (kind, field) in fields.items():
        default = field.default if with_defaults and not field.is_required() else None
        optional[key] = (kind, Field(default, title=field.title, description=field.description, validate_default=False))
    model = create_model(name, __base__=Settings, **optional)
    return Annotated[model, WrapValidator(_only_given), PlainSerializer(_in_lists)]


def _in_lists(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _only_given(value: Any, check: Callable[[Any], Settings]) -> dict[str, Any]:
    checked = check(value)
    return {name: getattr(checked, name) for name in value}


def _values(kind: Any) -> Any:
    """The type of what a sweep gives a setting."""
    return Annotated[TextOr[str, Distinct[kind]], BeforeValidator(_list_or_text)]  # type: ignore[misc]


def _families() -> Any:
    """The type of a case's tasks: of each family its name and its settings."""
    members = []
    for plugin in families:
        name: Any = Literal[plugin.name]
        model = create_model(plugin.name, __base__=plugin.Settings, family=(name, Field(title="Family")))
        members.append(Annotated[model, Tag(f"<{plugin.name}>")])
    return Annotated[
        reduce(or_, members),
        Discriminator(lambda value: f"<{value['family']}>"),
        BeforeValidator(_of_known_family),
        AfterValidator(_made),
        PlainSerializer(_in_full),
    ]


def _of_known_family(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise refuse("", wrong_type(value, "dict_type"))
    if "family" not in value:
        raise refuse("family", "missing; add it")
    if value["family"] not in families.names():
        known = list(families.names())
        raise refuse("family", f"{short_repr(value['family'])} is not allowed; {nearest(str(value['family']), known)}")
    return value


def _made(checked: Any) -> "Family":
    plugin = families.get(checked.family)
    return plugin(plugin.Settings(**{name: getattr(checked, name) for name in plugin.Settings.names()}))


def _in_full(family: "Family") -> dict[str, Any]:
    settings = {name: value for name, value in family.settings.as_dict().items() if value is not None}
    return {"family": family.name, **settings}

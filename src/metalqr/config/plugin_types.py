"""The types of what runs and plug-ins declare: ``algorithm``, ``tasks``, ``variants``, ``sweep`` and ``tune``.

They are made when a config is checked and the plug-ins are known: :func:`config_model`.
"""

from collections.abc import Callable, Mapping
from copy import copy
from functools import cache, reduce
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
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo

from metalqr.config.algorithm import CHOICES, all_fields, family_fields
from metalqr.config.evaluation import Evaluation, of_estimate
from metalqr.config.experiments import TASKS
from metalqr.config.model import Case, Config, ExperimentBlock, Name
from metalqr.config.problems import nearest, short_repr, wrong_type
from metalqr.config.registries import ZERO, families, gain_finder, initial_gains
from metalqr.config.settings import Distinct, Matrix, Settings, TextOr, declaration, list_or_text, refuse, type_of
from metalqr.config.tuning import TUNE, Tune

if TYPE_CHECKING:
    from metalqr.systems.family import Family

#: Settings that no tuning chooses: optima depend on the first, the others do not change the steps of a run.
_NOT_TUNABLE = ("adaptation_rate", "tolerance", "average_last")
_ABOUT_TUNE = "settings that a rule chooses by runs of their own: the rule, and a list of values for each"


def config_model() -> type[Config]:
    """The model of a config with the plug-ins that are known by now."""
    return _model_with(
        tuple(plugin for registry in (*CHOICES.values(), families, initial_gains) for plugin in registry)
    )


@cache
def _model_with(plugins: tuple[type, ...]) -> type[Config]:
    """The model for these plug-ins, which only serve as the key: whoever registers another gets another model."""
    algorithm = _partial("Algorithm", _settings_of_runs())
    swept = {name: (_values(kind), field) for name, (kind, field) in sweepable().items()}
    sweep = _partial("Sweep", swept, with_defaults=False)
    case = _with_types(
        Case, "Case", tasks=_families(), simulator=_simulator(), initial_gain=_gains(), algorithm=algorithm
    )
    variant = _partial("Variant", {**_settings_of_runs(), TUNE: (_tune(), Field(description=_ABOUT_TUNE))})
    block = _with_types(ExperimentBlock, "Experiment", variants=_by_name(variant), sweep=sweep)
    estimate = _partial("Estimate", {name: each for name, each in _settings_of_runs().items() if of_estimate(name)})
    evaluation = _with_types(Evaluation, "Evaluation", estimators=_by_name(estimate))
    return _with_types(
        Config,
        "Config",
        algorithm=algorithm,
        cases=_by_name(case),
        experiments=_by_name(block),
        evaluation=evaluation,
    )


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
    return Annotated[TextOr[str, Distinct[kind]], BeforeValidator(list_or_text)]  # type: ignore[misc]


def _simulator() -> Any:
    """The type of what stands in place of a case's tasks: the settings of the one family without a model."""
    (plugin,) = (each for each in families if not each.has_model)
    return Annotated[plugin.Settings, AfterValidator(plugin), PlainSerializer(lambda family: family.settings.as_dict())]


def _families() -> Any:
    """The type of a case's tasks: of each family its name and its settings."""
    members = []
    for plugin in (each for each in families if each.has_model):
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
    known = [plugin.name for plugin in families if plugin.has_model]
    if value["family"] in families.names() and value["family"] not in known:
        raise refuse("family", f"{value['family']} is no family; write {value['family']}: {{...}} in place of tasks")
    if value["family"] not in known:
        raise refuse("family", f"{short_repr(value['family'])} is not allowed; {nearest(str(value['family']), known)}")
    return value


def _made(checked: Any) -> "Family":
    plugin = families.get(checked.family)
    return plugin(plugin.Settings(**{name: getattr(checked, name) for name in plugin.Settings.names()}))


def _in_full(family: "Family") -> dict[str, Any]:
    settings = {name: value for name, value in family.settings.as_dict().items() if value is not None}
    return {"family": family.name, **settings}


def _gains() -> Any:
    """The type of an initial gain: zero, its rows, or a way to find it, alone or with what it needs."""
    words = [ZERO, *(plugin.name for plugin in initial_gains if not plugin.needs_settings())]
    members: list[Any] = [Annotated[Literal[tuple(words)], Tag("<text>")], Annotated[Matrix, Tag("<rows>")]]
    for plugin in initial_gains:
        fields = plugin.Settings.model_fields
        # The value of a single setting stands for all of them.
        kind = type_of(next(iter(fields.values()))) if len(fields) == 1 else plugin.Settings
        model = create_model(plugin.name, __base__=Settings, **{plugin.name: (kind, Field())})  # type: ignore[call-overload]
        members.append(Annotated[model, Tag(f"<{plugin.name}>")])
    return Annotated[
        reduce(or_, members),
        Discriminator(_tag_of_gain),
        BeforeValidator(_of_known_gain),
        AfterValidator(_shortest),
        PlainSerializer(lambda gain: gain),
    ]


def _shortest(gain: Any) -> Any:
    """A way to find a gain with what is not at its default: ``{annealed: {}}`` is annealed, and makes nothing again."""
    if not isinstance(gain, Settings):
        return gain
    ((name, value),) = gain.as_dict().items()
    finder = gain_finder({name: value})
    assert finder is not None
    changed = finder.settings.changed()
    if not changed:
        return name
    return {name: changed if isinstance(value, dict) else value}


def _tag_of_gain(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<{next(iter(value))}>"
    return "<text>" if isinstance(value, str) else "<rows>"


def _of_known_gain(value: Any) -> Any:
    known = {plugin.name: plugin for plugin in initial_gains}
    if isinstance(value, Mapping):
        if len(value) != 1:
            raise refuse("", f"{len(value)} keys; give one way to find the gain, such as {{detuned: 40}}")
        name = next(iter(value))
        if name not in known:
            raise refuse(str(name), f"unknown key; {nearest(str(name), list(known))}")
    elif isinstance(value, str) and value in known and known[value].needs_settings():
        raise refuse("", f"{value!r} alone is not enough; write {known[value].example}")
    return value

"""The settings of a training run that all methods and estimators share; each plug-in adds its own."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, model_validator
from pydantic.fields import FieldInfo

from metalqr.config.problems import nearest, short_repr
from metalqr.config.registries import directions, estimators, families, methods, update_rules
from metalqr.config.registry import Plugin, Registry, UnknownNameError
from metalqr.config.settings import (
    Count,
    Declaration,
    Index,
    Radius,
    Real,
    Settings,
    TaskBatch,
    declaration,
    refuse,
    setting,
    type_of,
)

if TYPE_CHECKING:
    from metalqr.estimators.estimator import Estimator

#: Smoothing radii for which K + U is accurate enough in single precision.
SINGLE_PRECISION_RADII = (1.0e-3, 1.0e3)
#: Floating-point precision of the rollouts.
Precision = Literal["float64", "float32"]
#: The settings that name a plug-in, each with its registry.
CHOICES: dict[str, Registry[Any]] = {
    "method": methods,
    "estimator": estimators,
    "inner_estimator": estimators,
    "directions": directions,
    "update_rule": update_rules,
}
#: Names that no setting of a plug-in may have, besides those of the shared settings: they have another
#: meaning in a config, in the sizes of a job, or in a dataset.
RESERVED_NAMES = {
    *("seed", "variant", "iteration", "task", "action", "state", "case", "settings", "algorithm", "experiment"),
    *("tasks", "threads", "runs", "state_dim", "action_dim"),
    *("tune", "seeds", "by", "target", "tuning_steps", "tuning_reached"),
    *("cost", "ratio", "gradient_norm", "rollout_steps", "unstable_perturbations", "perturbed_policies"),
    *("K_last", "status", "status_iteration", "J_star", "J0", "J_shared"),
    *("K_average", "cost_average", "ratio_average"),
}


class Layer(NamedTuple):
    """The estimates of one layer of Algorithm 2: the outer one, or that of Algorithm 1 inside it."""

    estimator: "type[Estimator]"
    perturbations: int
    radius: float
    #: The setting that gives the perturbations.
    perturbations_key: str

    @property
    def too_few(self) -> str:
        """In words, that the estimator needs more perturbations; empty if it does not."""
        least = self.estimator.min_perturbations
        if self.perturbations >= least:
            return ""
        return f"{self.perturbations} is not >= {least}, as {self.estimator.name} needs it"


class MetaSettings(Settings):
    r"""Settings of model-agnostic meta-policy optimisation, with the names of ``config.yaml``.

    The defaults are those of Section 6 of the paper; the two step sizes have none, because they depend on the case.
    The method, the estimator and the update rule may have further settings, such as ``inner_steps`` of ``reptile``.
    They are given, and read as attributes, like those below.

    Raises
    ------
    metalqr.config.problems.SettingsError
        If a value is impossible, or a setting is of another plug-in than those named.

    Examples
    --------
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=1.0e-5)
    >>> settings.smoothing_radius, settings.changed()
    (0.05, {'learning_rate': 0.001, 'adaptation_rate': 1e-05})
    """

    model_config = ConfigDict(extra="allow")

    learning_rate: Real = setting(symbol=r"\alpha", about="step size of the outer loop, Algorithm 3", above=0)
    adaptation_rate: Real = setting(
        symbol=r"\eta", about="step size of the adaptation, Algorithm 2, equation (6)", at_least=0
    )
    method: str = setting("zeroth_order_maml", about="training method, a registered name")
    estimator: str = setting("one_point", about="zeroth-order estimator, a registered name")
    inner_estimator: str | None = setting(
        None, about="estimator inside Algorithm 2, a registered name; by default the estimator", label="inner estimator"
    )
    directions: str = setting("sphere", about="distribution of the perturbations, a registered name")
    common_noise: bool = setting(
        False,
        about="both rollouts of a pair of two_point see the same initial state and noise, as only a simulation can",
    )
    perturbations: Count = setting(100, symbol="M", about="perturbed policies per task, Algorithm 2", size=True)
    inner_perturbations: Count = setting(
        100, symbol="M", about="perturbations per perturbed policy, Algorithm 1", size=True
    )
    smoothing_radius: Radius = setting(0.05, symbol="r", about="Frobenius norm of every perturbation")
    inner_smoothing_radius: Radius | None = setting(
        None, symbol="r", about="smoothing radius inside Algorithm 2; by default the smoothing radius"
    )
    rollout_length: Count = setting(50, symbol=r"\ell", unit="steps", about="steps of a rollout", size=True)
    iterations: Index = setting(1200, symbol="N", about="maximum number of updates", size=True)
    tolerance: Real = setting(
        0.0,
        symbol=r"\varepsilon",
        about="training stops when the norm of the estimated gradient is at most this; 0 never stops early",
        at_least=0,
    )
    update_rule: str = setting("gradient", about="step along the directions of the method, a registered name")
    average_last: Real = setting(
        0.0,
        symbol="q",
        label="averaged share",
        about="the mean of this last share of a run's gains is evaluated beside the last gain; 0 averages nothing",
        at_least=0,
        at_most=1,
    )
    warm_up: Index = setting(
        0,
        label="warm-up",
        unit="iterations",
        about="first iterations without adaptation, along the gradient of the mean cost: at a large adaptation rate "
        "the initial gain may be no gain to adapt from",
    )
    learning_rate_decay: Real = setting(
        0.0,
        symbol="n_d",
        label="decay of the learning rate",
        unit="iterations",
        about=r"iterations after which the learning rate is half of the first, $\alpha / (1 + n / n_d)$; 0 keeps it",
        at_least=0,
    )
    task_batch: TaskBatch = setting(
        "all",
        symbol=r"|\mathcal{T}_n|",
        about="tasks that an iteration uses: all, or a number drawn from their distribution with replacement",
        size=True,
    )
    precision: Precision = setting(
        "float64", about="floating-point type of the rollouts; gains and exact costs are always double"
    )

    @model_validator(mode="after")
    def _radius_survives_rounding(self) -> Self:
        for name in ("smoothing_radius", "inner_smoothing_radius"):
            if problem := radius_problem(getattr(self, name), self.precision):
                raise refuse(name, problem)
        return self

    @model_validator(mode="after")
    def _layers_can_do_it(self) -> Self:
        method = methods.get(self.method)
        layers = [self.outer, self.inner] if method.adapts(self) else [self.outer]
        for layer in layers:
            if layer.too_few:
                raise refuse(layer.perturbations_key, layer.too_few)
        if self.inner.estimator.is_outer_only:
            name, needs = self.inner.estimator.name, self.inner.estimator.needs
            raise refuse(
                "inner_estimator",
                f"{name} needs {needs}, and inside Algorithm 2 there is none; choose another, such as "
                f"{self.inner.estimator.inner_default}",
            )
        if self.common_noise and not any(layer.estimator.makes_pairs for layer in layers):
            pairs = " or ".join(plugin.name for plugin in estimators if plugin.makes_pairs)
            raise refuse(
                "common_noise",
                f"true needs pairs of rollouts, and {self.estimator} makes none; choose estimator: {pairs}, or false",
            )
        return self

    @model_validator(mode="after")
    def _steps_may_change(self) -> Self:
        method = methods.get(self.method)
        for name in ("warm_up", "learning_rate_decay"):
            if getattr(self, name) and method.has_own_step():
                reason = f"cannot change the steps of method: {self.method}, which are its own"
                raise refuse(name, f"{getattr(self, name)!r} {reason}; set 0, or choose another method")
        if self.warm_up and not method.has_warm_up():
            reason = f"is no warm-up of method: {self.method}, which does not adapt a gain for all tasks"
            raise refuse("warm_up", f"{self.warm_up!r} {reason}; set 0, or choose another method")
        return self

    @model_validator(mode="after")
    def _plugins_can_do_it(self) -> Self:
        for plugin in self.plugins():
            for name, reason in plugin.refusals(self):
                raise refuse(name, reason)
        return self

    @model_validator(mode="before")
    @classmethod
    def _extras_belong_to_a_plugin(cls, values: Any) -> Any:
        """Complete the settings of the plug-ins named, and refuse those of others."""
        if not isinstance(values, dict):
            return values
        own: dict[str, Any] = {}
        for plugin in plugins_named(values):
            if names := plugin.Settings.names():
                given = {name: values[name] for name in names if name in values}
                own |= plugin.Settings.model_validate(given).as_dict()
        shared = cls.names()
        for name in values:
            if name not in shared and name not in own:
                raise refuse(name, not_applicable(name, values))
        return {**{name: value for name, value in values.items() if name not in own}, **own}

    def slowdown(self, iteration: Any) -> Any:
        """What ``learning_rate_decay`` divides the learning rate of an iteration, or of an array of them, by."""
        return 1.0 + iteration / self.learning_rate_decay if self.learning_rate_decay else 1.0

    @property
    def outer(self) -> Layer:
        """The outer layer of Algorithm 2, and the only one of a method that does not adapt."""
        return Layer(estimators.get(self.estimator), self.perturbations, self.smoothing_radius, "perturbations")

    @property
    def inner(self) -> Layer:
        """The estimates of Algorithm 1 inside Algorithm 2."""
        name = inner_estimator({"estimator": self.estimator, "inner_estimator": self.inner_estimator})
        radius = self.smoothing_radius if self.inner_smoothing_radius is None else self.inner_smoothing_radius
        return Layer(estimators.get(name), self.inner_perturbations, radius, "inner_perturbations")

    def of(self, plugin: type[Plugin]) -> Any:
        """The own settings of a plug-in that these settings name, as an instance of its ``Settings``."""
        # Checked with these; and to blame a size for the memory of a job it is set to 1, which may be out of its range.
        return plugin.Settings.model_construct(**{name: getattr(self, name) for name in plugin.Settings.names()})

    def plugins(self) -> list[type[Plugin]]:
        """The plug-ins that these settings name, each once."""
        return list(dict.fromkeys(plugins_named({key: getattr(self, key) for key in CHOICES})))

    def _declared(self) -> Iterator[Declaration]:
        owners: list[type[Settings]] = [MetaSettings, *(plugin.Settings for plugin in self.plugins())]
        return (each for owner in owners for each in owner.declarations())


def radius_problem(radius: float | None, precision: Precision) -> str:
    """In words, that K + U is not accurate enough; empty if it is."""
    low, high = SINGLE_PRECISION_RADII
    if precision != "float32" or radius is None or low <= radius <= high:
        return ""
    sign, bound = (">=", low) if radius < low else ("<=", high)
    return f"{radius!r} is not {sign} {bound:g} in single precision; choose another or precision: float64"


def _fields(owners: list[type[Settings]]) -> dict[str, FieldInfo]:
    """All settings by name; of those with the same name the first."""
    return {name: field for owner in reversed(owners) for name, field in owner.model_fields.items()}


def all_fields() -> dict[str, FieldInfo]:
    """Every setting of a run by name: those of each plug-in, then the shared ones."""
    return _fields([MetaSettings, *(plugin.Settings for registry in CHOICES.values() for plugin in registry)])


def family_fields() -> dict[str, FieldInfo]:
    """Every setting of every task family; of those with the same name the first."""
    return _fields([plugin.Settings for plugin in families])


def all_declarations() -> Iterator[Declaration]:
    """The declaration of every setting of a run: the shared ones, then those of each plug-in, each name once."""
    fields = all_fields()
    return (declaration(name, fields[name]) for name in dict.fromkeys([*MetaSettings.names(), *fields]))


def taken_names() -> Iterator[str]:
    """Settings of plug-ins whose names are taken, so that runs could not be distinguished, in words."""
    owners: dict[str, tuple[type[Plugin], FieldInfo]] = {}
    for kind, registry in CHOICES.items():
        for plugin in registry:
            for name, field in plugin.Settings.model_fields.items():
                other, same = owners.setdefault(name, (plugin, field))
                if name in MetaSettings.model_fields:
                    reason = "is one that all methods share; use the shared one, or choose another name"
                elif name in RESERVED_NAMES or hasattr(MetaSettings, name):
                    reason = "has a reserved name; choose another"
                elif (type_of(same), same.default) != (type_of(field), field.default):
                    reason = f"exists in {other.name} with another type, range or default; choose another name"
                else:
                    continue
                yield f"plugins: {plugin.source.name}: {kind} {plugin.name}: its setting {name} {reason}"
    for family in families:
        if "family" in family.Settings.model_fields:
            place = f"plugins: {family.source.name}: {families.kind} {family.name}"
            yield f"{place}: its setting family has the name of the key that selects the family; choose another name"


def setting_declaration(name: str) -> Declaration | None:
    """The declaration of a setting of a run, or of one of a task family, ``tasks.NAME``; None if there is none."""
    key = name.removeprefix("tasks.")
    if key == name:
        return declaration(name, all_fields()[name]) if name in all_fields() else None
    declared = (each.Settings.model_fields for each in families)
    found = [declaration(name, fields[key]) for fields in declared if key in fields]
    if len({(each.label, each.symbol, each.unit) for each in found}) > 1:
        # Masses in kilograms and in tonnes: which one it is, is not known here.
        return found[0]._replace(label=key.replace("_", " "), symbol="", unit="", about="of the task family")
    return found[0] if found else None


def applicable(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the plug-ins named among them have."""
    owners: list[type[Settings]] = [MetaSettings, *(plugin.Settings for plugin in plugins_named(values))]
    known = {name for owner in owners for name in owner.names()}
    return {name: value for name, value in values.items() if name in known}


def not_applicable(name: str, values: Mapping[str, Any]) -> str:
    """The message for a setting that none of the chosen plug-ins has."""
    for key, registry in CHOICES.items():
        owners = [plugin.name for plugin in registry if name in plugin.Settings.names()]
        if owners:
            chosen = values.get(key, MetaSettings.model_fields[key].default)
            return f"a setting of {key}: {' or '.join(owners)}, not of {chosen}; remove it or change {key}"
    return f"unknown key; {nearest(name, list(all_fields()))}"


def plugins_named(values: Mapping[str, Any]) -> list[type[Plugin]]:
    """The plug-ins that some settings name, or else the default ones."""
    found: list[type[Plugin]] = []
    for key, registry in CHOICES.items():
        name = values.get(key, MetaSettings.model_fields[key].default)
        if key == "inner_estimator":
            name = inner_estimator(values)
        if not isinstance(name, str):
            raise refuse(key, f"{short_repr(name)} is not text")
        try:
            found.append(registry.get(name))
        except UnknownNameError:
            raise refuse(key, f"{short_repr(name)} is not allowed; {nearest(name, list(registry.names()))}") from None
    return found


def inner_estimator(values: Mapping[str, Any]) -> Any:
    """The estimator inside Algorithm 2 that some settings name, or else the one that goes with the estimator."""
    name = values.get("inner_estimator")
    if name is not None:
        return name
    outer = values.get("estimator", MetaSettings.model_fields["estimator"].default)
    known = isinstance(outer, str) and outer in estimators.names()
    return (estimators.get(outer).inner_default if known else None) or outer

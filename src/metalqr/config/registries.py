"""The registries, one for each kind of plug-in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metalqr.config.registry import Registry

if TYPE_CHECKING:
    from metalqr.estimators.directions.directions import Directions
    from metalqr.estimators.estimator import Estimator
    from metalqr.initial_gains.initial_gain import InitialGain
    from metalqr.systems.family import Family
    from metalqr.training.method import Method
    from metalqr.training.updates.update_rule import UpdateRule

#: The word for the initial gain zero.
ZERO = "zero"
#: Where tasks come from: ``tasks.family`` of a case.
families: "Registry[Family]" = Registry("task family", "metalqr.systems", subpackages=["plants"])
#: Ways to find the gain to start from: ``initial_gain`` of a case.
initial_gains: "Registry[InitialGain]" = Registry("initial gain", "metalqr.initial_gains", base="InitialGain")
#: Model-free estimates of a gradient: ``algorithm.estimator``.
estimators: "Registry[Estimator]" = Registry("estimator", "metalqr.estimators")
#: Distributions of perturbations: ``algorithm.directions``.
directions: "Registry[Directions]" = Registry("distribution of directions", "metalqr.estimators.directions")
#: Training methods: ``algorithm.method``.
methods: "Registry[Method]" = Registry("method", "metalqr.training.methods")
#: Steps along the directions of a method: ``algorithm.update_rule``.
update_rules: "Registry[UpdateRule]" = Registry("update rule", "metalqr.training.updates", base="UpdateRule")
figures: Registry[Any] = Registry("figure", "metalqr.reporting.figures")
tables: Registry[Any] = Registry("table", "metalqr.reporting.tables")
#: The sections of the page.
sections: Registry[Any] = Registry("section", "metalqr.reporting.pages")


def gain_finder(initial_gain: Any) -> "InitialGain | None":
    """The way in which an initial gain of a config is found, with its settings; None where it is zero, or its rows."""
    name, value = next(iter(initial_gain.items())) if isinstance(initial_gain, Mapping) else (initial_gain, {})
    if not isinstance(name, str) or name == ZERO:
        return None
    plugin = initial_gains.get(name)
    # The value of a single setting stands for all of them.
    return plugin(plugin.Settings(**(value if isinstance(value, Mapping) else {plugin.Settings.names()[0]: value})))

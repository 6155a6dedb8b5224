"""Exact facts about a named system: stability, costs, and how much its tasks differ when a parameter varies."""

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, cost, spectral_radius
from metalqr.optimal import optimal_gains
from metalqr.systems.catalogue import find
from metalqr.systems.system import NamedSystem

#: The initial gain whose cost is given: the optimum for the state weight times this.
DETUNED = 40.0
#: A smaller relative excess is not shown: it may be rounding.
MIN_SHOWN = 1e-4


@dataclass(frozen=True)
class SystemFacts:
    """Facts about a system at its default parameters.

    ``radius`` is the spectral radius of A and ``optimal_radius`` that of A - B K*. ``optimum`` is the optimal cost J*,
    and ``detuned`` the relative excess cost of ``initial_gain: {detuned: 40}``. ``heterogeneity`` has, for each
    parameter and some of its values, the relative excess cost of the default's optimal gain there: what a single gain
    loses without training, infinite where it does not stabilise.
    """

    family: NamedSystem
    radius: float
    optimal_radius: float
    optimum: float
    detuned: float
    heterogeneity: Mapping[str, Mapping[float, float]]

    @property
    def initial(self) -> float:
        """The cost of that initial gain."""
        return self.optimum * (1.0 + self.detuned)

    @property
    def largest_heterogeneity(self) -> tuple[str, float]:
        """The parameter that makes tasks differ most over its values, and the largest excess; without one, "" and 0."""
        excess = {name: max(values.values()) for name, values in self.heterogeneity.items()}
        return max(excess.items(), key=lambda item: item[1], default=("", 0.0))


def system_facts(name: str, **settings: Any) -> SystemFacts:
    """Compute the facts of a named system; settings that are no parameters, such as a size, may be changed.

    The values of a parameter are the ends of its typical range, or all choices.

    Raises
    ------
    LookupError
        If there is no system of that name.
    """
    plugin = find(name)
    family = plugin(plugin.Settings(**settings))
    tasks = family.system({}).tasks()
    optimum = optimal_gains(tasks)
    K = optimum.K[0]
    heterogeneity = {}
    for parameter, each in family.settings.parameters().items():
        values = range(int(each.low), int(each.high) + 1) if each.is_choice else each.typical
        heterogeneity[parameter] = {value: excess(family.system({parameter: value}).tasks(), K) for value in values}
    return SystemFacts(
        family=family,
        radius=float(spectral_radius(tasks, np.zeros_like(K))[0]),
        optimal_radius=float(spectral_radius(tasks, K)[0]),
        optimum=float(optimum.cost[0]),
        detuned=excess(tasks, optimal_gains(tasks.replace(Q=DETUNED * tasks.Q)).K[0]),
        heterogeneity=heterogeneity,
    )


def excess(task: LQRTasks, K: FloatArray) -> float:
    """Relative excess cost of a gain over the optimum of a set of one task."""
    return float(cost(task, K)[0] / optimal_gains(task).cost[0]) - 1.0


def described(system: type[NamedSystem], with_equations: bool = True) -> str:
    """The description of a system in Markdown, or as plain text without its displayed equations."""
    paragraphs = []
    for block in _paragraphs(inspect.cleandoc(system.__doc__ or "")):
        if not block.startswith(".. math::"):
            text = re.sub(":math:`([^`]*)`", r"$\1$" if with_equations else r"\1", block)
            # Without the equation that follows, a colon leads nowhere.
            paragraphs.append(text.replace("``", "`") if with_equations else re.sub(":$", ".", text.replace("``", "")))
        elif with_equations:
            formula = inspect.cleandoc("\n" + block.removeprefix(".. math::"))
            if "&" in formula:
                formula = f"\\begin{{aligned}}\n{formula}\n\\end{{aligned}}"
            paragraphs.append(f"$$\n{formula}\n$$")
    return "\n\n".join(paragraphs)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a docstring; a directive has the indented lines below it."""
    blocks = text.split("\n\n")
    while blocks:
        block = blocks.pop(0)
        while block.startswith("..") and blocks and blocks[0].startswith(" "):
            block += "\n" + blocks.pop(0)
        yield block


def percent(share: float) -> str:
    """A relative excess in words, with two digits; from 100 % on as a multiple."""
    if math.isinf(share):
        return "not stabilised"
    if share < MIN_SHOWN:
        return f"< {100 * MIN_SHOWN:g} %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{share:.2g} times"


def example(facts: SystemFacts) -> str:
    """The tasks of a config with this system, with the parameter varied that makes tasks differ most."""
    name, system = facts.largest_heterogeneity[0], facts.family.name
    if not name:
        return f"{{family: {system}}}"
    each = facts.family.settings.parameters()[name]
    if each.is_choice:
        values = ", ".join(str(value) for value in facts.heterogeneity[name])
        return f"{{family: {system}, {name}: [{values}]}}"
    low, high = each.typical
    return f"{{family: {system}, {name}: {{low: {low:.3g}, high: {high:.3g}}}, count: 5}}"

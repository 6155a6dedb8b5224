"""Responses of the named systems to a step: closed loops of one gain at several parameters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metalqr.evaluation.systems import SystemFacts, system_facts
from metalqr.lqr import FloatArray
from metalqr.optimal import optimal_gains
from metalqr.systems.system import NamedSystem, System

#: A response ends when its slowest mode has decayed to this share.
DECAY = 0.01
MIN_STEPS, MAX_STEPS = 25, 1000


@dataclass(frozen=True, eq=False)
class StepResponses:
    """Closed loops with the default's optimal gain under a constant load of 1 on one input, from rest.

    ``times`` has the shape (n + 1,), in the time unit of the system. ``states`` (n + 1, d) and ``inputs`` (n + 1, k)
    are those of each member, by the value of ``parameter``, in the units of the system; the input is u = -K x, without
    the load. A system without parameters has one member, and the name "". The ``loaded`` input is that to which the
    members respond most differently. ``shown_states`` are the two states, and ``shown_input`` the input, that cost most
    at the defaults.
    """

    family: NamedSystem
    parameter: str
    loaded: int
    times: FloatArray
    states: Mapping[float, FloatArray]
    inputs: Mapping[float, FloatArray]
    shown_states: tuple[int, ...]
    shown_input: int


def step_responses(name: str) -> StepResponses:
    """Compute the responses of a named system.

    Members have the default and the typical values, or all choices, of the parameter that makes tasks differ most.

    Raises
    ------
    LookupError
        If there is no system of that name.
    """
    facts = system_facts(name)
    family, (parameter, nominal, values) = facts.family, _members(facts)
    systems = {value: family.system({parameter: value} if parameter else {}) for value in values}
    default = systems[nominal].tasks()
    K = optimal_gains(default).K[0]
    radius = max(float(np.abs(np.linalg.eigvals(each.A - each.B @ K)).max()) for each in systems.values())
    steps = min(max(math.ceil(math.log(DECAY) / math.log(radius)), MIN_STEPS), MAX_STEPS)
    courses = [{value: _driven(each, K, load, steps) for value, each in systems.items()} for load in range(len(K))]
    loaded = max(range(len(K)), key=lambda load: round(_difference(courses[load], nominal), 6))
    states = courses[loaded]
    inputs = {value: -found @ K.T for value, found in states.items()}
    return StepResponses(
        family,
        parameter,
        loaded,
        systems[nominal].dt * np.arange(steps + 1, dtype=np.float64),
        states,
        inputs,
        tuple(_by_cost(states[nominal], default.Q[0])[:2]),
        _by_cost(inputs[nominal], default.R[0])[0],
    )


def _members(facts: SystemFacts) -> tuple[str, float, list[float]]:
    """The parameter that makes tasks differ most, its default and its values; for a system without, 0."""
    parameter, _ = facts.largest_heterogeneity
    if not parameter:
        return "", 0.0, [0.0]
    default = next(each.default for each in facts.family.settings.declarations() if each.name == parameter)
    return parameter, default, sorted({default, *facts.heterogeneity[parameter]})


def _driven(system: System, K: FloatArray, load: int, steps: int) -> FloatArray:
    """States of x' = (A - BK) x + b from zero, where b is a column of B, shape (steps + 1, d)."""
    loop, found = system.A - system.B @ K, np.zeros((steps + 1, len(system.A)))
    for step in range(steps):
        found[step + 1] = loop @ found[step] + system.B[:, load]
    return found


def _difference(courses: Mapping[float, FloatArray], nominal: float) -> float:
    """The largest difference of a member's states from the default's, relative to these."""
    expected = courses[nominal]
    return max(float(np.linalg.norm(found - expected)) for found in courses.values()) / float(np.linalg.norm(expected))


def _by_cost(course: FloatArray, weight: FloatArray) -> list[int]:
    """The columns of a course by what they cost, those that cost nothing by their size."""
    squares = (course**2).sum(axis=0)
    keys = list(zip(np.diagonal(weight) * squares, squares, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=True)

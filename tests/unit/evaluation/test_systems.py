import math

import numpy as np
import pytest

from metalqr import lqr, optimal, systems
from metalqr.evaluation.systems import described, example, percent, system_facts
from metalqr.systems.catalogue import find


def test_facts_are_those_of_plain_evaluations() -> None:
    facts = system_facts("bus")
    tasks = systems.named("bus").tasks()
    optimum = optimal.optimal_gains(tasks)
    assert facts.optimum == optimum.cost[0]
    assert facts.radius == lqr.spectral_radius(tasks, np.zeros((1, 5)))[0]
    assert facts.optimal_radius == lqr.spectral_radius(tasks, optimum.K)[0]
    # As docs/systems.md of the published values: 0.095 at 5 m/s, 0.068 at 15 m/s.
    assert facts.heterogeneity["speed"] == {5.0: pytest.approx(0.095, abs=6e-4), 15.0: pytest.approx(0.068, abs=6e-4)}
    assert facts.largest_heterogeneity == ("speed", facts.heterogeneity["speed"][5.0])
    detuned = optimal.optimal_gains(tasks.replace(Q=40 * tasks.Q)).K[0]
    assert facts.initial == pytest.approx(lqr.cost(tasks, detuned)[0], rel=1e-12)


def test_all_choices_and_sizes_are_taken() -> None:
    assert list(system_facts("ship").heterogeneity["ship"]) == [1, 2, 3, 4, 5]
    assert system_facts("heat_rod", nodes=3).family.dimensions == (3, 1)
    assert system_facts("satellite").largest_heterogeneity == ("", 0.0)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "< 0.01 %"), (0.00234, "0.23 %"), (0.5, "50 %"), (2.49, "2.5 times"), (math.inf, "not stabilised")],
)
def test_an_excess_in_words(share: float, words: str) -> None:
    assert percent(share) == words


def test_descriptions_are_plain_or_markdown() -> None:
    plain, marked = (described(find("bus"), with_equations=flag) for flag in (False, True))
    assert "$$" not in plain
    assert "\\frac" not in plain
    assert marked.count("$$") == 2
    assert "math::" not in plain + marked


@pytest.mark.parametrize("name", ["bus", "ship", "satellite"])
def test_examples_are_families(name: str) -> None:
    import yaml

    settings = yaml.safe_load(example(system_facts(name)))
    plugin = find(settings.pop("family"))
    assert plugin(plugin.Settings(**settings)).count == {"bus": 5, "ship": 5, "satellite": 1}[name]

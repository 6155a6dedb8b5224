"""Families whose tasks differ more or less, in dynamics or costs alone: the random numbers stay."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import Address, Pool, addresses
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.further import digest
from metalqr.systems.similar import MATRICES

SIMILAR = {"spectral_radius": 0.8, "perturbed_share": 0.3, "perturbation_deviation": 0.1}
#: Of a case, drawn again, and unseen.
PLACES = [*addresses(Pool.TRAINING, range(3)), Address(Pool.TRAINING, 1, 1), *addresses(Pool.TEST, range(3))]


def make(name: str, **settings: Any) -> Family:
    plugin = families.get(name)
    return plugin(plugin.Settings(**settings))


def drawn(family: Family, places: Sequence[Address] = PLACES) -> LQRTasks:
    return family.draw(3, 2, 7, places)


def unlike(tasks: LQRTasks) -> set[str]:
    """The matrices that are not the same in all tasks."""
    return {name for name in MATRICES if (getattr(tasks, name) != getattr(tasks, name)[0]).any()}


@pytest.mark.parametrize("matrices", [["A"], ["B", "Psi"], ["Q", "R"], list(MATRICES)])
def test_the_matrices_that_a_task_changes_are_those_of_before(matrices: list[str]) -> None:
    whole, some = drawn(make("similar", **SIMILAR)), drawn(make("similar", **SIMILAR, perturbed_matrices=matrices))
    none = drawn(make("similar", **SIMILAR | {"perturbed_share": 0}))
    assert unlike(whole) == set(MATRICES)
    assert unlike(some) == set(matrices)
    for name in MATRICES:
        expected = whole if name in matrices else none
        np.testing.assert_array_equal(getattr(some, name), getattr(expected, name))


def test_all_matrices_in_any_order_are_the_default() -> None:
    """So that no set of tasks of an older config gets another name."""
    settings = make("similar", **SIMILAR, perturbed_matrices=list(reversed(MATRICES))).settings
    assert settings.changed() == make("similar", **SIMILAR).settings.changed()
    assert "perturbed_matrices" not in settings.changed()
    with pytest.raises(SettingsError, match="perturbed_matrices: empty"):
        make("similar", **SIMILAR, perturbed_matrices=[])


def test_similar_tasks_differ_in_proportion_to_the_factor() -> None:
    family = make("similar", **SIMILAR)
    once, thrice = drawn(family.varied(1.0)), drawn(family.varied(3.0))
    assert digest(once) == digest(drawn(family))
    np.testing.assert_allclose(thrice.B - thrice.B[0], 3.0 * (once.B - once.B[0]), atol=1e-14)  # B is not adjusted
    assert family.differences == ("dynamics", "costs", "both")
    for difference, matrices in (("dynamics", {"A", "B"}), ("costs", {"Q", "R"}), ("both", set(MATRICES))):
        assert unlike(drawn(family.varied(2.0, difference))) == matrices  # type: ignore[arg-type]


def test_what_a_case_does_not_change_stays() -> None:
    family = make("similar", **SIMILAR, perturbed_matrices=["B", "Psi"])
    assert family.differences == ("dynamics", "both")
    assert unlike(drawn(family.varied(2.0, "dynamics"))) == {"B"}
    assert unlike(drawn(family.varied(2.0))) == {"B", "Psi"}


def test_legacy_tasks_differ_in_their_dynamics_alone() -> None:
    family = make("legacy")
    once, twice = drawn(family), drawn(family.varied(2.0, "dynamics"))
    assert family.differences == ("dynamics", "both")
    np.testing.assert_allclose(twice.A - twice.A[0], 2.0 * (once.A - once.A[0]), atol=1e-14)
    np.testing.assert_array_equal(once.Q, twice.Q)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_ranges_of_named_systems_are_scaled_about_their_middle(factor: float) -> None:
    bus: Any = make("bus", speed={"low": 5, "high": 15}, count=3, heterogeneity=0.8)
    varied: Any = bus.varied(factor)
    assert bus.differences == ("both",)
    for address in PLACES:
        once, scaled = (each.values(address, 7)["speed"] for each in (bus, varied))
        assert scaled - 10 == pytest.approx(factor * (once - 10), rel=1e-12)


def test_a_range_that_leaves_the_model_is_refused() -> None:
    bus = make("bus", speed={"low": 5, "high": 15}, count=3)
    with pytest.raises(SettingsError, match=r"speed\.low: 0\.0 is not from 1 to 20 m/s"):
        bus.varied(2.0)


def test_a_family_that_does_not_say_how_is_compared_as_it_is() -> None:
    class Own(Family):
        name = "own"

    family = Own(Own.Settings())
    assert family.varied(1.0) is family
    with pytest.raises(FamilyError, match="the family own does not say how its tasks come to differ more or less"):
        family.varied(2.0)

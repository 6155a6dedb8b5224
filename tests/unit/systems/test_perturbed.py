"""Tasks around a single one of another family."""

from typing import Any

import numpy as np
import pytest

from metalqr import systems
from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from metalqr.lqr import LQRTasks
from metalqr.systems.addresses import Pool, addresses
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.perturbed import MATRICES

BOEING = {"family": "boeing747", "form": "code"}


def perturbed(**changes: Any) -> Family:
    plugin = families.get("perturbed")
    given: dict[str, Any] = {"around": BOEING, "perturbation": 0.01}
    return plugin(plugin.Settings(**given | changes))


def changes(tasks: LQRTasks) -> dict[str, Any]:
    nominal = systems.named("boeing747", form="code")
    return {name: getattr(tasks, name) - getattr(nominal, name) for name in MATRICES}


def test_every_change_has_the_spectral_norm_that_is_asked_for() -> None:
    tasks = perturbed(count=3, perturbation_measure="spectral_norm").tasks(4, 2, 1)
    for name, change in changes(tasks).items():
        np.testing.assert_allclose(np.linalg.norm(change, 2, axis=(1, 2)), 0.01, rtol=1e-9)
        if name in ("Q", "R"):
            np.testing.assert_allclose(change, change.mT, atol=1e-15)


def test_entries_have_the_deviation_that_is_asked_for() -> None:
    """Within 4.5 standard errors; an entry of Q and R beside the diagonal is a mean of two."""
    tasks = perturbed(count=500).tasks(4, 2, 1)
    found = {name: change.std(axis=0) for name, change in changes(tasks).items()}
    bound = 4.5 / np.sqrt(2 * 500)
    for name, deviation in found.items():
        diagonal = np.eye(len(deviation), dtype=bool) if name in ("Q", "R") else np.ones(deviation.shape, dtype=bool)
        np.testing.assert_allclose(deviation, np.where(diagonal, 0.01, 0.01 / np.sqrt(2)), rtol=bound)


def test_what_is_not_perturbed_is_that_of_the_task_in_the_middle() -> None:
    around = {**BOEING, "noise": "initial_state", "initial_mean": [0.5, 0.0, 0.0, 1.0], "noise_variance": 0.25}
    tasks = perturbed(around=around, perturbed_matrices=["R", "A"], first_is_nominal=True, count=2).tasks(4, 2, 3)
    differing = {name for name, change in changes(tasks).items() if change[1].any()}
    assert differing == {"A", "R"}
    assert not any(change[0].any() for change in changes(tasks).values())
    assert tasks.noise == "initial_state"
    np.testing.assert_array_equal(tasks.initial_mean, [[0.5, 0.0, 0.0, 1.0]] * 2)
    np.testing.assert_array_equal(tasks.Sigma0, [0.25 * np.eye(4)] * 2)
    full = perturbed(around=around, count=2).tasks(4, 2, 3)
    np.testing.assert_array_equal(tasks.A[1], full.A[1])


def test_a_task_depends_on_its_address_alone() -> None:
    family = perturbed(first_is_nominal=True)
    several, one = (family.draw(4, 2, 0, addresses(Pool.TEST, range(first, 3))) for first in (0, 2))
    np.testing.assert_array_equal(several.A[2], one.A[0])
    assert changes(several)["A"][0].any(), "the first unseen task is not the nominal one"


def test_tasks_differ_in_proportion_to_the_factor() -> None:
    once, thrice = perturbed(count=3), perturbed(count=3).varied(3.0, "dynamics")
    assert once.differences == ("dynamics", "costs", "both")
    assert perturbed(perturbed_matrices=["Q"]).differences == ("costs", "both")
    found, scaled = (changes(family.tasks(4, 2, 5)) for family in (once, thrice))
    np.testing.assert_allclose(scaled["B"], 3.0 * found["B"], atol=1e-14)
    assert not scaled["Q"].any()


def test_the_task_in_the_middle_is_the_nominal_one() -> None:
    family = perturbed(count=2)
    assert family.dimensions == (4, 2)
    np.testing.assert_array_equal(family.nominal(4, 2, 0).A[0], systems.named("boeing747", form="code").A)
    assert [path.name for path in family.sources] == ["perturbed.py", "boeing747.py"]


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ({"family": "boing747"}, r"around\.family: 'boing747' is not a known task family; did you mean boeing747\?"),
        ({"family": "bus", "speed": {"low": 5, "high": 15}, "count": 3}, "around: 3 tasks, but tasks are around one"),
        ({"family": "boeing747", "form": "coda"}, r"around: form: 'coda' is not allowed; did you mean code\?"),
        ({"form": "code"}, r"around\.family: missing; add it"),
    ],
)
def test_what_cannot_be_in_the_middle(around: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        perturbed(around=around)


def test_a_perturbation_that_leaves_no_definite_cost() -> None:
    with pytest.raises(FamilyError, match="lower perturbation: 5, or leave Q and R out of perturbed_matrices"):
        perturbed(perturbation=5.0).tasks(4, 2, 1)

import re
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from metalqr import lqr, optimal
from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from metalqr.lqr import LQRTasks
from metalqr.systems.family import Family, FamilyError

CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def family(**changes: Any) -> Family:
    similar = families.get("similar")
    needed = {"spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25}
    return similar(similar.Settings(**needed | changes))


def similar_tasks(d: int, k: int, seed: int, **changes: Any) -> LQRTasks:
    return family(**changes).tasks(d, k, seed)


def given_tasks(matrices: dict[str, Any]) -> LQRTasks:
    given = families.get("given")
    return given(given.Settings(**matrices)).tasks(0, 0, 0)


@pytest.mark.parametrize("case", ["d1k1", "d2k2", "d20k10"])
def test_the_configs_cases_start_near_one_and_one_gain_nearly_serves_all(case: str) -> None:
    block = CONFIG["cases"][case]
    dims = block["state_dim"], block["action_dim"]
    changes = {key: value for key, value in block["tasks"].items() if key != "family"}
    tasks = similar_tasks(*dims, seed=CONFIG["seed"], **changes)
    optimum = optimal.optimal_gains(tasks).cost.sum()
    first = lqr.cost(tasks, np.zeros(dims[::-1])).sum() / optimum - 1
    floor = optimal.shared_gain(tasks).cost.sum() / optimum - 1
    assert 0.5 < first < 2.0
    assert 0.0 < floor < 0.06


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 4), st.floats(0.05, 0.99), st.floats(0.0, 2.0))
def test_every_family_is_stable_definite_and_scaled(seed: int, d: int, k: int, radius: float, deviation: float) -> None:
    changes = {"spectral_radius": radius, "perturbation_deviation": deviation, "noise_trace": 2.5, "count": 3}
    tasks = similar_tasks(d, k, seed, **changes)
    assert (tasks.count, tasks.state_dim, tasks.action_dim) == (3, d, k)
    assert (lqr.spectral_radius(tasks, np.zeros((k, d))) <= radius * (1 + 1e-9)).all()
    np.testing.assert_allclose(np.trace(tasks.Psi, axis1=1, axis2=2), 2.5, rtol=1e-12)
    for matrices in (tasks.Q, tasks.R):
        assert (np.linalg.eigvalsh(matrices) >= family().settings.smallest_eigenvalue * (1 - 1e-9)).all()


def test_without_perturbation_all_tasks_are_the_nominal_one_with_its_exact_radius() -> None:
    tasks = similar_tasks(4, 2, 1, perturbed_share=0.0)
    for matrices in (tasks.A, tasks.B, tasks.Q, tasks.R, tasks.Psi):
        np.testing.assert_array_equal(matrices, np.stack([matrices[0]] * 5))
    np.testing.assert_allclose(lqr.spectral_radius(tasks, np.zeros((2, 4))), 0.8, rtol=1e-12)


def test_the_stated_share_of_entries_changes() -> None:
    """A tenth of the 400 entries of B; the others stay those of the nominal task, up to the last bit."""
    nominal = similar_tasks(20, 20, 3, perturbed_share=0.0).B[0]
    changed = nominal != similar_tasks(20, 20, 3).B
    np.testing.assert_array_equal(changed.sum(axis=(1, 2)), 40)
    assert not np.array_equal(changed[0], changed[1])
    one = similar_tasks(1, 1, 3).B != similar_tasks(1, 1, 3, perturbed_share=0.0).B
    assert one.all()


def test_the_deviation_is_the_stated_one() -> None:
    """2000 changed entries of B: the standard deviation of the estimate is 1.6 %, and 6 % is 3.8 of those."""
    nominal = similar_tasks(20, 20, 4, perturbed_share=0.0).B[0]
    difference = similar_tasks(20, 20, 4, perturbed_share=1.0).B - nominal
    assert np.std(difference) == pytest.approx(0.25, rel=0.06)


def test_only_radii_above_the_limit_are_scaled_back() -> None:
    loose = similar_tasks(3, 2, 5, largest_spectral_radius=0.99, count=40)
    tight = similar_tasks(3, 2, 5, largest_spectral_radius=0.85, count=40)
    radii = lqr.spectral_radius(loose, np.zeros((2, 3)))
    above = radii > 0.85
    assert 0 < above.sum() < 40
    np.testing.assert_array_equal(tight.A[~above], loose.A[~above])
    np.testing.assert_allclose(tight.A[above], loose.A[above] * (0.85 / radii[above])[:, None, None], rtol=1e-12)


def test_a_family_depends_on_its_seed_alone_and_grows_without_changing() -> None:
    small, large = similar_tasks(3, 2, 6), similar_tasks(3, 2, 6, count=9)
    other = similar_tasks(3, 2, 7)
    for name in ("A", "B", "Q", "R", "Psi"):
        np.testing.assert_array_equal(getattr(large, name)[:5], getattr(small, name))
        assert not np.array_equal(getattr(other, name), getattr(small, name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count: 0 is not >= 1"),
        ({"largest_spectral_radius": 1.0}, "largest_spectral_radius: 1.0 is not < 1"),
        ({"perturbed_share": 1.1}, "perturbed_share: 1.1 is not <= 1"),
        ({"perturbation_deviation": -0.1}, "perturbation_deviation: -0.1 is not >= 0"),
        ({"noise_trace": 0}, "noise_trace: 0 is not > 0"),
        ({"smallest_eigenvalue": -1.0}, "smallest_eigenvalue: -1.0 is not > 0"),
    ],
)
def test_an_impossible_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        family(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perturbation_deviation": 1e200}, "cannot be made stable and positive definite: its entries leave the range"),
        ({"smallest_eigenvalue": 1e-20}, "cannot be made positive definite: task 1: R is not positive definite"),
        ({"uniform_high": 5e-324}, "and cannot be scaled to spectral_radius: 0.8; change the range"),
    ],
)
def test_a_family_that_cannot_be_made_names_its_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FamilyError, match=re.escape(message)) as caught:
        similar_tasks(4, 2, 3, **changes)
    assert next(iter(changes)) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 0), "state_dim: 0 is not a whole number >= 1"),
        ((1, 0, 0), "action_dim: 0 is not a whole number >= 1"),
        ((1, 1, -1), "seed: -1 is not a whole number >= 0"),
    ],
)
def test_impossible_dimensions_and_seeds_are_named(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        similar_tasks(*arguments)


@pytest.mark.parametrize("name", ["similar", "legacy"])
def test_drawn_tasks_may_be_random_in_their_initial_state_alone(name: str) -> None:
    """What would be the covariance of the noise is that of the initial state; all else is drawn as before."""
    plugin = families.get(name)
    similar = {"spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25}
    needed: dict[str, Any] = similar if name == "similar" else {}
    chosen = plugin(plugin.Settings(**needed | {"noise": "initial_state", "initial_mean": [1.0, 2.0, 3.0]}))
    found, usual = chosen.tasks(3, 2, 1), plugin(plugin.Settings(**needed)).tasks(3, 2, 1)
    for matrix in ("A", "B", "Q", "R", "p"):
        np.testing.assert_array_equal(getattr(found, matrix), getattr(usual, matrix))
    np.testing.assert_array_equal(found.Sigma0, usual.Psi)
    np.testing.assert_array_equal(found.initial_mean, [[1.0, 2.0, 3.0]] * 5)
    assert found.noise == "initial_state"
    assert not found.Psi.any()
    assert list(chosen.problems(2, 2)) == [("initial_mean", "3 numbers, not state_dim = 2")]


# --- tasks that the user writes

WRITTEN: dict[str, Any] = {
    "A": [[[0.9, 0.1], [0.0, 0.8]], [[0.7, 0], [0.2, 0.5]]],
    "B": [[[1.0], [0.5]], [[1], [0]]],
    "Q": [[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]]],
    "R": [[[1.0]], [[2.0]]],
    "Psi": [[[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.0], [0.0, 0.5]]],
}


def test_given_tasks_are_taken_as_written() -> None:
    tasks = given_tasks(WRITTEN)
    for name, value in WRITTEN.items():
        np.testing.assert_array_equal(getattr(tasks, name), value)
    np.testing.assert_array_equal(tasks.Sigma0, tasks.Psi)
    assert not tasks.has_cross_terms
    cross = [[[0.1], [0.2]], [[0.0], [-0.3]]]
    full = given_tasks({**WRITTEN, "Sigma0": WRITTEN["Q"], "p": [0.25, 0.75], "S": cross})
    np.testing.assert_array_equal(full.S, cross)
    np.testing.assert_array_equal(full.Sigma0, WRITTEN["Q"])
    np.testing.assert_array_equal(full.p, [0.25, 0.75])


def test_given_tasks_may_vary_in_their_initial_state_alone() -> None:
    changes = {"Psi": None, "Sigma0": WRITTEN["Q"], "noise": "initial_state", "initial_mean": [[1.0, 0.0], [2.0, 3.0]]}
    tasks = given_tasks({**WRITTEN, **changes})
    assert tasks.noise == "initial_state"
    np.testing.assert_array_equal(tasks.initial_mean, changes["initial_mean"])
    assert not tasks.Psi.any()
    given = families.get("given")
    for missing in ({"Psi": None}, {"Sigma0": None, "initial_mean": [[1.0, 0.0], [2.0]]}):
        found = given(given.Settings(**{**WRITTEN, **(changes if "Sigma0" in missing else {}), **missing}))
        names = [place for place, _ in found.problems(2, 1)]
        assert names == (["Sigma0", "initial_mean[1]"] if "Sigma0" in missing else ["Psi"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"R": None}, "R: None is not a list"),
        ({"noise": "state"}, "noise: 'state' is not allowed; did you mean initial_state?"),
        ({"noise": 0.01}, "noise: 0.01 is a number; write process or initial_state, and a variance as noise_variance"),
        ({"A": [[[0.9, True], [0, 0.8]]]}, "A[0][0][1]: True is not a finite number"),
        ({"Psi": [[1.0, 0.0], [0.0, 1.0]]}, "Psi[0][0]: 1.0 is not a list"),
        ({"p": [1.0, 0.0]}, "p[1]: 0.0 is not > 0"),
    ],
)
def test_what_cannot_be_read_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        given_tasks({**WRITTEN, **changes})


def test_given_matrices_that_fit_no_dimensions_are_named() -> None:
    given = families.get("given")
    ragged = given(given.Settings(**{**WRITTEN, "B": [[[1.0], [0.5]], [[1.0]]], "p": [1.0], "S": [[[1.0, 0.0]]] * 2}))
    assert list(ragged.problems(2, 1)) == [
        ("B[1]", "the matrix is 1 x 1, not state_dim x action_dim = 2 x 1"),
        ("S[0]", "the matrix is 1 x 2, not state_dim x action_dim = 2 x 1"),
        ("S[1]", "the matrix is 1 x 2, not state_dim x action_dim = 2 x 1"),
        ("p", "1 tasks, but A has 2; give one entry for each task"),
    ]

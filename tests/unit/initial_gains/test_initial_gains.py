"""Ways to find the initial gain, as the stage that makes the tasks calls them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from metalqr import lqr, optimal, systems
from metalqr.config.registries import families, initial_gains
from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.file import File
from metalqr.systems.initial_gain import InitialGainError, read_gain


def made(name: str, **parameters: Any) -> tuple[Family, LQRTasks]:
    plugin = families.get(name)
    family = plugin(plugin.Settings(**parameters))
    return family, family.tasks(*(family.dimensions or (3, 2)), seed=5)


def found(given: Any, name: str, **parameters: Any) -> FloatArray:
    family, tasks = made(name, **parameters)
    return read_gain(tasks, given, family, 5)


def plain_dlqr(A: FloatArray, B: FloatArray, Q: FloatArray, R: FloatArray) -> FloatArray:
    P = solve_discrete_are(A, B, Q, R)
    return np.asarray(np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A))


@pytest.mark.parametrize("nominal", [{}, {"speed": 8.0, "mass": 10.0}])
def test_detuned_is_the_optimum_for_a_multiple_of_the_weight_at_the_nominal_parameters(
    nominal: dict[str, float],
) -> None:
    bus = systems.named("bus", **nominal)
    expected = plain_dlqr(bus.A, bus.B, 40 * bus.Q, bus.R)
    K0 = found({"detuned": 40}, "bus", speed=[5.0, 15.0], mass=12.0, nominal=nominal)
    np.testing.assert_allclose(K0, expected, rtol=1e-7)


def test_detuned_of_the_legacy_family_takes_its_first_task() -> None:
    family, tasks = made("legacy")
    expected = plain_dlqr(tasks.A[0], tasks.B[0], 2 * tasks.Q[0], tasks.R[0])
    np.testing.assert_allclose(read_gain(tasks, {"detuned": 2.0}, family, 5), expected, rtol=1e-7)


#: Excess costs of the detuned gain, as docs/systems.md says: 0.01 to 3.6 at the nominal systems.
@pytest.mark.parametrize("name", systems.names())
def test_detuned_leaves_something_to_learn_at_the_nominal_system(name: str) -> None:
    tasks = systems.named(name).tasks()
    excess = lqr.cost(tasks, found({"detuned": 40}, name))[0] / optimal.optimal_gains(tasks).cost[0] - 1
    assert 0.008 < excess < 3.65


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "unstable"),
    [("pendulum", {"length": [0.2, 0.3, 0.6]}, (0, 2)), ("cart_pole", {"length": [0.5, 1.2]}, (1,))],
)
def test_a_detuned_gain_that_fails_names_the_tasks_and_offers_stabilising(
    name: str, parameters: dict[str, Any], unstable: tuple[int, ...]
) -> None:
    with pytest.raises(UnstablePolicyError) as caught:
        found({"detuned": 40}, name, **parameters)
    assert caught.value.task_indices == unstable
    _, tasks = made(name, **parameters)
    start = optimal.starting_gain(tasks)
    error = InitialGainError("mine", caught.value, {"detuned": 40.0}, start.K, start.ratio, start.excess.min())
    assert str(error).startswith("cases.mine.initial_gain: {detuned: 40} does not stabilise task ")
    assert all(f"task {task} (spectral radius " in str(error) for task in unstable)
    assert "; write stabilising, for a gain found with the model of every task" in str(error)
    assert math.isfinite(lqr.cost(tasks, found("stabilising", name, **parameters)).sum())


@pytest.mark.slow
def test_stabilising_is_the_gain_of_the_largest_margin() -> None:
    family, tasks = made("ship", ship=[1, 4])
    np.testing.assert_array_equal(read_gain(tasks, "stabilising", family), optimal.largest_margin_gain(tasks).K)


def test_every_way_is_registered_under_its_name() -> None:
    assert set(initial_gains.names()) == {"annealed", "detuned", "file", "stabilising"}
    assert {plugin.name for plugin in initial_gains if plugin.needs_settings()} == {"detuned"}


def test_the_gain_of_a_file_is_that_of_its_k0(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"A": [[1.2]], "B": [[1.0]], "Q": [[1.0]], "R": [[1.0]], "Psi": [[1.0]]}
    for name, K0 in (("good", [[0.7]]), ("wide", [[0.7, 0.1]]), ("none", None)):
        named = arrays if K0 is None else {**arrays, "K0": K0}
        np.savez(tmp_path / f"{name}.npz", **named)
    good, wide, none = (File(File.Settings(path=str(tmp_path / f"{name}.npz"))) for name in ("good", "wide", "none"))
    tasks = good.tasks(1, 1, 0)
    np.testing.assert_array_equal(read_gain(tasks, "file", good), [[0.7]])
    with pytest.raises(FamilyError, match=r"K0 has shape \(1, 2\), expected \(1, 1\): one gain for all tasks"):
        read_gain(tasks, "file", wide)
    with pytest.raises(FamilyError, match="initial_gain: file needs an array K0 in the tasks' file; add it, or write"):
        read_gain(tasks, "file", none)


def test_zero_and_rows_are_taken_as_they_are() -> None:
    _, tasks = made("paper_machine")
    assert not read_gain(tasks, "zero").any()
    np.testing.assert_array_equal(read_gain(tasks, [[0.1, 0.0, 0.0, 0.0]]), [[0.1, 0.0, 0.0, 0.0]])

"""Tasks from arrays and from the objects of toolboxes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from metalqr.systems.family import FamilyError
from metalqr.systems.state_space import Sampling, from_state_space, problem_from_arrays

A, B = np.array([[0.0, 1.0], [2.0, -0.3]]), np.array([[0.0], [1.5]])
#: Their annotations allow less than the functions.
SIGNAL: Any = signal
WEIGHTS: dict[str, Any] = {"Q": np.eye(2), "R": np.eye(1), "Psi": 0.1 * np.eye(2)}


@pytest.mark.parametrize(("method", "theirs"), [("zoh", "zoh"), ("euler", "euler"), ("tustin", "bilinear")])
def test_discretisations_are_those_of_scipy(method: str, theirs: str) -> None:
    found = problem_from_arrays({"A": A, "B": B, **WEIGHTS}, Sampling(0.2, method)).tasks
    expected = SIGNAL.cont2discrete((A, B, np.eye(2), np.zeros((2, 1))), 0.2, theirs)
    assert_allclose(found.A[0], expected[0], rtol=1e-12, atol=1e-14)
    assert_allclose(found.B[0], expected[1], rtol=1e-12, atol=1e-14)


def test_the_trapezoidal_rule_maps_the_left_half_plane_into_the_circle() -> None:
    found = problem_from_arrays({"A": -100.0 * np.eye(2), "B": B, **WEIGHTS}, Sampling(1.0, "tustin")).tasks
    assert_allclose(found.A[0], -49.0 / 51.0 * np.eye(2))


def test_matrices_for_all_tasks_and_for_each() -> None:
    several = np.stack([A, 2 * A, 3 * A])
    found = problem_from_arrays({"A": several, "B": B, **WEIGHTS, "dt": 0.0}, Sampling(0.01, "euler")).tasks
    assert_allclose(found.A, np.eye(2) + 0.01 * several)
    assert_allclose(found.B, np.stack([0.01 * B] * 3))
    assert_array_equal(found.Q, np.stack([np.eye(2)] * 3))


def test_controlgym_s_factors() -> None:
    C1, D12, B1 = np.array([[1.0, 0.5], [0.0, 0.0]]), np.array([[0.2], [1.0]]), np.array([[0.0], [1.0]])
    problem = problem_from_arrays({"A": 0.5 * A, "B2": B, "C1": C1, "D12": D12, "B1": B1, "C2": np.eye(2)})
    tasks = problem.tasks
    assert_allclose(tasks.Q[0], C1.T @ C1)
    assert_allclose(tasks.S[0], C1.T @ D12)
    assert_allclose(tasks.R[0], D12.T @ D12)
    assert_allclose(tasks.Psi[0], B1 @ B1.T)
    assert problem.K0 is None


def test_state_space_objects_of_scipy() -> None:
    continuous, zero = SIGNAL.StateSpace(A, B, np.eye(2), np.zeros((2, 1))), np.zeros((2, 1))
    found = from_state_space([continuous, continuous], **WEIGHTS, sample_time=0.2, discretisation="zoh")
    assert found.count == 2
    discrete = SIGNAL.cont2discrete((A, B, np.eye(2), zero), 0.2)
    assert_allclose(found.A[1], discrete[0], rtol=1e-12)
    assert_array_equal(from_state_space(SIGNAL.dlti(*discrete[:4], dt=0.2).to_ss(), **WEIGHTS).A[0], discrete[0])


def like_control(dt: Any, D: float = 0.0) -> Any:
    """An object with the attributes of control.StateSpace."""
    return SimpleNamespace(A=A, B=B, C=np.eye(2), D=np.full((2, 1), D), dt=dt)


@pytest.mark.parametrize(
    ("system", "options", "message"),
    [
        (like_control(None), {}, "dt is None, which says neither continuous nor discrete; set dt to 0 or a time"),
        (like_control(True), {}, "dt is True, discrete with an unknown time; set dt to the time of a step"),
        (like_control(0), {}, "A and B are in continuous time; give sample_time, and discretisation: zoh, euler or"),
        (like_control(0), {"discretisation": "zoh"}, "discretisation: zoh needs sample_time, the time of a step; add"),
        (like_control(0), {"sample_time": 0.1, "discretisation": "foh"}, "'foh' is not zoh, euler, tustin"),
        (like_control(0.1), {"sample_time": 0.1, "discretisation": "zoh"}, "dt is 0.1: A and B are in discrete time"),
        (like_control(0.1), {"sample_time": 0.2}, "sample_time: 0.2 is not the dt of the file, 0.1; remove it"),
        (like_control(0.1, D=2.0), {}, r"D is not zero \(its largest entry is 2\)"),
        ([like_control(0.1), like_control(0.2)], {}, r"the sampling times \[0.1, 0.2\]; give systems of one sampling"),
    ],
)
def test_state_space_objects_that_say_too_little(system: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FamilyError, match=message):
        from_state_space(system, **WEIGHTS, **options)

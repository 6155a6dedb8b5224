from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import scalar_tasks

from metalqr import lqr, optimal, systems
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.optimal import margin
from metalqr.optimal.learnability import assess
from metalqr.systems.catalogue import find
from metalqr.systems.random_tasks import random_task_set


def drawn(name: str, **parameters: Any) -> LQRTasks:
    plugin = find(name)
    family = plugin(plugin.Settings(**parameters))
    return family.tasks(*family.dimensions, seed=0)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 3))
def test_the_margin_is_the_lowest_inverse_gain_over_all_frequencies(seed: int, d: int, k: int) -> None:
    """Against a fine grid, which can only miss a peak, and by little."""
    tasks = random_task_set(seed, 0, k, d)
    K = np.zeros((k, d))
    found = optimal.stability_margin(tasks, K)
    points = np.exp(1j * np.linspace(0, np.pi, 4001))[:, None, None]
    for A, B, value in zip(tasks.A, tasks.B, found, strict=True):
        grid = 1 / np.linalg.norm(np.linalg.solve(points * np.eye(d) - A, B.astype(complex)), 2, axis=(1, 2)).max()
        assert grid * 0.999 < value <= grid * (1 + 1e-9)


def test_real_perturbations_of_more_than_that_size_destabilise() -> None:
    """For real perturbations of rank one; at 1.5 and 30 times the size, too: an eigenvalue stays beyond the circle."""
    tasks = random_task_set(3, 0, 2, 4)
    K = np.zeros((2, 4))
    size = optimal.destabilising_size(tasks, K)
    assert (size >= optimal.stability_margin(tasks, K) * (1 - 1e-9)).all()
    for F, B, least in zip(tasks.A, tasks.B, size, strict=True):
        z = min((1.0, -1.0), key=lambda z: -np.linalg.norm(np.linalg.solve(z * np.eye(4) - F, B), 2))
        u, _, v = np.linalg.svd(np.linalg.solve(z * np.eye(4) - F, B))
        for factor, beyond in ((0.999, False), (1.001, True), (1.5, True), (30.0, True)):
            radii = np.abs(np.linalg.eigvals(F + factor * least * B @ np.outer(v[0], u[:, 0])))
            assert (radii.max() > 1) == beyond
    assert optimal.destabilising_size(scalar_tasks(0.9, 2.0), [[0.0]]) == pytest.approx([0.05], rel=1e-12)
    assert optimal.destabilising_size(scalar_tasks(0.9), [[3.0]]).tolist() == [0.0]


@pytest.mark.parametrize("name", ["bus", "ship", "quadrotor", "vehicle_string"])
def test_a_perturbation_of_the_size_of_the_margin_reaches_the_circle(name: str) -> None:
    tasks = systems.named(name).tasks()
    K = optimal.optimal_gains(tasks).K[0]
    size = optimal.stability_margin(tasks, K)[0]
    F, B = (tasks.A - tasks.B @ K)[0], tasks.B[0]
    angle = margin._peak(F, B)[1]
    u, _, v = np.linalg.svd(np.linalg.solve(np.exp(1j * angle) * np.eye(len(F)) - F, B.astype(complex)))
    # Of rank one, and of that norm: the smallest that makes z I - F + B U singular.
    U = -size * np.outer(v[0].conj(), u[:, 0].conj())
    assert np.abs(np.linalg.eigvals(F - B @ U)).max() == pytest.approx(1, abs=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(200):
        direction = rng.standard_normal(K.shape)
        inside = 0.999 * size * direction / np.linalg.norm(direction)
        assert lqr.is_stabilising(tasks, K + inside).all()


def test_the_margin_of_a_scalar_task_is_the_distance_to_its_interval() -> None:
    """|a - b K| < 1 for K in (0.5, 1) with a = 3, b = 4."""
    one = [[[1.0]]]
    tasks = LQRTasks(A=[[[3.0]]], B=[[[4.0]]], Q=one, R=one, Psi=one)
    for K, expected in ((0.6, 0.1), (0.75, 0.25), (0.95, 0.05), (1.2, 0.0)):
        assert optimal.stability_margin(tasks, [[K]])[0] == pytest.approx(expected, abs=1e-9)
    assert optimal.largest_margin_gain(tasks).K[0, 0] == pytest.approx(0.75, abs=1e-3)


def test_the_derivative_is_that_of_finite_differences() -> None:
    tasks = drawn("bus", speed=[5.0, 10.0, 15.0])
    K = optimal.shared_gain(tasks).K
    _, gradient = margin._height(tasks, 10.0, np.inf, K)
    for place in range(K.size):
        step = np.zeros(K.size)
        step[place] = 1e-5
        ends = [margin._height(tasks, 10.0, np.inf, K + sign * step.reshape(K.shape))[0] for sign in (1, -1)]
        assert gradient.ravel()[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-6)


FAMILIES: dict[str, dict[str, Any]] = {
    "ship": {"ship": [1, 2, 3, 4, 5]},
    "pendulum": {"length": [0.2, 0.3, 0.45, 0.6]},
    "unicycle": {"heading": [0.0, 0.8]},
    "cart_pole": {"length": [0.3, 0.5, 1.2]},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_largest_margin_is_one_locally_and_of_moderate_cost(name: str) -> None:
    tasks = drawn(name, **FAMILIES[name])
    found = optimal.largest_margin_gain(tasks)
    assert lqr.is_stabilising(tasks, found.K).all()
    np.testing.assert_allclose(found.margin, optimal.stability_margin(tasks, found.K))
    assert tasks.p @ lqr.cost(tasks, found.K) <= 10.001 * tasks.p @ optimal.optimal_gains(tasks).cost

    def worst(gain: FloatArray) -> float:
        return float(optimal.stability_margin(tasks, gain).min())

    reached = worst(found.K)
    others = [optimal.shared_gain(tasks).K, optimal.stabilising_gain(tasks), *optimal.optimal_gains(tasks).K]
    assert max(map(worst, others)) <= reached
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(10):
            direction = rng.standard_normal(found.K.shape)
            near = found.K + size * reached * direction / np.linalg.norm(direction)
            assert worst(near) < 1.01 * reached


def test_tasks_without_a_common_gain_are_refused_with_the_certificate() -> None:
    ones = [[[1.0]], [[1.0]]]
    tasks = LQRTasks(A=[[[3.0]], [[1.0]]], B=[[[4.0]], [[-1.0]]], Q=ones, R=ones, Psi=ones)
    with pytest.raises(optimal.NoCommonStabilisingGainError, match="task 0 needs K in") as caught:
        optimal.largest_margin_gain(tasks)
    assert assess(tasks, 1e-3).certificate == str(caught.value)

"""Modes that no input reaches have one answer in every basis and in all units."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import ArrayLike
from systems import Array

from metalqr import optimal
from metalqr.lqr import LQRTasks
from metalqr.lqr.existence import (
    NotDetectableError,
    NotStabilisableError,
    are_stabilisable,
    require_optimum,
    require_stabilisable,
)
from metalqr.lqr.scaling import ScaledTask

ROTATION = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
#: What acts on the plant and is not reached, with the absolute value of its largest eigenvalue.
DISTURBANCES = {
    "constant load": ([[1.0]], 1.0),
    "two loads": (np.eye(2), 1.0),
    "ramp": ([[1.0, 0.1], [0.0, 1.0]], 1.0),
    "parabola": ([[1.0, 0.1, 0.005], [0.0, 1.0, 0.1], [0.0, 0.0, 1.0]], 1.0),
    "alternation": ([[-1.0]], 1.0),
    "swell": (ROTATION, 1.0),
    "growing swell": (np.kron(np.eye(2), ROTATION) + np.kron(np.eye(2, k=1), np.eye(2)), 1.0),
    "unstable": ([[1.3]], 1.3),
    "drift that ends": ([[0.999]], 0.999),
    "drift that hardly ends": ([[1.0 - 1e-7]], 1.0 - 1e-7),
    "damped swell": (0.99 * ROTATION, 0.99),
    "damped ramp": ([[0.95, 0.1], [0.0, 0.95]], 0.95),
}
PLANTS: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "mass": ([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]]),
    "mass with friction": ([[1.0, 0.0985], [0.0, 0.9704]], [[0.0025], [0.0493]]),
    "unstable": ([[1.5]], [[1.0]]),
    "integrator": ([[1.0]], [[0.1]]),
    "stable": ([[0.5, 0.1], [0.0, 0.3]], [[0.0], [1.0]]),
    "three integrators": ([[1.0, 0.1, 0.005], [0.0, 1.0, 0.1], [0.0, 0.0, 1.0]], [[1e-4], [0.005], [0.1]]),
    "two inputs": ([[1.2, 0.3], [0.1, 0.7]], [[1.0, 0.0], [0.3, 1.0]]),
    "weak input": ([[1.1, 0.1], [0.0, 0.9]], [[1e-6], [1e-6]]),
}
#: Bases of the states to try: a task as it stands, orthogonal ones, and ones in other units.
BASES = 6


def disturbed(plant: str, disturbance: str) -> Iterator[tuple[Array, LQRTasks]]:
    """Bases T, and the disturbed plant in the states Tx."""
    A_plant, B_plant = map(np.array, PLANTS[plant])
    mode = np.array(DISTURBANCES[disturbance][0])
    reached, size = len(A_plant), len(A_plant) + len(mode)
    for seed in range(BASES):
        rng = np.random.default_rng(seed)
        A, B = np.zeros((size, size)), np.zeros((size, B_plant.shape[1]))
        A[:reached, :reached], A[reached:, reached:], B[:reached] = A_plant, mode, B_plant
        A[:reached, reached:] = 0.3 * rng.standard_normal((reached, len(mode)))
        basis = np.linalg.qr(rng.standard_normal((size, size)))[0] if seed else np.eye(size)
        if seed % 2:
            basis = (10.0 ** rng.uniform(-3, 3, size))[:, np.newaxis] * basis
        inverse = np.linalg.inv(basis)
        Q, R, Psi = inverse.T @ inverse, np.eye(B.shape[1]), basis @ basis.T
        yield basis, LQRTasks([basis @ A @ inverse], [basis @ B], [0.5 * (Q + Q.T)], [R], [Psi])


@pytest.mark.parametrize("disturbance", DISTURBANCES)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_disturbance_that_does_not_decay_is_refused_in_every_basis(plant: str, disturbance: str) -> None:
    radius, states = DISTURBANCES[disturbance][1], len(np.array(PLANTS[plant][0]))
    for basis, tasks in disturbed(plant, disturbance):
        if radius < 1.0:
            gain = optimal.optimal_gains(tasks).K[0] @ basis
            A, B = np.linalg.inv(basis) @ tasks.A[0] @ basis, np.linalg.inv(basis) @ tasks.B[0]
            loop = np.sort(np.abs(np.linalg.eigvals(A - B @ gain)))
            assert loop[-1] < 1.0
            assert loop[-1] >= radius - 1e-6, "no gain moves the eigenvalue of the disturbance"
            continue
        with pytest.raises(NotStabilisableError) as refusal:
            optimal.optimal_gains(tasks)
        assert f"(absolute value {radius:.6g} >= 1)" in str(refusal.value)
        if "..." not in str(refusal.value):
            named = re.findall(r"(\S+) x\[(\d+)\]", str(refusal.value))
            combination = np.zeros(len(basis), dtype=complex)
            for share, state in named:
                combination[int(state)] = complex(share)
            # Of the plant's own states nothing is left in it, but for the digits that are not printed.
            printed = 1e-3 * np.abs(combination) @ np.abs(basis) + 1e-5 * np.abs(basis).max()
            assert (np.abs(combination @ basis)[:states] < printed[:states]).all()


def test_a_constant_load_is_refused_by_name() -> None:
    tasks = LQRTasks([[[0.5, 1.0], [0.0, 1.0]]], [[[1.0], [0.0]]], [np.eye(2)], [[[1.0]]], [np.eye(2)])
    message = (
        "task 0 cannot be stabilised by any gain: no input reaches its mode with eigenvalue 1 (absolute value 1 >= 1), "
        "in which the states enter as 1 x[1]; leave this mode out of the states (a constant load shifts the operating "
        "point), give it an input in B, or leave out the task"
    )
    with pytest.raises(NotStabilisableError, match=re.escape(message)):
        optimal.stabilising_gain(tasks)


def test_all_tasks_are_checked() -> None:
    """The stage of tasks refuses what has no optimum, without solving for it."""
    fine = LQRTasks([[[2.0]]] * 2, [[[1.0]]] * 2, [[[0.0]]] * 2, [[[1.0]]] * 2, [[[1.0]]] * 2)
    require_optimum(fine)
    with pytest.raises(NotDetectableError, match="task 1 has no optimal gain: its mode with eigenvalue 1, on the unit"):
        require_optimum(fine.replace(A=[[[2.0]], [[1.0]]]))
    with pytest.raises(NotStabilisableError, match="task 1 cannot be stabilised by any gain"):
        require_optimum(fine.replace(B=[[[1.0]], [[0.0]]]))


@pytest.mark.parametrize("state_dim", [2, 5])
def test_many_tasks_are_decided_as_one_by_one(state_dim: int) -> None:
    """Unstable tasks, some with a mode of its own that no input reaches, one with units far from one."""
    rng = np.random.default_rng(state_dim)
    count, two = 30, np.tile(np.eye(state_dim), (30, 1, 1))
    A = 1.5 * rng.standard_normal((count, state_dim, state_dim))
    B = rng.standard_normal((count, state_dim, 1))
    hidden = rng.random(count) < 0.3
    A[hidden, -1, :-1] = 0.0
    A[hidden, -1, -1] = 1.1
    B[hidden, -1] = 0.0
    B[3] *= 1e-6
    tasks = LQRTasks(A, B, two, np.ones((count, 1, 1)), two)
    expected = []
    for task in range(count):
        try:
            require_stabilisable(ScaledTask.of(tasks, task), task)
            expected.append(True)
        except NotStabilisableError:
            expected.append(False)
    np.testing.assert_array_equal(are_stabilisable(tasks), expected)
    np.testing.assert_array_equal(expected, ~hidden)
    assert are_stabilisable(tasks.subset([0])).shape == (1,)

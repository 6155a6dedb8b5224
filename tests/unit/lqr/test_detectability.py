"""Singular weights and cross terms: the optimum where there is one, and the mode that costs nothing where not."""

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import ArrayLike
from systems import Array, semidefinite_tasks, without_cross_terms

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks
from metalqr.optimal import NotDetectableError

MASS, PUSH = [[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]]
ROTATION = [[np.cos(0.3), 2.0 * np.sin(0.3), 0.0], [-0.5 * np.sin(0.3), np.cos(0.3), 0.0], [0.0, 0.0, 0.4]]


def one_task(
    A: ArrayLike, B: ArrayLike, Q: ArrayLike, S: ArrayLike | None = None, basis: Array | None = None
) -> LQRTasks:
    """A task with R = I, in another basis of the states if one is given."""
    A, B, Q = (np.atleast_2d(np.asarray(matrix, dtype=float)) for matrix in (A, B, Q))
    T = np.eye(len(A)) if basis is None else basis
    inverse = np.linalg.inv(T)
    weight = inverse.T @ Q @ inverse
    cross = None if S is None else [inverse.T @ np.asarray(S, dtype=float)]
    noise = [T @ T.T]
    return LQRTasks([T @ A @ inverse], [T @ B], [0.5 * (weight + weight.T)], [np.eye(B.shape[1])], noise, S=cross)


@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (4, 2), (3, 5), (20, 10)])
def test_the_optimum_is_that_of_scipy_and_stationary(dims: tuple[int, int]) -> None:
    tasks = semidefinite_tasks(3, 3, *dims)
    optima = optimal.optimal_gains(tasks)
    for i in range(tasks.count):
        A, B, Q, R, S = (getattr(tasks, name)[i] for name in ("A", "B", "Q", "R", "S"))
        P = scipy.linalg.solve_discrete_are(A, B, Q, R, s=S)
        np.testing.assert_allclose(optima.P[i], P, rtol=1e-7, atol=1e-8 * np.abs(P).max())
    evaluation = lqr.evaluate(tasks, optima.K)
    scale = np.abs(evaluation.input_curvature @ optima.K).max()
    np.testing.assert_allclose(evaluation.advantage, 0.0, atol=1e-9 * scale)
    np.testing.assert_allclose(optima.cost, lqr.cost(tasks, optima.K), rtol=1e-9, atol=1e-12)
    assert lqr.at_optimum(tasks, optima.K).all()
    shifted, shift = without_cross_terms(tasks)
    np.testing.assert_allclose(optimal.optimal_gains(shifted).K, optima.K - shift, atol=1e-8 * np.abs(optima.K).max())


@pytest.mark.parametrize(
    ("tasks", "eigenvalue", "states"),
    [
        (one_task(MASS, PUSH, np.diag([0.0, 1.0])), "1", "1 x[0]"),
        (one_task(MASS, PUSH, np.zeros((2, 2))), "1", "1 x[0]"),
        (one_task(-1.0, 1.0, 0.0), "-1", "1 x[0]"),
        (one_task(2.0, 1.0, 1.0, [[1.0]]), "1", "1 x[0]"),
        (one_task(ROTATION, [[1.0], [0.0], [1.0]], np.diag([0.0, 0.0, 1.0])), "(0.9553+0.2955j)", "1 x[0] + 0.5j x[1]"),
        (one_task(np.diag([1.5, 1.0]), [[1.0], [1.0]], np.diag([0.0, 0.0])), "1", "1 x[1]"),
        (one_task([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]], np.eye(3), np.zeros((3, 3))), "1", "1 x[0]"),
    ],
)
def test_a_mode_that_costs_nothing_is_named(tasks: LQRTasks, eigenvalue: str, states: str) -> None:
    with pytest.raises(NotDetectableError) as refusal:
        optimal.optimal_gains(tasks)
    message = str(refusal.value)
    assert f"task 0 has no optimal gain: its mode with eigenvalue {eigenvalue}, on the unit circle," in message
    assert f"the states move in it as {states}; give a state of this mode a weight in Q" in message
    assert ("under u = -inv(R) S' x" in message) == tasks.has_cross_terms


@pytest.mark.parametrize("seed", range(6))
def test_the_answer_is_the_same_in_every_basis_and_in_all_units(seed: int) -> None:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    if seed % 2:
        basis = np.diag(10.0 ** rng.uniform(-3, 3, 2)) @ basis
    with pytest.raises(NotDetectableError, match="its mode with eigenvalue 1, on the unit circle, neither"):
        optimal.optimal_gains(one_task(MASS, PUSH, np.diag([0.0, 1.0]), basis=basis))
    position = np.diag([1.0, 0.0])
    expected = optimal.optimal_gains(one_task(MASS, PUSH, position))
    found = optimal.optimal_gains(one_task(MASS, PUSH, position, basis=basis))
    np.testing.assert_allclose(found.K[0] @ basis, expected.K[0], rtol=1e-7)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-7)


@pytest.mark.parametrize(
    ("tasks", "gain"),
    [
        (one_task(0.5, 1.0, 0.0), 0.0),
        (one_task(0.5, 1.0, 1.0, [[1.0]]), 1.0),
        (one_task(0.99999, 1.0, 0.0), 0.0),
    ],
)
def test_a_stable_task_may_cost_nothing(tasks: LQRTasks, gain: float) -> None:
    optima = optimal.optimal_gains(tasks)
    assert optima.K.item() == pytest.approx(gain, abs=1e-12)
    assert optima.cost.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("tasks", "gain", "cost"),
    [
        # P = 4P - 4P²/(1 + P) has the solutions 0, which leaves the state alone, and 3, which stabilises.
        (one_task(2.0, 1.0, 0.0), [[1.5]], 3.0),
        (one_task(-2.0, 1.0, 0.0), [[-1.5]], 3.0),
        # u = -x - v: the plant A = 2 of v, whose cost is v².
        (one_task(3.0, 1.0, 1.0, [[1.0]]), [[2.5]], 3.0),
        # The second mode decays and costs nothing, and is left alone.
        (one_task(np.diag([2.0, 0.5]), [[1.0], [1.0]], np.zeros((2, 2))), [[1.5, 0.0]], 3.0),
    ],
)
def test_a_mode_that_grows_may_cost_nothing(tasks: LQRTasks, gain: list[list[float]], cost: float) -> None:
    """The inputs that stabilise it cost, so there is an optimum of all stabilising gains: eigenvalue z becomes 1/z."""
    optima = optimal.optimal_gains(tasks)
    np.testing.assert_allclose(optima.K[0], gain, atol=1e-12)
    assert optima.cost.item() == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_with_modes_that_cost_nothing_is_that_of_the_stabilising_gains(seed: int) -> None:
    """Unstable modes without cost are mirrored at the circle, and no gain nearby that stabilises costs less."""
    rng = np.random.default_rng(seed)
    unstable, d, k = (1.2, -1.4, 1.05)[: 1 + seed % 3], 3 + seed % 3, 1 + seed % 2
    modes = np.diag([*unstable, *rng.uniform(-0.9, 0.9, d - len(unstable))])
    basis = rng.standard_normal((d, d)) + 2.0 * np.eye(d)
    tasks = one_task(modes, rng.standard_normal((d, k)), np.zeros((d, d)), basis=basis)
    optima = optimal.optimal_gains(tasks)
    K, (cost,) = optima.K[0], optima.cost
    assert cost == pytest.approx(lqr.cost(tasks, K)[0], rel=1e-8)
    found = np.sort(np.abs(np.linalg.eigvals(tasks.A[0] - tasks.B[0] @ K)))
    mirrored = np.abs(np.diag(modes))
    np.testing.assert_allclose(found, np.sort(np.where(mirrored > 1.0, 1.0 / mirrored, mirrored)), rtol=1e-6)
    for _ in range(100):
        other = K + 10.0 ** rng.uniform(-4, 0) * np.abs(K).max() * rng.standard_normal(K.shape)
        assert lqr.cost(tasks, other)[0] >= cost * (1.0 - 1e-9)

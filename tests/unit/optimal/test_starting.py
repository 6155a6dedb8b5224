"""The gain that an error message offers leaves something to learn on every task."""

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.linalg import expm
from systems import PUBLISHED, Array, opposed_tasks, random_tasks, scalar_tasks

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks
from metalqr.optimal.starting import MIN_EXCESS
from metalqr.theory import SublevelSet


def plants(A: ArrayLike, B: ArrayLike, spread: float, count: int) -> LQRTasks:
    """Plants whose matrices differ by a relative ``spread``."""
    rng = np.random.default_rng(0)
    first, second = np.array(A, dtype=float), np.array(B, dtype=float)
    changed = first * (1.0 + spread * rng.standard_normal((count, *first.shape)))
    unit = np.stack([np.eye(len(first))] * count)
    return LQRTasks(changed, [second] * count, unit, [np.eye(second.shape[1])] * count, 0.01 * unit)


def sampled(A: ArrayLike, B: ArrayLike, time: float) -> tuple[Array, Array]:
    """Zero-order hold."""
    A, B = np.array(A, dtype=float), np.array(B, dtype=float)
    size = len(A)
    both = np.zeros((size + B.shape[1],) * 2)
    both[:size, :size], both[:size, size:] = A, B
    exact = expm(time * both)
    return exact[:size, :size], exact[:size, size:]


UNSTABLE: dict[str, tuple[ArrayLike, ArrayLike]] = {
    "double integrator": ([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]]),
    "pendulum": ([[1.0, 0.05], [1.635, 1.0]], [[0.0], [1.11]]),
    "cart and pole": sampled(
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.981, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 21.58, 0.0]],
        [[0.0], [1.0], [0.0], [2.0]],
        0.05,
    ),
    "station of 420 t": ([[1.0, 1.0], [0.0, 1.0]], [[1.19e-6], [2.38e-6]]),
    "ship": ([[0.5, -0.1, 0.0], [-0.6, 0.7, 0.0], [-0.2, 0.4, 1.0]], [[0.1], [-0.3], [-0.1]]),
    "three integrators": ([[1.0, 0.1, 0.005], [0.0, 1.0, 0.1], [0.0, 0.0, 1.0]], [[1e-4], [0.005], [0.1]]),
    "two inputs": ([[1.2, 0.3], [0.1, 0.7]], [[1.0, 0.0], [0.3, 1.0]]),
    "scalar": ([[1.5]], [[0.2]]),
    "weak input": ([[1.1, 0.1], [0.0, 0.9]], [[1e-6], [1e-6]]),
    "oscillation": ([[1.0, 0.5], [-0.5, 1.0]], [[0.0], [1.0]]),
}


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("plant", UNSTABLE)
def test_an_unstable_plant_gets_a_start_with_a_gap_on_every_task(plant: str, count: int) -> None:
    tasks = plants(*UNSTABLE[plant], spread=0.01 if count > 1 else 0.0, count=count)
    start = optimal.starting_gain(tasks)
    assert lqr.is_stabilising(tasks, start.K).all()
    assert not lqr.at_optimum(tasks, start.K).any()
    best = optimal.optimal_gains(tasks).cost
    excess = lqr.cost(tasks, start.K) / best - 1.0
    np.testing.assert_allclose(start.excess, excess, rtol=1e-6, atol=1e-9)
    assert start.ratio == pytest.approx((lqr.cost(tasks, start.K) - best).sum() / best.sum(), rel=1e-6)
    assert excess.min() >= 0.9 * MIN_EXCESS
    assert start.ratio < 3.0 or not start.K.any()
    # The set of Definition 2 is not a point: drawn gains differ.
    drawn = SublevelSet.around(tasks, start.K).draw(50, np.random.default_rng(0)).reshape(50, -1)
    assert len(np.unique(drawn, axis=0)) > 30


def test_zero_is_the_start_where_it_is_one() -> None:
    assert not optimal.starting_gain(random_tasks(0)).K.any()
    optimal_already = PUBLISHED[2].tasks()  # of these zero is the optimum
    start = optimal.starting_gain(optimal_already)
    assert start.K.any()
    assert start.excess.min() >= 0.9 * MIN_EXCESS


def test_tasks_without_a_common_gain_are_refused_as_elsewhere() -> None:
    with pytest.raises(optimal.NoCommonStabilisingGainError):
        optimal.starting_gain(opposed_tasks())
    with pytest.raises(optimal.NotStabilisableError):
        optimal.starting_gain(scalar_tasks(2.0, 0.0))

"""One notion of a gain that is optimal already, up to rounding."""

import numpy as np
import pytest
from systems import PUBLISHED, PublishedSystem, random_tasks, scalar_tasks, similar_tasks

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks


@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (5, 2), (20, 10)])
def test_each_task_is_judged_by_its_own_optimum(dims: tuple[int, int]) -> None:
    tasks = similar_tasks(0, 3, *dims)
    best = optimal.optimal_gains(tasks).K
    assert lqr.at_optimum(tasks, best).all()
    assert lqr.at_optimum(tasks, best[1]).tolist() == [False, True, False]
    assert lqr.at_optimum(tasks, best * (1 + 1e-9)).all()
    assert not lqr.at_optimum(tasks, best * (1 + 1e-4)).any()


@pytest.mark.parametrize("system", PUBLISHED, ids=lambda system: system.source[-40:])
def test_published_optima_are_optimal(system: PublishedSystem) -> None:
    """Also where zero is the optimum, so that nothing is left to compare with."""
    tasks = system.tasks()
    best = optimal.optimal_gains(tasks).K
    assert lqr.at_optimum(tasks, best).all()
    assert not lqr.at_optimum(tasks, best + 1e-3 * np.ones_like(best)).any()


@pytest.mark.parametrize("unit", [1e-10, 1e-3, 1e5, 1e10])
def test_units_decide_nothing(unit: float) -> None:
    """Of a cost, and of a scalar state."""
    tasks = random_tasks(1, 2, 3, 2)
    best = optimal.optimal_gains(tasks).K[0]
    dearer = tasks.replace(Q=unit * tasks.Q, R=unit * tasks.R)
    assert lqr.at_optimum(dearer, best).tolist() == [True, False]
    scalar = scalar_tasks([0.9, 0.8], b=1.0 / unit, q=unit**2)
    gain = optimal.optimal_gains(scalar).K[0]
    assert lqr.at_optimum(scalar, gain).tolist() == [True, False]


def test_an_unstable_gain_is_refused() -> None:
    one = [np.eye(1)]
    with pytest.raises(lqr.UnstablePolicyError):
        lqr.at_optimum(LQRTasks([2 * np.eye(1)], one, one, one, one), [[0.0]])

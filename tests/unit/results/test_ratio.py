"""The ratio of Figure 1, and what is left of it where the optima cost nothing."""

import numpy as np
import pytest
from systems import scalar_tasks

from metalqr import LQRTasks, MetaSettings, meta, optimal
from metalqr.results.runs import cost_difference_ratio, cost_gap, has_ratio, ratio_or_gap


def test_the_ratio_is_absent_where_the_optima_cost_nothing() -> None:
    cost, optimum = np.array([[3.0, 5.0], [2.0, 4.0]]), np.array([1.0, 3.0])
    np.testing.assert_allclose(cost_difference_ratio(cost, optimum, cost[0]), [1.0, 0.5])
    np.testing.assert_allclose(ratio_or_gap(cost, optimum, cost[0]), [1.0, 0.5])
    for nothing in (0.0 * optimum, 1e-17 * optimum):
        assert not has_ratio(nothing, cost[0])
        assert np.isnan(cost_difference_ratio(cost, nothing, cost[0])).all()
        np.testing.assert_allclose(ratio_or_gap(cost, nothing, cost[0]), [8.0, 6.0])
        np.testing.assert_allclose(cost_gap(cost, nothing), [8.0, 6.0])
    assert has_ratio(1e-10 * optimum, cost[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "tasks",
    [
        scalar_tasks([0.5, -0.3], psi=0.0, Sigma0=np.ones((2, 1, 1))),  # no noise
        scalar_tasks([0.5, -0.3], q=0.0),  # no weight
        scalar_tasks([0.5, 0.3], S=np.ones((2, 1, 1))),  # u = -x costs nothing
    ],
)
def test_a_run_of_such_tasks_has_a_gap(tasks: LQRTasks) -> None:
    start = optimal.starting_gain(tasks)
    assert np.isfinite(start.ratio)
    settings = MetaSettings(learning_rate=1e-3, adaptation_rate=0.0, iterations=3, average_last=0.5, perturbations=3)
    run = meta.train(tasks, [[0.1]], settings, 0)
    assert np.isnan(run.ratio).all()
    np.testing.assert_allclose(run.gap, run.cost.sum(axis=1), rtol=1e-12)
    assert run.ratio_average is not None
    assert np.isnan(run.ratio_average)

"""Exact quantities at many gains at once, some of them unstable."""

import functools

import numpy as np
import pytest
from systems import random_tasks, stable_gain

from metalqr import lqr
from metalqr.lqr import LQRTasks, UnstablePolicyError


def test_tiled_tasks_serve_many_gains_at_once() -> None:
    tasks = random_tasks(1)
    gains = np.stack([scale * stable_gain(tasks, 1) for scale in (0.0, 0.5, 1.0)])
    together = lqr.cost(lqr.tiled(tasks, 3), np.repeat(gains, tasks.count, axis=0)).reshape(3, tasks.count)
    np.testing.assert_allclose(together, [lqr.cost(tasks, gain) for gain in gains], rtol=1e-12)


def test_quantities_of_unstable_gains_are_not_a_number() -> None:
    """Scalars: |0.5 - K| < 1 allows K in (-0.5, 1.5); a gain that is not finite is not looked at."""
    one = np.ones((4, 1, 1))
    tasks = LQRTasks(0.5 * one, one, one, one, one)
    gains = np.array([0.2, 1.6, np.nan, 1.0]).reshape(4, 1, 1)
    found = lqr.where_stabilising(functools.partial(lqr.gradient, tasks), gains, np.zeros((1, 1)))
    assert np.isnan(found.ravel()).tolist() == [False, True, True, False]
    stable = gains[[0, 3]]
    np.testing.assert_allclose(found[[0, 3]], lqr.gradient(tasks.subset([0, 3]), stable), rtol=1e-12)
    costs = lqr.where_stabilising(lambda K: lqr.evaluate(tasks, K).cost(), gains, np.zeros((1, 1)))
    np.testing.assert_allclose(costs[[0, 3]], lqr.cost(tasks.subset([0, 3]), stable), rtol=1e-12)


def test_a_stand_in_that_is_unstable_is_an_error() -> None:
    one = np.ones((2, 1, 1))
    tasks = LQRTasks(0.5 * one, one, one, one, one)
    with pytest.raises(UnstablePolicyError, match="task 1"):
        lqr.where_stabilising(functools.partial(lqr.gradient, tasks), np.array([[[0.0]], [[3.0]]]), np.array([[2.0]]))

"""Runs with certified steps stay in the stabilising set, where plain steps leave it."""

from typing import Any

import numpy as np
import pytest
from systems import random_tasks, scalar_tasks, similar_tasks

from metalqr import lqr, optimal
from metalqr.config.algorithm import MetaSettings
from metalqr.training import Status, train
from metalqr.training.updates.certified import Certified


@pytest.mark.parametrize("method", ["exact_mean_cost", "gradient_descent", "mean_cost"])
@pytest.mark.parametrize("rate", [1.0, pytest.param(100.0, marks=pytest.mark.slow)])
def test_no_learning_rate_leaves_the_stabilising_set(method: str, rate: float) -> None:
    """The plain rule does at once. Exact and estimated directions, one gain and one for each task."""
    tasks, K0 = similar_tasks(0), np.zeros((2, 3))
    settings: dict[str, Any] = {"method": method, "learning_rate": rate, "adaptation_rate": 0.0, "iterations": 12}
    if method == "mean_cost":
        settings |= {"estimator": "two_point", "perturbations": 4, "smoothing_radius": 0.01, "rollout_length": 20}
    plain = train(tasks, K0, MetaSettings(**settings), seed=1)
    found = train(tasks, K0, MetaSettings(**settings, update_rule="certified"), seed=1)
    assert plain.status is Status.DIVERGED
    assert found.status is Status.COMPLETED
    assert len(found.K) == 13
    for K in found.K:
        assert lqr.is_stabilising(tasks, K).all()


def test_a_step_is_clipped_to_the_share_of_the_radius() -> None:
    """0.5 - K is stable for K in (-0.5, 1.5), and 0.2 - K in (-0.8, 1.2): the radius of 0.3 is 0.8."""
    tasks, K = scalar_tasks(a=[0.5, 0.2]), np.array([[0.3]])
    settings: dict[str, Any] = {"learning_rate": 1.0, "adaptation_rate": 0.0, "update_rule": "certified"}
    rule = Certified(MetaSettings(**settings | {"margin_share": 0.25}))
    assert rule.limited(np.array([[7.0]]), K, tasks)[0, 0] == pytest.approx(0.2)
    assert rule.limited(np.array([[-7.0]]), K, tasks)[0, 0] == pytest.approx(-0.2)
    assert rule.limited(np.array([[0.1]]), K, tasks)[0, 0] == 0.1
    assert rule.limited(np.array([[0.0]]), K, tasks)[0, 0] == 0.0
    each = rule.limited(np.full((2, 1, 1), 7.0), np.broadcast_to(K, (2, 1, 1)), tasks)
    np.testing.assert_allclose(each[:, 0, 0], [0.2, 0.225])


def test_short_steps_are_those_of_the_plain_rule() -> None:
    """To the last bit."""
    tasks, K0 = random_tasks(1, radius=0.7), np.zeros((2, 3))
    settings: dict[str, Any] = {
        "method": "exact_mean_cost",
        "learning_rate": 1e-3,
        "adaptation_rate": 0.0,
        "iterations": 10,
    }
    plain, found = (
        train(tasks, K0, MetaSettings(**settings, update_rule=rule), seed=0) for rule in ("gradient", "certified")
    )
    np.testing.assert_array_equal(plain.K, found.K)


def test_clipped_steps_still_reach_the_optimum_of_a_task() -> None:
    """With a learning rate that suits the optimum, and is far too large at the first gain."""
    tasks, K0 = scalar_tasks(a=0.999, b=0.1), np.zeros((1, 1))
    best = optimal.optimal_gains(tasks).K[0]
    rate = 1.0 / float(lqr.hessian_vector_product(tasks, best, np.ones((1, 1)))[0, 0, 0])
    settings: dict[str, Any] = {
        "method": "exact_mean_cost",
        "learning_rate": rate,
        "adaptation_rate": 0.0,
        "iterations": 200,
    }
    assert train(tasks, K0, MetaSettings(**settings), seed=0).status is Status.DIVERGED
    found = train(tasks, K0, MetaSettings(**settings, update_rule="certified"), seed=0)
    np.testing.assert_allclose(found.K[-1], best, rtol=1e-6)

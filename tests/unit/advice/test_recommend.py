"""Recommended settings: constraints, comparison with other settings, refusals, and real trainings."""

import numpy as np
import pytest
from systems import similar_tasks

from metalqr import LQRTasks, MetaSettings, meta
from metalqr.advice import candidates, recommend
from metalqr.advice.recommend import Advice
from metalqr.advice.stability import MOST_UNSTABLE
from metalqr.lqr import UnstablePolicyError
from metalqr.prediction import predict

SCALAR = LQRTasks(A=[[[0.5]], [[0.6]]], B=[[[1.0]]] * 2, Q=[[[1.0]]] * 2, R=[[[1.0]]] * 2, Psi=[[[1.0]]] * 2)
PLANAR = similar_tasks(seed=4, count=3, state_dim=2, action_dim=2)
BUDGET = 20_000


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A small grid, but for the trainings."""
    if request.node.name.startswith("test_trainings"):
        return
    monkeypatch.setattr(candidates, "LENGTHS", (5, 10))
    monkeypatch.setattr(candidates, "ITERATIONS", (25, 50))
    monkeypatch.setattr(candidates, "RATES", (1.0, 0.5))
    monkeypatch.setattr(candidates, "DECAYS", (0.0, 0.3))


def zero(tasks: LQRTasks) -> np.ndarray:
    """The zero gain."""
    return np.zeros((tasks.action_dim, tasks.state_dim))


def require_constraints(tasks: LQRTasks, found: Advice, budget: int) -> None:
    again = predict(tasks, zero(tasks), found.settings)
    assert again.unstable_share.max() < MOST_UNSTABLE
    assert again.leaving_chance.max() < MOST_UNSTABLE
    assert again.valid_until == found.settings.iterations
    assert again.ratio[-1] == found.ratio
    assert again.rollout_steps[-1] == found.rollout_steps <= budget
    assert found.settings.learning_rate <= found.largest_step
    # To leading order, and in full.
    assert abs(found.losses.total / found.ratio - 1) < 0.15


@pytest.mark.slow  # a search and several full predictions
@pytest.mark.parametrize("tasks", [SCALAR, PLANAR], ids=["scalar", "planar"])
@pytest.mark.parametrize("common_noise", [False, True])
def test_constraints_hold_and_no_random_settings_are_better(tasks: LQRTasks, common_noise: bool) -> None:
    found = recommend(tasks, zero(tasks), BUDGET, common_noise=common_noise)
    require_constraints(tasks, found, BUDGET)
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(8):
        count, length = int(rng.integers(25, 51)), int(rng.integers(5, 11))
        settings = found.settings.replace(
            iterations=count,
            rollout_length=length,
            perturbations=max(1, BUDGET // (2 * tasks.count * count * length)),
            smoothing_radius=float(rng.uniform(0.01, 0.3)),
            learning_rate=float(found.largest_step * rng.uniform(0.1, 1.0)),
            learning_rate_decay=0.0,
        )
        other = predict(tasks, zero(tasks), settings)
        if other.rollout_steps[-1] <= BUDGET and other.unstable_share.max() < MOST_UNSTABLE:
            compared += 1
            assert found.ratio < 1.02 * other.ratio[-1]
    assert compared >= 3


@pytest.mark.slow  # a search and several full predictions
def test_adaptation_takes_the_given_rate() -> None:
    found = recommend(SCALAR, [[0.0]], BUDGET, adaptation_rate=1.0e-4)
    assert found.settings.method == "zeroth_order_maml"
    assert found.settings.adaptation_rate == 1.0e-4
    require_constraints(SCALAR, found, BUDGET)


@pytest.mark.slow  # a search and several full predictions
def test_same_advice_every_time() -> None:
    first, second = (recommend(SCALAR, [[0.0]], BUDGET) for _ in range(2))
    assert first.settings == second.settings
    assert first.ratio == second.ratio


def test_refusals() -> None:
    with pytest.raises(ValueError, match="budget: 100 rollout steps are too few for 2 tasks: an iteration"):
        recommend(SCALAR, [[0.0]], 100)
    with pytest.raises(ValueError, match="budget"):
        recommend(SCALAR, [[0.0]], float("inf"))
    with pytest.raises(UnstablePolicyError, match="the initial gain"):
        recommend(SCALAR, [[2.0]], BUDGET)
    with pytest.raises(TypeError, match=r"object is no model.*measure instead"):
        recommend(object(), [[0.0]], BUDGET)  # type: ignore[arg-type]


def test_perturbations_take_what_the_budget_has() -> None:
    settings = MetaSettings(
        method="mean_cost", learning_rate=1.0, adaptation_rate=0.0, estimator="two_point",
        rollout_length=10, iterations=25,
    )  # fmt: skip
    given = candidates.Budget(5_499, 2, 0.0, False)
    fitted = candidates.fit(settings, given)
    assert fitted is not None
    # 2 tasks, pairs, 10 steps, 25 iterations: 1000 steps for each perturbation.
    assert fitted.perturbations == 5
    assert candidates.fit(settings, given._replace(rollout_steps=999)) is None


@pytest.mark.slow  # a search on the full grid, as it is used, is what is tested
@pytest.mark.parametrize("tasks", [SCALAR, PLANAR], ids=["scalar", "planar"])
def test_trainings_end_where_the_prediction_says(tasks: LQRTasks) -> None:
    found = recommend(tasks, zero(tasks), 100_000)
    measured = np.median([meta.train(tasks, zero(tasks), found.settings, seed).ratio[-1] for seed in range(5)])
    assert abs(measured / found.prediction.median[-1] - 1) < 0.25

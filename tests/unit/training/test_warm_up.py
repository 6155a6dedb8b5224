"""Iterations without an adaptation at the start, a learning rate that decays, and the warning that asks for them."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from systems import random_tasks, scalar_tasks, similar_tasks

from metalqr import MetaSettings, Stream, lqr, meta, training
from metalqr.config.identity import configuration_digest, identity
from metalqr.config.needs import seconds
from metalqr.config.problems import SettingsError
from metalqr.config.registries import methods
from metalqr.config.sizes import Sizes
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.evaluation import guarantees
from metalqr.training import History, Observer, Problem, State
from metalqr.training.adaptable import largest_curvature
from metalqr.training.method import tried_policies

TASKS, GAIN = similar_tasks(seed=11, count=3, state_dim=1, action_dim=2), np.array([[0.1], [-0.05]])
SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.02,
    perturbations=6,
    inner_perturbations=5,
    smoothing_radius=0.1,
    rollout_length=7,
    iterations=4,
    warm_up=2,
)
#: Methods of rollouts that adapt, with the length of their directions in gradients of the mean cost.
FACTORS = {
    "zeroth_order_maml": 1.0,
    "first_order_maml": 1.0,
    "hessian_maml": 1.0,
    "reptile": 5.0,
    "moreau": 1 - 0.98**5,
}


class _Stop(Observer):
    def stops(self, state: Callable[[], History]) -> bool:
        return True


# --- the boundary ---


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("batch", ["all", 2])
def test_the_first_iterations_follow_the_mean_cost(name: str, batch: Any) -> None:
    """Nothing inner is simulated or counted in them; from then on every step is the method's own."""
    settings = SETTINGS.replace(method=name, task_batch=batch)
    history = training.train(TASKS, GAIN, settings, seed=3)
    method = methods.get(name)(Problem(TASKS, GAIN, settings))
    for n in range(4):
        found = (
            FACTORS[name] * estimate_mean_gradient(TASKS, history.K[n], settings, Stream(3, n)).gradient
            if n < 2
            else method.direction(State(history.K[n]), Stream(3, n)).gradient
        )
        assert_allclose(history.K[n + 1] - history.K[n], -1e-3 * found, rtol=1e-9, atol=1e-15)
        assert history.gradient_norm[n] == pytest.approx(np.linalg.norm(found))
    count = 3 if batch == "all" else 2
    own = methods.get(name).work(3, settings).rollouts * 7
    assert_array_equal(np.diff(history.rollout_steps), [count * 6 * 7, count * 6 * 7, own, own])


@pytest.mark.parametrize("name", FACTORS)
def test_tried_policies_are_those_of_each_iteration(name: str) -> None:
    """With so large a radius all of them are unstable."""
    settings = SETTINGS.replace(method=name, smoothing_radius=1e5, adaptation_rate=1e-90, learning_rate=1e-90)
    history = training.train(TASKS, GAIN, settings, 0)
    tried = tried_policies(3, settings, 4)
    assert_array_equal(history.unstable_perturbations, [*tried, 0])
    found = guarantees.check(TASKS, GAIN, history.K, history.unstable_perturbations, history.gradient_norm, settings, 0)
    assert_array_equal(found.unstable_share[:4], np.ones(4))


def test_a_warm_up_of_all_iterations_is_mean_cost() -> None:
    long, plain = (
        training.train(TASKS, GAIN, SETTINGS.replace(**change), 5)
        for change in ({"warm_up": 9}, {"method": "mean_cost"})
    )
    assert_array_equal(long.K, plain.K)
    assert_array_equal(long.rollout_steps, plain.rollout_steps)


@pytest.mark.parametrize("name", ["zeroth_order_maml", "first_order_maml", "hessian_maml"])
def test_a_run_in_parts_has_the_same_bits(name: str) -> None:
    """With a memory of the estimator and of the update rule, which go on across the end of the warm-up."""
    settings = SETTINGS.replace(method=name, estimator="residual", update_rule="momentum", learning_rate_decay=3.0)
    whole = training.train(TASKS, GAIN, settings, 2)
    part = training.train(TASKS, GAIN, settings, 2, [_Stop()])
    parts = 1
    while part.status is training.Status.INTERRUPTED:
        part = training.train(TASKS, GAIN, settings, 2, [_Stop()], resume=part)
        parts += 1
    assert parts == 4
    for field in ("K", "cost", "gradient_norm", "rollout_steps", "unstable_perturbations"):
        assert_array_equal(getattr(part, field), getattr(whole, field))
    assert part.memory.keys() == whole.memory.keys()
    for key, array in whole.memory.items():
        assert_array_equal(part.memory[key], array)


# --- the learning rate ---


@pytest.mark.parametrize("name", ["zeroth_order_maml", "exact_maml", "gradient_descent"])
def test_the_learning_rate_decays(name: str) -> None:
    """From the first iteration on, alpha / (1 + n / n_d)."""
    settings = SETTINGS.replace(method=name, learning_rate_decay=2.0, warm_up=0)
    history = training.train(TASKS, GAIN, settings, seed=3)
    lengths = np.linalg.norm(np.diff(history.K, axis=0).reshape(4, -1), axis=1)
    assert_allclose(lengths / history.gradient_norm[:4], 1e-3 / (1 + np.arange(4) / 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "gauss_newton"}, "warm_up: 2 cannot change the steps of method: gauss_newton, which are its own;"),
        (
            {"method": "natural_gradient", "warm_up": 0, "learning_rate_decay": 5.0},
            "learning_rate_decay: 5.0 cannot change the steps of method: natural_gradient, which are its own; set 0",
        ),
        (
            {"method": "gradient_descent"},
            "warm_up: 2 is no warm-up of method: gradient_descent, which does not adapt a gain for all tasks; set 0",
        ),
    ],
)
def test_methods_with_steps_of_their_own_refuse_both(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SETTINGS.replace(**changes)


# --- identity and needs ---


def test_a_run_is_identified_by_them_where_they_are_not_at_their_defaults() -> None:
    plain = SETTINGS.replace(warm_up=0)
    assert {"warm_up", "learning_rate_decay"} & identity(plain).keys() == set()
    assert identity(SETTINGS) == {**identity(plain), "warm_up": 2}
    digests = {configuration_digest(each) for each in (plain, SETTINGS, plain.replace(learning_rate_decay=10.0))}
    assert len(digests) == 3


def test_a_warm_up_takes_the_time_of_mean_cost() -> None:
    def time(**changes: Any) -> float:
        return seconds("train_policy", [Sizes("a", 2, 2, 5, SETTINGS.replace(iterations=100, **changes))])

    assert time(warm_up=100) == time(warm_up=200) == pytest.approx(time(warm_up=0, method="mean_cost"))
    assert time(warm_up=50) == pytest.approx(0.5 * (time(warm_up=0) + time(warm_up=100)))


# --- the warning ---

#: At K = 0 the step of adaptation 0.4 makes the first one unstable; from K = 0.6 on both stay stable.
STEEP = scalar_tasks([0.9, 0.8])


def _logged(caplog: pytest.LogCaptureFixture, gain: float, **changes: Any) -> list[str]:
    caplog.clear()
    settings = SETTINGS.replace(**{"warm_up": 0, "iterations": 1, "adaptation_rate": 0.4, **changes})
    with caplog.at_level(logging.WARNING, logger="metalqr.training.loop"):
        training.train(STEEP, [[gain]], settings, 0)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("name", [*FACTORS, "exact_maml", "exact_first_order_maml", "exact_reptile"])
def test_a_start_that_cannot_be_adapted_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not meta.is_maml_stabilising(STEEP, np.zeros((1, 1)), 0.4)
    found = _logged(caplog, 0.0, method=name)
    radius = np.abs(np.array([0.9, 0.8]) + 0.4 * lqr.gradient(STEEP, np.zeros((1, 1))).ravel()).max()
    assert found[0] == (
        "K_0 is not MAML-stabilising at adaptation_rate: 0.4: after a step of adaptation the spectral radius of tasks "
        f"0, 1 is up to {radius:.3g}, so the run may diverge; set warm_up, the number of iterations along the mean "
        "cost that come first, or lower adaptation_rate"
    )
    assert not _logged(caplog, 0.4, method=name, adaptation_rate=1e-3)
    assert not _logged(caplog, 0.0, method=name, adaptation_rate=1e-3)


@pytest.mark.parametrize("name", ["mean_cost", "exact_mean_cost", "exact_moreau", "gradient_descent"])
def test_methods_that_do_not_adapt_start_anywhere(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not _logged(caplog, 0.0, method=name)


def test_a_warm_up_that_is_too_short_is_named_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    short = {"method": "exact_maml", "iterations": 4, "learning_rate": 1e-6, "warm_up": 2}
    (found,) = _logged(caplog, 0.0, **short)
    assert found.startswith("the gain at the end of the warm-up of 2 is not MAML-stabilising at adaptation_rate: 0.4:")
    assert found.endswith("raise warm_up, or lower adaptation_rate")
    assert not _logged(caplog, 0.0, **{**short, "warm_up": 5})


def test_inner_steps_that_are_too_long_for_the_curvature_are_named(caplog: pytest.LogCaptureFixture) -> None:
    curvature = lqr.hessian_vector_product(STEEP, [[0.4]], [[1.0]]).max()
    rate = 2.0 / (1.0 + curvature)
    found = _logged(caplog, 0.4, method="moreau", adaptation_rate=1.01 * rate)
    assert f"is not < 2 / (proximal_weight + h) = {rate:.3g} with the curvature h = {curvature:.3g}" in found[-1]
    assert not any("curvature" in text for text in _logged(caplog, 0.4, method="moreau", adaptation_rate=0.99 * rate))


def test_the_largest_curvature_is_the_largest_eigenvalue() -> None:
    tasks = random_tasks(seed=5, count=2, state_dim=2, action_dim=2)
    K = np.full((2, 2), 0.05)
    units = np.eye(4).reshape(4, 2, 2)
    hessians = np.stack([lqr.hessian_vector_product(tasks, K, unit).reshape(2, 4) for unit in units], axis=1)
    largest = np.linalg.eigvalsh(hessians)[:, -1]
    assert_allclose(largest_curvature(tasks, K, products=200), largest, rtol=1e-6)
    assert np.all(largest_curvature(tasks, K) <= largest * (1 + 1e-12))

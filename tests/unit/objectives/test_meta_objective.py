import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import (
    Array,
    bases,
    central_difference,
    check_derivative,
    random_tasks,
    scalar_tasks,
    stable_gain,
    tasks_and_gains,
)

from metalqr import lqr, optimal
from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.objectives import meta
from metalqr.objectives.mean_cost import MeanCost
from metalqr.objectives.meta import MetaObjective, adapted_cost
from metalqr.optimal.learnability import largest_adaptation_rate

SIZES = [(1, 1), (2, 2), (4, 2), (3, 5)]


@pytest.mark.parametrize("dims", SIZES)
def test_derivatives_agree_with_finite_differences(dims: tuple[int, int]) -> None:
    tasks = random_tasks(31, 3, *dims, radius=0.7)
    K = 0.5 * stable_gain(tasks, 31)
    rate = 0.3 * largest_adaptation_rate(tasks, K)
    gradient, derivatives = meta.gradient(tasks, K, rate), MetaObjective(tasks, rate).at(K)
    for unit in bases(K.shape):
        slope = central_difference(lambda gain: meta.objective(tasks, gain, rate), K, unit, step=1e-4)
        assert np.vdot(gradient, unit) == pytest.approx(float(slope), abs=1e-7 * np.abs(gradient).max())
    np.testing.assert_allclose(derivatives.gradient, gradient, rtol=1e-12)
    X, Y = np.random.default_rng(31).standard_normal((2, *K.shape))
    exact = derivatives.hessian_vector_product(X)
    slope = central_difference(lambda gain: meta.gradient(tasks, gain, rate), K, X, step=1e-5)
    np.testing.assert_allclose(exact, slope, atol=1e-7 * np.abs(exact).max())
    assert np.vdot(Y, exact) == pytest.approx(np.vdot(X, derivatives.hessian_vector_product(Y)), rel=1e-9)
    mean_cost = MeanCost(tasks).at(K)
    for found, without in ((gradient, mean_cost.gradient), (exact, mean_cost.hessian_vector_product(X))):
        assert np.abs(found - without).max() > 1e-2 * np.abs(found).max(), "the adaptation must matter"


def test_without_adaptation_the_derivatives_are_those_of_the_mean_cost() -> None:
    tasks = random_tasks(32)
    K = stable_gain(tasks, 32)
    X = np.random.default_rng(32).standard_normal(K.shape)
    one, other = MeanCost(tasks).at(K), MetaObjective(tasks, 0.0).at(K)
    assert MeanCost(tasks).value(K) == pytest.approx(MetaObjective(tasks, 0.0).value(K), rel=1e-14)
    assert meta.objective(tasks, K, 0.0) == pytest.approx(tasks.p @ lqr.cost(tasks, K), rel=1e-13)
    mean = np.tensordot(tasks.p, lqr.gradient(tasks, K), 1)
    np.testing.assert_allclose(one.gradient, mean, rtol=1e-12, atol=1e-12 * np.abs(mean).max())
    np.testing.assert_array_equal(other.gradient, meta.gradient(tasks, K, 0.0))
    np.testing.assert_allclose(meta.adapted_gains(tasks, K, 1e-3), K - 1e-3 * lqr.gradient(tasks, K), rtol=1e-14)
    assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-12)
    for name in ("hessian_vector_product", "precondition"):
        np.testing.assert_allclose(getattr(one, name)(X), getattr(other, name)(X), rtol=1e-10)


@pytest.mark.parametrize("objective", [MeanCost(random_tasks(33)), MetaObjective(random_tasks(33), 1e-3)])
def test_precondition_is_positive_definite_and_self_adjoint(objective: MeanCost | MetaObjective) -> None:
    derivatives = objective.at(0.3 * stable_gain(objective.tasks, 33))
    X, Y = np.random.default_rng(33).standard_normal((2, 2, 3))
    assert np.vdot(Y, derivatives.precondition(X)) == pytest.approx(np.vdot(X, derivatives.precondition(Y)), rel=1e-10)
    assert np.vdot(X, derivatives.precondition(X)) > 0


def test_gradient_over_finite_rollouts_agrees_with_finite_differences() -> None:
    """With the costs of rollouts of 8 steps before and after the adaptation, of a gain that is not stabilising."""
    tasks = random_tasks(24, 3, 3, 2, radius=1.05)
    K, rate, length = np.zeros((2, 3)), 1e-4, 8

    def value(gain: Array) -> Array:
        adapted = gain - rate * lqr.finite_horizon_gradient(tasks, gain, length)
        return lqr.finite_horizon_cost(tasks, adapted, length)

    exact = meta.task_gradients(tasks, K, rate, length)
    without = lqr.finite_horizon_gradient(tasks, K, length)
    assert np.linalg.norm(exact - without) > 1e-3 * np.linalg.norm(exact), "the adaptation must matter"
    check_derivative(value, K, lambda unit: np.tensordot(exact, unit, 2), 1e-7)


def test_gradient_over_finite_rollouts_is_not_a_number_beyond_the_range_of_numbers() -> None:
    found = meta.task_gradients(scalar_tasks([30.0, 0.5]), [[0.0]], 1e-3, 2000)
    assert np.isnan(found.ravel()).tolist() == [True, False]


def test_each_task_may_have_a_gain_of_its_own() -> None:
    tasks = random_tasks(25, radius=0.6)
    K = 0.3 * stable_gain(tasks, 25, per_task=True)
    found = meta.task_gradients(tasks, K, 1e-3)
    for task in range(tasks.count):
        alone = meta.gradient(tasks.subset([task]), K[task], 1e-3)
        np.testing.assert_allclose(found[task], alone, rtol=1e-11)


@pytest.mark.slow
@given(tasks_and_gains(), st.floats(1e-3, 0.1))
def test_the_objective_lies_between_the_optima_and_the_unadapted_cost(
    case: tuple[LQRTasks, Array], share: float
) -> None:
    """One short gradient step improves every task, and no gain is better than the optimum."""
    tasks, K = case
    rate = share * largest_adaptation_rate(tasks, K)
    assert meta.objective(tasks, K, rate) >= tasks.p @ optimal.optimal_gains(tasks).cost * (1 - 1e-10)
    assert meta.objective(tasks, K, 1e-3 * rate) <= tasks.p @ lqr.cost(tasks, K) * (1 + 1e-10)


def test_definition_1_looks_before_and_after_the_adaptation() -> None:
    """A scalar task: |0.9 - K| < 1 allows K in (-0.1, 1.9), and a long step overshoots this interval."""
    tasks = scalar_tasks(0.9)
    K = np.array([[0.0]])
    slope = lqr.gradient(tasks, K)[0, 0, 0]
    assert slope < 0
    overshooting = 2.0 / -slope
    assert meta.is_maml_stabilising(tasks, K, 0.5 * overshooting)
    assert not meta.is_maml_stabilising(tasks, K, overshooting)
    assert meta.objective(tasks, K, overshooting) == np.inf
    assert not meta.is_maml_stabilising(tasks, [[2.0]], 0.0)
    assert meta.objective(tasks, [[2.0]], 0.0) == np.inf
    with pytest.raises(
        UnstablePolicyError, match=re.escape("the adapted gain K - adaptation_rate * gradient does not")
    ):
        meta.gradient(tasks, K, overshooting)
    for function in (meta.gradient, meta.adapted_gains):
        with pytest.raises(UnstablePolicyError, match=re.escape("the gain does not stabilise task 0")):
            function(tasks, [[2.0]], 0.0)


def test_adapted_costs_are_infinite_where_either_gain_is_unstable() -> None:
    """Of tasks that are never stable, that overshoot, and that adapt well; closed loops 1.5, 0.9 and 0.5."""
    tasks = scalar_tasks([1.5, 0.9, 0.5])
    costs = adapted_cost(tasks, [[0.0]], 0.1)
    np.testing.assert_array_equal(np.isinf(costs), [True, True, False])
    alone = tasks.subset([2])
    assert costs[2] == pytest.approx(lqr.cost(alone, -0.1 * lqr.gradient(alone, [[0.0]]))[0], rel=1e-14)


def test_a_step_beyond_the_range_of_doubles_is_unstable() -> None:
    tasks = random_tasks(0)
    gain = np.zeros((2, 3))
    assert not meta.is_maml_stabilising(tasks, gain, 1e308)
    assert meta.objective(tasks, gain, 1e308) == np.inf
    assert np.isinf(adapted_cost(tasks, gain, 1e308)).all()


@pytest.mark.parametrize(
    ("K", "rate", "message"),
    [
        (np.zeros((3, 2, 3)), 1e-3, "K has shape (3, 2, 3), expected (2, 3): one gain for all tasks"),
        (np.zeros((2, 3)), -1.0, "adaptation_rate: -1.0 is not a finite number >= 0"),
        (np.zeros((2, 3)), np.nan, "adaptation_rate: nan is not a finite number >= 0"),
        (np.zeros((2, 3)), np.inf, "adaptation_rate: inf is not a finite number >= 0"),
    ],
)
def test_impossible_arguments_are_refused(K: Array, rate: float, message: str) -> None:
    for function in (meta.objective, meta.gradient, meta.adapted_gains, adapted_cost, meta.is_maml_stabilising):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(random_tasks(0), K, rate)

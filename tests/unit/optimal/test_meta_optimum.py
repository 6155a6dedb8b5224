import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import random_tasks, scalar_tasks

from metalqr import lqr, optimal
from metalqr.lqr import UnstablePolicyError
from metalqr.objectives import meta
from metalqr.optimal import DescentError, NoCommonStabilisingGainError, NoMamlStabilisingGainError
from metalqr.optimal.learnability import largest_adaptation_rate
from metalqr.optimal.stabilising import candidate_gains


def test_without_adaptation_it_is_the_best_single_gain() -> None:
    tasks = random_tasks(34, 4, 4, 2, spread=0.2)
    shared, found = optimal.shared_gain(tasks), optimal.meta_gain(tasks, 0.0)
    np.testing.assert_allclose(found.K, shared.K, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.cost, shared.cost, rtol=1e-9)
    assert found.objective == pytest.approx(shared.objective, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1e-3, 0.3, 0.9])
@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (5, 2), (8, 4)])
def test_the_gradient_vanishes_beside_its_terms(dims: tuple[int, int], share: float) -> None:
    tasks = random_tasks(35, 5, *dims, radius=0.8, spread=0.15)
    rate = share * largest_adaptation_rate(tasks, optimal.shared_gain(tasks).K)
    found = optimal.meta_gain(tasks, rate)
    assert meta.is_maml_stabilising(tasks, found.K, rate)
    adapted = meta.adapted_gains(tasks, found.K, rate)
    after = lqr.gradient(tasks, adapted)
    terms = tasks.p @ np.linalg.norm(after - rate * lqr.hessian_vector_product(tasks, found.K, after), axis=(1, 2))
    assert np.linalg.norm(meta.gradient(tasks, found.K, rate)) < 1e-6 * terms
    assert found.gradient_norm <= 1e-8
    np.testing.assert_allclose(found.cost, lqr.cost(tasks, adapted), rtol=1e-12)
    assert found.objective == pytest.approx(tasks.p @ found.cost, rel=1e-12)


@pytest.mark.slow
@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 2), st.floats(0.01, 0.95))
def test_it_costs_no_more_than_the_best_single_gain_and_its_neighbours(
    seed: int, state_dim: int, action_dim: int, share: float
) -> None:
    tasks = random_tasks(seed, 3, state_dim, action_dim, radius=0.8, spread=0.15)
    shared = optimal.shared_gain(tasks).K
    rate = share * largest_adaptation_rate(tasks, shared)
    found = optimal.meta_gain(tasks, rate)
    assert found.objective <= meta.objective(tasks, shared, rate) * (1 + 1e-12)
    assert found.objective >= tasks.p @ optimal.optimal_gains(tasks).cost * (1 - 1e-10)
    for direction in np.random.default_rng(seed).standard_normal((10, *shared.shape)):
        nearby = found.K + 1e-3 * direction
        assert meta.objective(tasks, nearby, rate) >= found.objective * (1 - 1e-12)


@pytest.mark.parametrize("dims", [(1, 1), (4, 2)])
def test_a_single_task_stays_at_its_own_optimum(dims: tuple[int, int]) -> None:
    """The optimum does not move when it adapts, so that L(K*) = J*."""
    tasks = random_tasks(36, 1, *dims, radius=1.3)
    best = optimal.optimal_gains(tasks)
    found = optimal.meta_gain(tasks, 1e-3 / float(np.linalg.norm(best.P)))
    np.testing.assert_allclose(found.K, best.K[0], rtol=1e-6, atol=1e-8)
    assert found.objective == pytest.approx(best.cost[0], rel=1e-12)


@pytest.mark.parametrize("rate", [1e-5, 0.01, 0.1, 0.3])
def test_two_mirrored_scalar_tasks(rate: float) -> None:
    """a = ±1/2, b = q = r = ψ = 1: K* = 0 by symmetry, where J' = ∓16/9.

    With c = a - K, J = (1 + K²)/(1 - c²), and J' = (2K (1 - c²) - 2c (1 + K²))/(1 - c²)²: at K = 0 that is
    -2a/(1 - a²)² = ∓1/(9/16). After the adaptation K = ±16η/9 and c = ±(1/2 - 16η/9).
    """
    tasks = scalar_tasks([0.5, -0.5])
    found = optimal.meta_gain(tasks, rate)
    step = 16 / 9 * rate
    assert found.K[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert found.objective == pytest.approx((1 + step**2) / (1 - (0.5 - step) ** 2), rel=1e-12)


@pytest.mark.slow
def test_other_starts_in_its_valley_lead_to_it() -> None:
    tasks = random_tasks(37, 3, 4, 2, spread=0.2)
    rate = 0.3 * largest_adaptation_rate(tasks, optimal.shared_gain(tasks).K)
    reference = optimal.meta_gain(tasks, rate)
    for direction in np.random.default_rng(37).standard_normal((3, *reference.K.shape)):
        start = reference.K + 0.02 * direction
        assert meta.is_maml_stabilising(tasks, start, rate)
        other = optimal.meta_gain(tasks, rate, start=start)
        assert other.objective == pytest.approx(reference.objective, rel=1e-10)
        np.testing.assert_allclose(other.K, reference.K, atol=1e-6 * np.abs(reference.K).max())


# --- where no start at hand will do


@pytest.mark.slow
def test_a_start_is_found_where_every_gain_at_hand_overshoots() -> None:
    tasks, rate = random_tasks(1, 3, 4, 2, radius=0.9, spread=0.3), 0.2
    gains = [optimal.shared_gain(tasks).K, *candidate_gains(tasks).values()]
    assert not any(meta.is_maml_stabilising(tasks, gain, rate) for gain in gains)
    start = optimal.maml_stabilising_gain(tasks, rate)
    assert start.name == "the end of a continuation in the adaptation rate from 0"
    assert meta.is_maml_stabilising(tasks, start.K, rate)
    found = optimal.meta_gain(tasks, rate)
    assert found.gradient_norm <= 1e-8
    assert found.objective <= meta.objective(tasks, start.K, rate)


def test_tasks_without_a_common_gain_before_or_after_the_adaptation_are_refused() -> None:
    with pytest.raises(NoMamlStabilisingGainError, match="no gain is MAML-stabilising at the adaptation"):
        optimal.meta_gain(scalar_tasks([1.5, -0.3]), 0.1)
    with pytest.raises(NoCommonStabilisingGainError, match="no gain stabilises all tasks: task 0 needs K"):
        optimal.meta_gain(scalar_tasks([3.0, 1.0], [4.0, -1.0]), 1e-3)


def test_a_start_must_be_maml_stabilising() -> None:
    """|0.9 - K| < 1 and J'(0) = -2 · 0.9/0.19² = -49.9: the closed loop after the adaptation is 0.9 - 0.1 · 49.9."""
    tasks = scalar_tasks([0.5, 0.9])
    after = "start, after its adaptation with the gradient of the task, does not stabilise task 1 (spectral radius 4.08"
    with pytest.raises(UnstablePolicyError, match=re.escape(after)):
        optimal.meta_gain(tasks, 0.1, start=[[0.0]])
    with pytest.raises(UnstablePolicyError, match=re.escape("start does not stabilise task 1 (spectral radius 1.1)")):
        optimal.meta_gain(tasks, 0.1, start=[[-0.2]])
    with pytest.raises(ValueError, match=re.escape("start has shape (1,), expected (1, 1)")):
        optimal.meta_gain(tasks, 0.1, start=[0.0])
    with pytest.raises(ValueError, match=r"adaptation_rate: -1\.0 is not a finite number >= 0"):
        optimal.meta_gain(tasks, -1.0)


def test_a_descent_that_is_cut_short_is_no_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metalqr.optimal.meta.MAX_ITERATIONS", 1)
    tasks = random_tasks(39, spread=0.2)
    with pytest.raises(DescentError, match=r"meta-objective .* stopped after 1 steps .*; lower the adaptation rate"):
        optimal.meta_gain(tasks, 1e-4, start=np.zeros((2, 3)))

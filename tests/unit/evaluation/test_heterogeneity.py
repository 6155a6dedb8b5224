"""Distances between tasks against closed forms, a plain twin, and the inequalities of a metric."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import initial_state_tasks, random_tasks, scalar_tasks, semidefinite_tasks, stable_gain

from metalqr import lqr, optimal
from metalqr.evaluation.heterogeneity import bisimulation_distance, gradient_distance, matrix_distances
from metalqr.lqr import LQRTasks, UnstablePolicyError


def test_distances_of_matrices_are_the_largest_over_all_pairs() -> None:
    tasks = semidefinite_tasks(3, count=4)
    found = matrix_distances(tasks)
    assert list(found) == ["A", "B", "Q", "R", "Psi", "S"]
    for name, distance in found.items():
        matrices = getattr(tasks, name)
        pairs = [np.linalg.svd(one - other)[1][0] for one, other in combinations(matrices, 2)]
        assert distance == pytest.approx(max(pairs), rel=1e-12)
    assert set(matrix_distances(tasks.subset([1])).values()) == {0.0}


def test_gradients_at_the_best_single_gain_have_the_mean_zero() -> None:
    tasks = random_tasks(4, radius=0.6, spread=0.2)
    K = optimal.shared_gain(tasks).K
    largest = np.linalg.norm(lqr.gradient(tasks, K), axis=(1, 2)).max()
    assert gradient_distance(tasks, K) == pytest.approx(largest, rel=1e-6)
    other = stable_gain(tasks, 4)
    gradients = lqr.gradient(tasks, other)
    mean = sum(p * each for p, each in zip(tasks.p, gradients, strict=True))
    expected = max(np.linalg.norm(each - mean) for each in gradients)
    assert gradient_distance(tasks, other) == pytest.approx(expected, rel=1e-12)
    assert gradient_distance(tasks.subset([0]), other) == 0.0


def test_scalar_tasks_have_the_closed_form() -> None:
    a, q, psi = np.array([0.5, -0.3]), np.array([1.0, 4.0]), np.array([2.0, 0.5])
    tasks = scalar_tasks(a, q=q, psi=psi)
    square = (q * psi / (1 - a**2)).sum() - 2 * np.sqrt((q * psi).prod()) / (1 - a.prod())
    assert bisimulation_distance(tasks, [[0.0]]) == pytest.approx(np.sqrt(square), rel=1e-12)


def pairwise(tasks: LQRTasks, K: np.ndarray) -> dict[tuple[int, int], float]:
    return {pair: bisimulation_distance(tasks.subset(pair), K) for pair in combinations(range(tasks.count), 2)}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([random_tasks, semidefinite_tasks, initial_state_tasks]))
def test_it_is_a_pseudometric_that_bounds_the_difference_of_costs(seed: int, make: object) -> None:
    tasks = make(seed, 3)  # type: ignore[operator]
    K = stable_gain(tasks, seed)
    found, roots = pairwise(tasks, K), np.sqrt(lqr.cost(tasks, K))
    for one, other in found:
        assert abs(roots[one] - roots[other]) <= found[one, other] * (1 + 1e-9) + 1e-9
        assert found[one, other] <= roots[one] + roots[other] + 1e-9
    assert found[0, 2] <= (found[0, 1] + found[1, 2]) * (1 + 1e-9) + 1e-9
    assert bisimulation_distance(tasks, K) == pytest.approx(max(found.values()), rel=1e-9)


def test_the_same_task_twice_has_the_distance_zero() -> None:
    tasks = random_tasks(5).subset([1, 1])
    K = stable_gain(tasks, 5)
    assert bisimulation_distance(tasks, K) < 1e-6 * np.sqrt(lqr.cost(tasks, K).max())
    assert bisimulation_distance(tasks.subset([0]), K) == 0.0


def test_a_gain_that_does_not_stabilise_is_refused() -> None:
    with pytest.raises(UnstablePolicyError):
        bisimulation_distance(scalar_tasks([0.5, 0.9]), [[-0.5]])

import numpy as np
import pytest
from systems import random_tasks, scalar_tasks, similar_tasks

from metalqr import lqr, optimal
from metalqr.objectives import meta
from metalqr.theory import certificates


@pytest.mark.parametrize("rate", [0.0, 1e-3])
@pytest.mark.parametrize("seed", range(3))
def test_gains_near_an_optimum_have_a_certified_gap(seed: int, rate: float) -> None:
    tasks, rng = similar_tasks(seed, state_dim=2, action_dim=1), np.random.default_rng(seed)
    best = optimal.meta_gain(tasks, rate).K
    around = certificates.strong_convexity(tasks, best, rate)
    assert around.has_minimum
    least = meta.objective(tasks, best, rate)
    for _ in range(20):
        X = rng.standard_normal(best.shape)
        K = best + rng.uniform() * around.radius * X / np.linalg.norm(X)
        gap, slope = meta.objective(tasks, K, rate) - least, np.linalg.norm(meta.gradient(tasks, K, rate))
        assert gap <= slope**2 / (2 * around.modulus) * (1 + 1e-9) + 1e-12
        assert gap >= 0.5 * around.modulus * np.linalg.norm(K - best) ** 2 - 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_needs_the_gain_alone(seed: int) -> None:
    """Close to the optimum, which the certificate does not know."""
    tasks = random_tasks(seed, state_dim=2, action_dim=1, radius=0.7, spread=0.1)
    best = optimal.shared_gain(tasks)
    modulus = certificates.strong_convexity(tasks, best.K)
    K = best.K + 0.02 * modulus.radius
    found = certificates.strong_convexity(tasks, K)
    assert found.has_minimum
    assert np.linalg.norm(K - best.K) <= found.distance
    assert tasks.p @ (lqr.cost(tasks, K) - lqr.cost(tasks, best.K)) <= found.gap
    far = certificates.strong_convexity(tasks, np.zeros_like(K), radius=1e-6)
    assert far.gap == far.distance == np.inf


def test_the_modulus_of_scalar_tasks_is_the_least_second_derivative() -> None:
    rng = np.random.default_rng(0)
    a, b, q, r, psi = rng.uniform(-2, 2, 12), rng.uniform(-3, 3, 12), *rng.uniform(0.01, 3, (3, 12))
    tasks = scalar_tasks(a, b, q, r, psi)
    found = certificates.scalar_strong_convexity(tasks)
    loops = np.linspace(-1, 1, 5_003)[1:-1]
    for task, value in enumerate(found):
        gains = ((a[task] - loops) / b[task]).reshape(-1, 1, 1)
        # J'' of the library on a fine grid of all stabilising gains.
        curvature = lqr.hessian_matrix(lqr.tiled(tasks.subset([task]), len(gains)), gains)[:, 0, 0]
        assert value <= curvature.min() * (1 + 1e-9)
        assert curvature.min() == pytest.approx(value, rel=1e-3)


def test_the_local_modulus_of_a_scalar_task_is_below_the_second_derivative() -> None:
    tasks = scalar_tasks(a=0.9)
    found = certificates.strong_convexity(tasks, optimal.optimal_gains(tasks).K[0], radius=0.05)
    assert found.radius == 0.05
    assert 0 < found.modulus < lqr.hessian_matrix(tasks, optimal.optimal_gains(tasks).K[0])[0, 0, 0]


def test_a_scalar_task_without_input_and_other_sizes() -> None:
    # J = psi (q + r K²) / (1 - a²)
    assert certificates.scalar_strong_convexity(scalar_tasks(a=0.5, b=0.0, r=3.0))[0] == pytest.approx(6 / 0.75)
    with pytest.raises(ValueError, match="d = k = 1"):
        certificates.scalar_strong_convexity(random_tasks(0))

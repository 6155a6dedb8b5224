from typing import Any

import numpy as np
import pytest
from systems import random_tasks, scalar_tasks, similar_tasks, stable_gain

from metalqr import lqr, optimal
from metalqr.lqr import FloatArray
from metalqr.objectives import meta
from metalqr.systems.similar import Similar
from metalqr.theory import certificates
from metalqr.theory.certificates import ObjectiveCentre


def hessian(tasks: lqr.LQRTasks, K: FloatArray, rate: float) -> FloatArray:
    """The Hessian of the meta-objective as a matrix, a column for each direction."""
    found = meta.MetaDerivatives(tasks, K, rate)
    units = np.eye(K.size).reshape(-1, *K.shape)
    return np.array([found.hessian_vector_product(X).ravel() for X in units])


def gain_near_the_best(tasks: lqr.LQRTasks, seed: int, distance: float) -> FloatArray:
    """A share of the stability radius away from the best single gain: there adapted gains stabilise, too."""
    best = optimal.shared_gain(tasks).K
    X = np.random.default_rng([seed, 4]).standard_normal(best.shape)
    return np.asarray(best + distance * optimal.stability_margin(tasks, best).min() * X / np.linalg.norm(X))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_no_hessian_of_the_objective_on_the_ball_exceeds_the_bound(seed: int, rate: float) -> None:
    tasks = similar_tasks(seed, state_dim=2)
    K, rng = gain_near_the_best(tasks, seed, 0.05), np.random.default_rng(seed)
    centre = ObjectiveCentre(tasks, K, rate)
    radius = 0.01 * centre.stability_radius.min()
    found = centre.smoothness(radius)
    middle = centre.mean_hessian()
    assert np.isfinite(found.hessian)
    for _ in range(40):
        X = rng.standard_normal(K.shape)
        H = hessian(tasks, K + radius * X / np.linalg.norm(X), rate)
        assert np.linalg.norm(H, 2) <= found.hessian
        assert np.linalg.norm(H - middle, 2) <= found.variation


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_a_certified_step_decreases_the_objective_as_promised(seed: int, rate: float) -> None:
    """Exact steps, and wrong ones as long as the ball allows."""
    tasks, rng = random_tasks(seed, radius=0.8), np.random.default_rng(seed)
    K = gain_near_the_best(tasks, seed, 0.2)
    for _ in range(4):
        found, gradient = certificates.at(tasks, K, rate), meta.gradient(tasks, K, rate)
        before = meta.objective(tasks, K, rate)
        after = meta.objective(tasks, K - found.step_size * gradient, rate)
        assert before - after >= found.decrease(found.step_size) > 0
        for _ in range(10):
            X = rng.standard_normal(K.shape)
            direction = gradient + rng.uniform(0, 3) * np.linalg.norm(gradient) * X / np.linalg.norm(X)
            step = min(1 / found.smoothness, found.radius / float(np.linalg.norm(direction)))
            wrong = float(np.linalg.norm(direction - gradient))
            change = meta.objective(tasks, K - step * direction, rate) - before
            assert change <= -0.5 * step * (np.linalg.norm(gradient) ** 2 - wrong**2)
        K = K - found.step_size * gradient


def test_the_step_for_a_longer_direction_is_shorter() -> None:
    tasks = random_tasks(0, radius=0.8)
    K = stable_gain(tasks, 0) * 0.3
    exact = certificates.at(tasks, K)
    noisy = certificates.at(tasks, K, direction_norm=10 * exact.gradient_norm)
    assert 0 < noisy.step_size < exact.step_size
    assert noisy.step_size * 10 * exact.gradient_norm <= noisy.radius * (1 + 1e-12)


def test_at_an_optimum_the_step_is_the_inverse_of_the_hessian() -> None:
    """Nothing is followed there, so the ball may be as small as one likes."""
    tasks = scalar_tasks(a=0.8)
    K = optimal.optimal_gains(tasks).K[0]
    found = certificates.at(tasks, K)
    assert found.step_size == pytest.approx(1 / lqr.hessian_matrix(tasks, K)[0, 0, 0], rel=1e-3)


@pytest.mark.slow  # twenty states
@pytest.mark.parametrize(
    ("sizes", "settings", "rate", "paper"),
    [
        ((1, 1), {"spectral_radius": 0.9, "perturbed_share": 1.0, "perturbation_deviation": 0.1,
                  "smallest_eigenvalue": 0.5}, 1e-5, 1e-3),
        ((2, 2), {"spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25,
                  "smallest_eigenvalue": 0.1}, 1e-5, 1e-3),
        ((20, 10), {"spectral_radius": 0.8, "perturbed_share": 0.1, "perturbation_deviation": 0.25,
                    "smallest_eigenvalue": 0.1}, 1e-7, 1e-5),
    ],
)  # fmt: skip
def test_the_papers_learning_rates_are_certified_at_the_first_gain(
    sizes: tuple[int, int], settings: dict[str, Any], rate: float, paper: float
) -> None:
    tasks = Similar(Similar.Settings(**settings)).tasks(*sizes, seed=2025)
    K0 = np.zeros((sizes[1], sizes[0]))
    assert certificates.at(tasks, K0, rate).step_size >= 2 * paper


def test_an_unstable_gain_has_no_certificate() -> None:
    with pytest.raises(lqr.UnstablePolicyError):
        certificates.at(scalar_tasks(a=1.5), [[0.0]])


def test_a_decrease_is_promised_for_certified_steps_only() -> None:
    found = certificates.at(scalar_tasks(a=0.8), [[0.0]])
    with pytest.raises(ValueError, match="learning_rate"):
        found.decrease(1.1 / found.smoothness)
    with pytest.raises(ValueError, match="learning_rate"):
        found.decrease(found.step_size, error=10 * found.gradient_norm)

"""The parts of the sketch against step by step recursions, closed forms and the full prediction."""

import itertools

import numpy as np
import pytest
from systems import similar_tasks

from metalqr import LQRTasks, MetaSettings
from metalqr.advice.flow import follow
from metalqr.advice.fluctuations import Fluctuations
from metalqr.advice.noise import InnerTerms, rounded, terms
from metalqr.advice.sketch import Sketch, learning_rates
from metalqr.estimators import covariance
from metalqr.prediction.inner_noise import InnerNoise, as_outer
from metalqr.prediction.objective import Objective

TASKS = similar_tasks(seed=4, count=3, state_dim=2, action_dim=1)
K0 = np.zeros((1, 2))
ADAPTING = MetaSettings(
    learning_rate=1e-3, adaptation_rate=0.02, estimator="two_point", inner_estimator="one_point_baseline",
    inner_perturbations=8, inner_smoothing_radius=0.2, rollout_length=10,
)  # fmt: skip


def symmetric(rng: np.random.Generator, size: int) -> np.ndarray:
    root = rng.standard_normal((size, size))
    return np.asarray(root @ root.T)


def test_covariance_and_its_weights_are_those_of_single_steps() -> None:
    rng = np.random.default_rng(1)
    curvatures = [symmetric(rng, 3) / 5 for _ in range(2)]
    noise = np.stack([symmetric(rng, 3) for _ in range(2)])
    rates = np.full(20, 0.05)
    # The second point is passed after ten steps.
    found = Fluctuations(curvatures, np.array([0.0, 9.5 * 0.05]))
    S, parts = np.zeros((3, 3)), [int(end) for end in np.unique(np.geomspace(1, 20, 13).round())]
    for step, rate in enumerate(rates):
        end = next(end for end in parts if end > step)
        place = int(end - 1 >= 10)  # that of the last step of the part
        factor = np.eye(3) - rate * curvatures[place]
        S = factor @ S @ factor + rate**2 * noise[place]
    turned = found.bases.mT @ noise @ found.bases
    np.testing.assert_allclose(next(iter(found.covariances(rates, turned, [20]))), S, rtol=1e-10)
    target = symmetric(rng, 3)
    assert np.vdot(found.weights(rates, target), turned) == pytest.approx(np.vdot(target, S), rel=1e-10)


@pytest.mark.slow  # a fine integration to compare with
def test_flow_of_a_scalar_system_is_its_differential_equation() -> None:
    tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    settings = MetaSettings(learning_rate=1.0, adaptation_rate=0.0, rollout_length=10)
    objective = Objective(tasks, settings, 0.0, np.zeros((1, 1)))
    times = np.array([0.0, 0.1, 0.5, 2.0])
    found = follow(objective, np.zeros((1, 1)), times, 1.0)
    K, steps = np.zeros((1, 1)), 400
    reached = [K.item()]
    for first, last in itertools.pairwise(times):
        share = int(steps * (last - first) / times[-1])
        for _ in range(share):
            # The midpoint rule, whose error is far below the tolerance.
            half = K - 0.5 * (last - first) / share * objective.followed(K)
            K = K - (last - first) / share * objective.followed(half)
        reached.append(K.item())
    np.testing.assert_allclose(found.path.ravel(), reached, atol=2e-4)


@pytest.mark.parametrize("estimator", ["two_point", "one_point_baseline"])
@pytest.mark.parametrize("radius", [0.02, 0.3])
def test_noise_is_that_of_the_estimator(estimator: str, radius: float) -> None:
    settings = MetaSettings(
        learning_rate=1.0, adaptation_rate=0.0, method="mean_cost", estimator=estimator, perturbations=5,
        directions="orthogonal", rollout_length=10,
    )  # fmt: skip
    found = terms(TASKS, np.broadcast_to(K0, (1, 3, 1, 2)), settings)
    exact = covariance(TASKS, K0, settings.replace(smoothing_radius=radius), how="leading").matrix
    steep = found.steep[0][:, np.newaxis, np.newaxis] * np.eye(2) / radius**2
    np.testing.assert_allclose(steep + found.flat[0], exact, rtol=1e-8, atol=1e-9)


def test_inner_noise_is_that_of_the_prediction() -> None:
    objective = Objective(TASKS, ADAPTING, ADAPTING.adaptation_rate, K0)
    inner = InnerNoise(objective, ADAPTING)
    moments = inner.moments(K0)
    found = InnerTerms(objective, K0[np.newaxis], as_outer(ADAPTING))
    radii = np.array([ADAPTING.inner.radius])
    np.testing.assert_allclose(found.variance(8, radii)[0, 0], moments.variance, rtol=1e-8)
    assert found.share(8, radii).item() == pytest.approx(inner.share(K0), rel=1e-8)
    np.testing.assert_allclose(found.slope(8, radii)[0], inner.gradient(K0).ravel(), rtol=1e-2)
    # Twice the perturbations have half of the noise, to leading order.
    assert found.share(16, radii).item() == pytest.approx(0.5 * inner.share(K0), rel=1e-8)


def test_time_of_the_flow_is_that_of_discrete_steps() -> None:
    tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    sketch = Sketch(tasks, np.zeros((1, 1)), 0.0, 50, 10)
    rate = 0.5 * sketch.largest_step
    settings = MetaSettings(
        learning_rate=rate, adaptation_rate=0.0, method="mean_cost", estimator="two_point", iterations=6,
        rollout_length=10,
    )  # fmt: skip
    found, _ = sketch.losses(settings, sketch.schedules([learning_rates(settings)]), np.array([0.05]))
    objective = Objective(tasks, settings, 0.0, np.zeros((1, 1)))
    gains = [np.zeros((1, 1))]
    for _ in range(6):
        gains.append(gains[-1] - rate * objective.followed(gains[-1]))
    end = gains[-1]
    for _ in range(400):
        end = end - rate * objective.followed(end)
    left = [float(objective.values(K[np.newaxis]).item()) for K in (gains[-1], end)]
    start = float(objective.values(gains[0][np.newaxis]).item())
    # As a share of the way: the flow itself would leave (exp(-0.5) / 0.5)^(2 * 6), ten times as much.
    assert found.unfinished.item() < 2.5 * (left[0] - left[1]) / (start - left[1])


def test_short_rollouts_are_a_loss_of_the_horizon() -> None:
    a = np.array([0.9, 0.5])
    tasks = LQRTasks(A=a[:, None, None], B=[[[1.0]]] * 2, Q=[[[1.0]]] * 2, R=[[[1.0]]] * 2, Psi=[[[1.0]]] * 2)
    gains = np.linspace(0.0, 1.0, 100_001)
    costs = (1.0 + gains**2) / (1.0 - (a[:, np.newaxis] - gains) ** 2)
    best = costs.sum(axis=0).min() / costs.min(axis=1).sum() - 1.0
    settings = MetaSettings(
        learning_rate=1e-3, adaptation_rate=0.0, estimator="two_point", rollout_length=2, iterations=50
    )
    sketch = Sketch(tasks, np.zeros((1, 1)), 0.0, 50, 2)
    losses, _ = sketch.losses(settings, sketch.schedules([learning_rates(settings)]), np.array([0.1]))
    assert losses.tasks.item() == pytest.approx(best, rel=1e-6)
    assert losses.horizon.item() > 0.1 * best


def test_rounded_perturbations() -> None:
    assert [rounded(count) for count in (1, 9, 10, 13, 99, 2000, 1999)] == [1, 9, 10, 12, 80, 2000, 1500]

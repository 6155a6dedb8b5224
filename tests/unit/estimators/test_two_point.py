"""The two-point estimator in both layers of Algorithm 2, and estimators that are no weighted sum of the values."""

import functools

import numpy as np
import twins
from numpy.testing import assert_allclose
from systems import random_tasks
from test_estimators import SETTINGS

from metalqr import estimators, lqr, rollout
from metalqr.estimators.estimator import Estimator
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.estimators.two_point import TwoPoint
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.streams import Purpose, Stream

similar_tasks = functools.partial(random_tasks, radius=0.6, spread=0.2)
TWO_POINT = SETTINGS.replace(estimator="two_point")


class OneByOne(Estimator):
    """Two-point with values in hand, as an estimator does it that is no weighted sum."""

    signs = (1, -1)
    weights = None

    def coefficients(self, values, memory, tasks):
        return 0.5 * (values[:, 0] - values[:, 1]), memory


def test_inner_layer_estimates_the_gradient_averaged_over_the_ball():
    """Scalar tasks, as for one point. 4.5 sigma."""
    tasks, gain, r = similar_tasks(seed=1, count=3, state_dim=1, action_dim=1), np.array([[0.1]]), 0.1
    settings = TWO_POINT.replace(inner_perturbations=10_000)
    estimates = np.array([estimators.estimate_gradient(tasks, gain, settings, Stream(s)) for s in range(40)])
    high, low = (lqr.finite_horizon_cost(tasks, gain + step, settings.rollout_length) for step in (r, -r))
    twins.within(estimates, ((high - low) / (2 * r)).reshape(3, 1, 1))


def test_outer_layer_estimates_the_gradient_averaged_over_the_ball():
    """Perturbations on a circle: the exact expectation by the trapezoidal rule. 4.5 sigma."""
    tasks, gain = similar_tasks(seed=2, count=2, state_dim=2, action_dim=1), np.array([[0.1, -0.05]])
    settings = TWO_POINT.replace(perturbations=10_000)
    found = [estimate_mean_gradient(tasks, gain, settings, Stream(s)) for s in range(40)]
    assert found[0].rollout_steps == 2 * 2 * 10_000 * 7
    cost = lambda K: lqr.finite_horizon_cost(tasks, K, settings.rollout_length)  # noqa: E731
    exact = np.einsum("i,ikd->kd", tasks.p, twins.circle_average(cost, gain, settings.smoothing_radius))
    twins.within(np.array([each.gradient for each in found]), exact)


def test_value_of_the_cost_cancels():
    """Scalar tasks: the variance of one direction is (V(k + r) + V(k - r)) / 4r^2, to within 4.5 sigma of a variance.

    V is the variance of a rollout's cost, from rollouts of its own: its error is allowed for as well.
    """
    tasks, r, M, repeats = similar_tasks(seed=3, count=1, state_dim=1, action_dim=1), 0.1, 50, 4000
    settings = TWO_POINT.replace(inner_perturbations=M)
    estimates = np.array(
        [estimators.estimate_gradient(tasks, [[0.1]], settings, Stream(s)).item() for s in range(repeats)]
    )
    gains = np.array([0.1 + r, 0.1 - r]).repeat(400_000).reshape(1, -1, 1, 1)
    costs = rollout.costs(tasks, gains, settings.rollout_length, Stream(10**6)).reshape(2, -1)
    expected = costs.var(axis=1).sum() / (4 * r**2 * M)
    # A mean of M costs is nearly normal, so its variance has the relative error sqrt(2 / n).
    assert abs(estimates.var(ddof=1) / expected - 1) < 4.5 * np.sqrt(2 / repeats + 8 / 400_000)


def test_algorithm_2_over_two_points_step_by_step():
    """Both layers from plain twins: four values a perturbation in all."""
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    s, M = TWO_POINT.replace(perturbations=3, inner_perturbations=4), 3
    expected, scale = np.zeros((2, 3)), 6 / s.smoothing_radius**2
    for i in range(2):
        for m in range(M):
            U = twins.direction((2, 3), s.smoothing_radius, 0, M * i + m, stream.address(Purpose.PERTURBATION))
            for half, sign in enumerate((1, -1)):
                slot, policy = 2 * M * i + half * M + m, gain + sign * U
                gradient = np.zeros((2, 3))
                for n in range(4):
                    V = twins.inner_direction(
                        tasks, i, s.smoothing_radius, n, slot, stream.address(Purpose.INNER_PERTURBATION)
                    )
                    for inner, purpose in ((1, Purpose.INNER_ROLLOUT), (-1, Purpose.MIRRORED_INNER_ROLLOUT)):
                        address = stream.address(purpose)
                        cost = twins.rollout_cost(tasks, i, policy + inner * V, s.rollout_length, n, slot, address)
                        gradient += 0.5 * inner * scale * cost * V / 4
                adapted, address = policy - s.adaptation_rate * gradient, stream.address(Purpose.ROLLOUT)
                cost = twins.rollout_cost(tasks, i, adapted, s.rollout_length, 0, slot, address)
                expected += 0.5 * sign * tasks.p[i] * scale * cost * U / M
    estimate = estimators.estimate_with_counts(tasks, gain, s, stream)
    assert_allclose(estimate.gradient, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    assert estimate.rollout_steps == 2 * 2 * M * (2 * 4 + 1) * 7


def test_estimator_without_weights_estimates_the_same_in_the_inner_layer():
    """Values one by one, without the compiled sums: the mean over a circle, at two gains of each task. 4.5 sigma."""
    tasks = similar_tasks(seed=4, count=2, state_dim=2, action_dim=1)
    gains = np.array([[0.1, -0.05], [0.0, 0.05]]).reshape(1, 2, 1, 2).repeat(2, axis=0)
    simulator, every = LQRSimulator(tasks), np.arange(2)
    estimates = np.array([OneByOne(SETTINGS).gradients(simulator, gains, 2000, Stream(s), every) for s in range(40)])
    cost = lambda K: lqr.finite_horizon_cost(tasks, K, SETTINGS.rollout_length)  # noqa: E731
    exact = np.stack([twins.circle_average(cost, gains[0, n], SETTINGS.smoothing_radius) for n in range(2)], axis=1)
    twins.within(estimates, exact)


def test_estimator_without_weights_takes_the_directions_of_its_policies():
    """One policy, one direction, by twins; and the compiled sums differ, for their directions are turned."""
    tasks, gain, stream = random_tasks(seed=7, count=1, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    r, length = SETTINGS.smoothing_radius, SETTINGS.rollout_length
    found = OneByOne(SETTINGS).gradients(LQRSimulator(tasks), gain[None, None], 1, stream, np.arange(1))[0, 0]
    U = twins.direction((2, 3), r, 0, 0, stream.address(Purpose.INNER_PERTURBATION))
    costs = [
        twins.rollout_cost(tasks, 0, gain + sign * U, length, 0, slot, stream.address(Purpose.INNER_ROLLOUT))
        for slot, sign in enumerate((1, -1))
    ]
    assert_allclose(found, 6 / r**2 * 0.5 * (costs[0] - costs[1]) * U, rtol=1e-10)
    compiled = TwoPoint(SETTINGS).gradients(LQRSimulator(tasks), gain[None, None], 1, stream, np.arange(1))[0, 0]
    assert not np.allclose(found, compiled)

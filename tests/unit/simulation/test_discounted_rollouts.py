"""Discounted costs of rollouts: against a plain loop with the weights, and the exact cost of the twin."""

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal
from systems import initial_state_tasks, random_tasks

from metalqr import lqr
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.streams import Purpose, Stream

STREAM = Stream(8, iteration=5)
#: With cross terms, singular initial states and a mean.
TASKS = initial_state_tasks(1, 3, 2, 1)
GAINS = 0.3 * np.random.default_rng(3).standard_normal((3, 6, 1, 2))


def test_costs_are_those_of_a_plain_loop_with_the_weights() -> None:
    simulator, address = LQRSimulator(TASKS), STREAM.address(Purpose.ROLLOUT)
    for discount in (0.9, 0.25, 0.9, 1.0):  # one after the other, by the same simulator
        expected = [
            [twins.rollout_cost(TASKS, i, GAINS[i, m], 20, 0, 6 * i + m, address, discount) for m in range(6)]
            for i in range(3)
        ]
        assert_allclose(simulator.costs(GAINS, 20, STREAM, discount=discount), expected, rtol=1e-10)


def test_an_unstable_plant_has_the_weights_too() -> None:
    """Radius 1.6: the plain costs of 60 steps grow to 1e24, the discounted ones settle."""
    tasks = TASKS.replace(A=1.6 * TASKS.A / lqr.spectral_radius(TASKS, np.zeros((1, 2)))[:, np.newaxis, np.newaxis])
    gains, address = np.zeros((3, 1, 1, 2)), STREAM.address(Purpose.ROLLOUT)
    expected = [[twins.rollout_cost(tasks, i, gains[i, 0], 60, 0, i, address, 0.3)] for i in range(3)]
    assert_allclose(LQRSimulator(tasks).costs(gains, 60, STREAM, discount=0.3), expected, rtol=1e-9)


def test_the_mean_is_the_finite_horizon_cost_of_the_twin() -> None:
    """The exact twin has sqrt(discount) A and sqrt(discount) B; 4.5 standard errors."""
    discount, length, root = 0.8, 25, np.sqrt(0.8)
    gain = np.array([[0.1, -0.05]])
    gains = np.broadcast_to(gain, (3, 20_000, 1, 2))
    exact = lqr.finite_horizon_cost(TASKS.replace(A=root * TASKS.A, B=root * TASKS.B), gain, length)
    costs = LQRSimulator(TASKS).costs(gains, length, STREAM, discount=discount)
    twins.within(costs.T, exact)
    # The plain cost is another one.
    assert (np.abs(lqr.finite_horizon_cost(TASKS, gain, length) / exact - 1) > 0.05).all()


def test_members_that_share_noise_share_it_with_a_discount() -> None:
    simulator, pairs = LQRSimulator(TASKS), np.concatenate([GAINS[:, :3], GAINS[:, :3]], axis=1)
    costs = simulator.costs(pairs, 9, STREAM, sharing=2, discount=0.5)
    assert_array_equal(costs[:, :3], costs[:, 3:])


@pytest.mark.parametrize("discount", [0.0, -0.5, 1.5, float("nan")])
def test_a_discount_out_of_range_is_refused(discount: float) -> None:
    with pytest.raises(ValueError, match=rf"^discount: {discount} is not in \(0, 1\]$"):
        LQRSimulator(TASKS).costs(GAINS, 3, STREAM, discount=discount)


def test_process_noise_has_no_discount() -> None:
    tasks = random_tasks(1, 3, 2, 1)
    with pytest.raises(ValueError, match=r"^discount: 0\.5 needs tasks with noise: initial_state, or 1$"):
        LQRSimulator(tasks).costs(GAINS, 3, STREAM, discount=0.5)

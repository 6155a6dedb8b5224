"""Rollouts of tasks with cross terms and singular covariances: against a plain twin, and the exact mean."""

import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose
from systems import Array, initial_state_tasks, semidefinite_tasks

from metalqr import LQRTasks, MetaSettings, lqr, rollout
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.simd.coordinates import simulation_tasks
from metalqr.simulation.simulator import WeightedDirections
from metalqr.simulation.streams import Purpose, Stream


def _some_gains(tasks: LQRTasks, count: int) -> Array:
    rng = np.random.default_rng(3)
    return 0.05 * rng.standard_normal((tasks.count, count, tasks.action_dim, tasks.state_dim))


def _in_other_units(tasks: LQRTasks, units: Array) -> LQRTasks:
    """The same tasks with x = units * x_new."""
    rows = units[:, np.newaxis]
    return LQRTasks(
        tasks.A * units / rows,
        tasks.B / rows,
        tasks.Q * units * rows,
        tasks.R,
        tasks.Psi / units / rows,
        tasks.Sigma0 / units / rows,
        tasks.p,
        S=tasks.S * rows,
    )


def test_the_noise_has_the_largest_rank_of_the_tasks() -> None:
    tasks = semidefinite_tasks(1, 3, 4, 2)
    assert np.linalg.matrix_rank(tasks.Psi).tolist() == [3, 2, 1]
    simulated = simulation_tasks(tasks)
    assert simulated.noise_map is not None
    assert simulated.noise_map.shape == (3, 3, 4)
    without = simulation_tasks(tasks.replace(Psi=np.zeros((3, 4, 4))))
    assert without.noise_map is not None
    assert without.noise_map.shape == (3, 0, 4)
    # Of a singular initial state alone nothing is known of the noise: its coordinates stay.
    definite = tasks.replace(Psi=np.stack([np.eye(4)] * 3))
    assert simulation_tasks(definite).noise_map is None


@pytest.mark.parametrize("dims", [(2, 1), (3, 2), (7, 4)])
def test_costs_agree_with_the_plain_twin(dims: tuple[int, int]) -> None:
    length, stream = 13, Stream(8, iteration=5)
    singular = semidefinite_tasks(1, 3, *dims)
    gains, address = _some_gains(singular, 5), stream.address(Purpose.ROLLOUT)
    for tasks in (singular, singular.replace(Psi=np.zeros_like(singular.Psi)), initial_state_tasks(1, 3, *dims)):
        expected = [
            [twins.rollout_cost(tasks, i, gains[i, m], length, 0, 5 * i + m, address) for m in range(5)]
            for i in range(3)
        ]
        assert_allclose(rollout.costs(tasks, gains, length, stream), expected, rtol=1e-9)


@pytest.mark.parametrize("precision", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_units_of_the_states_decide_nothing(precision: str) -> None:
    tasks, stream = semidefinite_tasks(1, 3, 3, 2), Stream(8)
    units, gains = 10.0 ** np.array([-4.0, 0.0, 5.0]), _some_gains(semidefinite_tasks(1, 3, 3, 2), 5)
    expected = rollout.costs(tasks, gains, 13, stream, precision=precision)
    found = rollout.costs(_in_other_units(tasks, units), gains * units, 13, stream, precision=precision)
    assert_allclose(found, expected, rtol=1e-9 if precision == "float64" else 1e-3)


def test_a_long_rollout_has_its_noise_in_several_parts() -> None:
    """More steps than the noise is made for at a time, with numbers that do not fill whole blocks in a step."""
    tasks, stream = semidefinite_tasks(4, 2, 7, 4), Stream(2)
    gains = _some_gains(tasks, 1)
    address = stream.address(Purpose.ROLLOUT)
    expected = [[twins.rollout_cost(tasks, i, gains[i, 0], 150, 0, i, address)] for i in range(2)]
    assert_allclose(rollout.costs(tasks, gains, 150, stream), expected, rtol=1e-9)


def test_cross_terms_need_no_other_noise() -> None:
    tasks, stream = semidefinite_tasks(1, 2, 3, 2), Stream(8)
    tasks = tasks.replace(Psi=np.stack([np.eye(3), np.diag([1.0, 2.0, 3.0])]))
    gains = _some_gains(tasks, 3)
    address = stream.address(Purpose.ROLLOUT)
    expected = [[twins.rollout_cost(tasks, i, gains[i, m], 9, 0, 3 * i + m, address) for m in range(3)] for i in (0, 1)]
    assert_allclose(rollout.costs(tasks, gains, 9, stream), expected, rtol=1e-11)


#: Compiled apart from the others.
INITIAL_STATES = pytest.param(initial_state_tasks(2, 2, 2, 1), marks=pytest.mark.slow, id="initial_state")


@pytest.mark.parametrize("tasks", [semidefinite_tasks(2, 2, 2, 1), semidefinite_tasks(2, 2, 3, 2), INITIAL_STATES])
def test_smoothed_gradients_agree_with_the_plain_twin(tasks: LQRTasks) -> None:
    """Algorithm 1 draws W = V'UO and uses WH: true for every T, also where it has nothing to do with the noise."""
    stream = Stream(8, iteration=5)
    gains, radius, length, count = _some_gains(tasks, 3), 0.1, 6, 10
    found = LQRSimulator(tasks).weighted_directions(gains, WeightedDirections(count, radius), length, stream)
    chosen = MetaSettings(
        learning_rate=1.0,
        adaptation_rate=1.0,
        inner_perturbations=count,
        smoothing_radius=radius,
        rollout_length=length,
    )
    for i in range(2):
        for p in range(3):
            expected = twins.inner_estimate(tasks, i, gains[i, p], chosen, 3 * i + p, stream)
            assert_allclose(found[i, p], expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


@pytest.mark.slow
def test_a_million_rollouts_from_random_states_have_the_finite_horizon_cost() -> None:
    tasks, length = initial_state_tasks(4, 3, 2, 1), 20
    gain = np.full((1, 2), 0.05)
    gains = np.broadcast_to(gain, (3, 100_000, 1, 2))
    costs = np.concatenate([rollout.costs(tasks, gains, length, Stream(3, part)) for part in range(10)], axis=1)
    exact = lqr.finite_horizon_cost(tasks, gain, length)
    assert (np.abs(costs.mean(axis=1) - exact) < 4.5 * costs.std(axis=1) / 1e3).all()
    assert_allclose(costs.std(axis=1), np.sqrt(lqr.rollout_variance(tasks, gain, length)), rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [(2, 1), (4, 2)])
def test_a_million_rollouts_have_the_finite_horizon_cost(dims: tuple[int, int]) -> None:
    """Every task's mean within 4.5 standard errors of the exact mean (two-sided, 7e-6 each)."""
    tasks, length = semidefinite_tasks(4, 3, *dims), 20
    gain = np.full(dims[::-1], 0.05)
    gains = np.broadcast_to(gain, (3, 100_000, *gain.shape))
    costs = np.concatenate([rollout.costs(tasks, gains, length, Stream(3, part)) for part in range(10)], axis=1)
    exact, error = lqr.finite_horizon_cost(tasks, gain, length), costs.std(axis=1) / 1e3
    assert (np.abs(costs.mean(axis=1) - exact) < 4.5 * error).all()
    assert (error < 5e-3 * exact).all()
    deviation = np.sqrt(lqr.rollout_variance(tasks, gain, length))
    assert_allclose(costs.std(axis=1), deviation, rtol=0.02)

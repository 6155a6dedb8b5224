"""Simulators from a function for one step: against plain NumPy, exact expected costs, and what bad ones get."""

import math
import pickle
from typing import Any

import numba
import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal

from metalqr import LQRTasks, lqr
from metalqr.simulation.simulator import Array
from metalqr.simulation.streams import round_keys
from metalqr.simulation.user.step_rollouts import advance
from metalqr.simulation.user.steps import StepSimulator


class Swing(StepSimulator):
    """Two states, two noises, one of which multiplies."""

    state_dim, action_dim = 2, 1
    initial_mean, initial_deviation = (0.1, 0.0), (0.5, 0.2)
    noise = (0.3, 0.05)
    Q, R = ((2.0, 0.5), (0.5, 1.0)), 0.1

    def __init__(self, rate: float = 0.1, friction: float = 0.4) -> None:
        self.parameters = (rate, friction)

    @staticmethod
    def step(x: Any, u: Any, w: Any, parameters: Any) -> Any:
        rate, friction = parameters
        force = u[0] * (1.0 + w[1]) - math.sin(x[0]) - friction * x[1] + w[0]
        return x[0] + rate * x[1], x[1] + rate * force


class Linear(StepSimulator):
    """Three states, two actions, and a noise for each state."""

    state_dim, action_dim = 3, 2
    initial_deviation = noise = (0.3, 0.1, 0.2)
    Q = np.diag([1.0, 2.0, 3.0]) + 0.5
    R = np.diag([1.0, 0.5]) - 0.2

    @staticmethod
    def step(x: Any, u: Any, w: Any, parameters: Any) -> Any:
        return (
            0.9 * x[0] + 0.2 * x[1] + u[0] + w[0],
            0.8 * x[1] - 0.1 * x[2] + 0.5 * u[1] + w[1],
            0.3 * x[0] + 0.7 * x[2] + u[1] + w[2],
        )


A = np.array([[0.9, 0.2, 0.0], [0.0, 0.8, -0.1], [0.3, 0.0, 0.7]])
B = np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 1.0]])
SEEDS = np.array([0, 1, 2**32 - 1, 2**32, 2**53 - 1, *range(100, 120)])
GAINS = np.random.default_rng(1).normal(scale=0.5, size=(len(SEEDS), 1, 2))


def normals(seed: int, is_noise: bool, count: int) -> Array:
    """Counters 1 and 2 are the halves of the seed, counter 3 tells the initial state from the noise."""
    address = np.array([int(is_noise), *round_keys(15, 0)])
    return twins.normals(count, seed % 2**32, seed // 2**32, address)


def plain_cost(simulator: Swing, K: Array, length: int, seed: int, discount: float | None = None) -> float:
    """One rollout in plain Python."""
    x = simulator.initial_mean + np.array(simulator.initial_deviation) * normals(seed, False, 2)
    w = np.array(simulator.noise) * normals(seed, True, 2 * length).reshape(length, 2)
    total = 0.0
    for t in range(length):
        u = -K @ x
        weight = 1 / length if discount is None else discount**t
        total += weight * float(x @ np.array(simulator.Q) @ x + simulator.R * u @ u)
        x = np.array(simulator.step(x, u, w[t] if discount is None else 0 * w[t], simulator.parameters))
    return total


@pytest.mark.slow
@pytest.mark.parametrize("discount", [None, 1.0, 0.8])
@pytest.mark.parametrize("length", [1, 16, 37])
def test_costs_are_those_of_plain_python(length: int, discount: float | None) -> None:
    simulator = Swing()
    expected = [plain_cost(simulator, K, length, seed, discount) for K, seed in zip(GAINS, SEEDS.tolist(), strict=True)]
    assert_allclose(simulator.costs(GAINS, length, SEEDS, discount), expected, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["process", "initial_state"])
def test_costs_of_a_linear_system_have_the_exact_mean(noise: str) -> None:
    """Of 20 000 rollouts, within 4.5 standard errors.

    The cost of tasks with process noise counts x_1, ..., x_l; from x_0 = 0, x_1 is distributed as our x_0 is.
    """
    K = np.array([[0.4, 0.1, 0.0], [0.1, 0.2, 0.3]])
    covariance = np.diag(np.square(Linear.noise))[np.newaxis]
    with_noise = noise == "process"
    tasks = LQRTasks(
        A[np.newaxis],
        B[np.newaxis],
        Linear.Q[np.newaxis],
        Linear.R[np.newaxis],
        covariance if with_noise else None,
        0 * covariance if with_noise else covariance,
        noise=noise,
    )
    exact = lqr.finite_horizon_cost(tasks, K, length=30)
    gains = np.broadcast_to(K, (20_000, 2, 3))
    found = Linear().costs(gains, 30, np.arange(20_000), None if with_noise else 1.0)
    twins.within(found, exact)


@pytest.mark.slow
def test_bits_depend_on_gain_and_seed_alone() -> None:
    simulator = Swing()
    whole = simulator.costs(GAINS, 50, SEEDS)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert_array_equal(simulator.costs(GAINS, 50, SEEDS), whole)
    finally:
        numba.set_num_threads(threads)
    order = np.random.default_rng(2).permutation(len(SEEDS))
    assert_array_equal(simulator.costs(GAINS[order], 50, SEEDS[order]), whole[order])
    for part in (slice(0, 1), slice(3, 4), slice(4, 21)):
        assert_array_equal(simulator.costs(GAINS[part], 50, SEEDS[part]), whole[part])
    assert len(set(whole)) == len(whole)


@pytest.mark.slow
def test_simulators_of_a_class_share_compiled_code() -> None:
    first = Swing().costs(GAINS, 5, SEEDS)
    before = advance.cache_info().misses
    again = pickle.loads(pickle.dumps(Swing(rate=0.3)))
    assert not np.array_equal(again.costs(GAINS, 5, SEEDS), first)
    assert advance.cache_info().misses == before


@pytest.mark.slow
def test_a_lost_rollout_costs_infinitely_much_and_its_neighbours_what_they_did() -> None:
    class Limited(Swing):
        @staticmethod
        def is_lost(x: Any, parameters: Any) -> bool:
            return abs(x[0]) > 0.8

    lost, free = Limited().costs(GAINS, 10, SEEDS), Swing().costs(GAINS, 10, SEEDS)
    # Also at the first state, but not at the one after the last step that costs.
    angles = [[0.1 + 0.5 * normals(seed, False, 1)[0]] for seed in SEEDS.tolist()]
    assert np.all(np.isinf(lost) >= (np.abs(angles).ravel() > 0.8))
    assert 0 < np.isinf(lost).sum() < len(SEEDS)
    assert_array_equal(lost[np.isfinite(lost)], free[np.isfinite(lost)])
    assert_array_equal(Limited().costs(GAINS, 1, SEEDS) == np.inf, np.abs(angles).ravel() > 0.8)
    assert_array_equal(Limited().costs(GAINS, 10, SEEDS, 1.0), Swing().costs(GAINS, 10, SEEDS, 1.0))


@pytest.mark.slow
def test_an_overflow_is_a_result_and_own_stage_costs_and_no_noise_are_possible() -> None:
    class Growing(StepSimulator):
        state_dim, action_dim = 1, 1
        initial_mean, initial_deviation = 1.0, 0.0
        parameters = (2.0,)

        @staticmethod
        def step(x: Any, u: Any, w: Any, parameters: Any) -> Any:
            return (parameters[0] * x[0] + u[0],)

        @staticmethod
        def stage_cost(x: Any, u: Any, parameters: Any) -> Any:
            return x[0] / (x[0] - 8.0)  # of no state that a stable gain reaches

    gains = np.array([[[0.0]], [[2.0]], [[1.0]]])
    # The states 1, 2, 4, 8; then 1, 0, 0, 0; then 1, 1, 1, 1.
    assert_allclose(Growing().costs(gains, 4, np.arange(3)), [np.inf, -1 / 28, -1 / 7])
    assert_allclose(Growing().costs(gains[:1], 3, [5]), (-1 / 7 - 1 / 3 - 1) / 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_in_a_step_is_one_of_the_call() -> None:
    class Raising(Swing):
        @staticmethod
        def step(x: Any, u: Any, w: Any, parameters: Any) -> Any:
            if abs(x[0]) > 0.8:
                raise ValueError("too far")
            return x[0], x[1]

    with pytest.raises(ValueError, match="a function of Raising raised an exception; let stage_cost"):
        Raising().costs(GAINS, 3, SEEDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gains": GAINS[:, :, :1]}, r"gains have shape \(25, 1, 1\), expected \(n, 1, 2\)"),
        ({"gains": GAINS[0]}, r"gains have shape \(1, 2\), expected \(n, 1, 2\)"),
        ({"seeds": SEEDS[:3]}, "seeds: 3 for 25 gains; give one for each"),
        ({"seeds": SEEDS + 2**53}, r"seeds: 9007199254740992 is not a whole number from 0 to 2\^53 - 1"),
        ({"seeds": SEEDS - 1}, "seeds: -1 is not a whole number from 0"),
        ({"seeds": SEEDS * 1.0}, r"seeds are an array of float64 of shape \(25,\); give whole numbers, one for each"),
        ({"length": 0}, "length: 0 is not a whole number >= 1"),
        ({"discount": 1.5}, r"discount: 1.5 is not in \(0, 1\]"),
        ({"discount": math.nan}, r"discount: nan is not in \(0, 1\]"),
    ],
)
def test_arguments_are_checked(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"gains": GAINS, "length": 5, "seeds": SEEDS}
    with pytest.raises(ValueError, match=message):
        Swing().costs(**{**arguments, **changes})


def three_states(x: Any, u: Any, w: Any, parameters: Any) -> Any:
    return x[0], x[1], x[0]


def one_number(x: Any, u: Any, w: Any, parameters: Any) -> Any:
    return x[0]


def with_an_integer(x: Any, u: Any, w: Any, parameters: Any) -> Any:
    return x[0], 0


def without_parameters(x: Any, u: Any, w: Any) -> Any:
    return x[0], x[1]


def with_a_helper(x: Any, u: Any, w: Any, parameters: Any) -> Any:
    return one_number(x, u, w, parameters), x[1]


def two_costs(x: Any, u: Any, parameters: Any) -> Any:
    return x


def a_number(x: Any, parameters: Any) -> Any:
    return x[0]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"step": three_states}, "Mine.step returns 3 numbers, but state_dim is 2; return a tuple of the next states"),
        ({"step": one_number}, "Mine.step returns float64, but state_dim is 2; return a tuple"),
        ({"step": with_an_integer}, r"Mine.step returns Tuple\(.*\), but states are float64; write 0.0 in place of 0"),
        (
            {"step": without_parameters},
            r"Mine.step\(x, u, w, parameters\) cannot be compiled: .*4 argument types",
        ),
        ({"step": with_a_helper}, r"(?s)cannot be compiled: Untyped global name 'one_number'.*needs @numba.njit"),
        ({"stage_cost": two_costs}, r"Mine.stage_cost returns UniTuple\(.*\); return one number"),
        ({"is_lost": a_number}, "Mine.is_lost returns float64; return True or False"),
        ({"initial_mean": (0.0,) * 3}, r"Mine.initial_mean has shape \(3,\), expected \(2,\)"),
        ({"action_dim": 0}, "Mine.action_dim: 0 is not a whole number >= 1"),
        ({"Q": np.eye(3)}, r"Mine.Q has shape \(3, 3\), expected \(2, 2\)"),
        ({"noise": (0.1, math.nan)}, "Mine.noise holds a value that is not finite"),
        ({"noise": ((0.1, 0.2),)}, r"Mine.noise has shape \(1, 2\), expected \(2,\)"),
    ],
)
def test_a_wrong_class_is_told_what_to_write(attributes: dict[str, Any], message: str) -> None:
    kind: Any = type("Mine", (Swing,), attributes)
    with pytest.raises(ValueError, match=message):
        kind().costs(GAINS, 5, SEEDS)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "Mine has no state_dim; write state_dim = 2 in the class"),
        ({"state_dim": 2, "action_dim": 1}, "Mine has no initial_deviation; write initial_deviation = 0.1"),
        ({"state_dim": 2, "action_dim": 1, "initial_deviation": 0.1}, r"Mine has no step; write a function step\(x, u"),
    ],
)
def test_an_incomplete_class_is_told_what_is_missing(attributes: dict[str, Any], message: str) -> None:
    kind: Any = type("Mine", (StepSimulator,), attributes)
    with pytest.raises(ValueError, match=message):
        kind().costs(GAINS, 5, SEEDS)

"""Discount annealing: its parts on a scalar plant whose costs are known, and as a whole on unstable tasks."""

import re
from typing import Any

import numpy as np
import pytest
from systems import Array, semidefinite_tasks

from metalqr import lqr, optimal
from metalqr.config.registries import families
from metalqr.initial_gains.annealed import Annealed, from_random_states
from metalqr.initial_gains.annealing import LONGEST, SEARCH_ACCURACY, WITHOUT_MODEL, Annealing, AnnealingError
from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError
from metalqr.simulation.simulator import Tasks
from metalqr.simulation.streams import Purpose, Stream, Use
from metalqr.systems.initial_gain import InitialGainError, read_gain


class Scalars:
    """Plants x' = a x + u from x_0 = 1, with weights of 1: the costs are geometric sums, and nothing is random."""

    replays_noise = True
    state_dim = action_dim = 1

    def __init__(self, *a: float) -> None:
        self.a, self.count = np.array(a), len(a)
        self.addresses: set[tuple[int, Use, Purpose]] = set()
        self.lengths: set[int] = set()

    def costs(
        self,
        gains: Array,
        length: int,
        stream: Stream,
        *,
        tasks: Tasks,
        purpose: Purpose,
        sharing: int = 1,
        discount: float = 1.0,
    ) -> Array:
        self.addresses.add((stream.iteration, stream.use, purpose))
        self.lengths.add(length)
        assert sharing == (2 if purpose == Purpose.INNER_ROLLOUT else 1)
        K = gains[..., 0, 0]
        ratio = discount * (self.a[tasks, np.newaxis] - K) ** 2
        powers = ratio[..., np.newaxis] ** np.arange(length)
        return np.asarray((1 + K**2) * powers.sum(axis=-1))


def annealing(simulator: Any, seed: int = 0, **changes: Any) -> Annealing:
    return Annealing(simulator, Annealed.Settings(**changes), seed)


ZERO = np.zeros((1, 1))


# Rollouts of 2 l steps cost 1 + q^l times as much as those of l, where the cost of a step falls by q.
@pytest.mark.parametrize(
    ("a", "length", "expected"),
    [
        ((0.9,), 100, 1.0),
        ((1.9,), 100, 0.25),  # q = 0.9025
        ((1.99,), 100, 0.125),  # q = 0.990 at 0.25, too slow for 100 steps
        ((1.99,), 1000, 0.25),
        ((0.9, 1.9), 100, 0.25),
        ((1e8,), 100, 2.0**-54),  # the costs overflow at first
    ],
)
def test_the_first_discount_is_halved_until_the_costs_are_finite(
    a: tuple[float, ...], length: int, expected: float
) -> None:
    assert annealing(Scalars(*a), rollout_length=length).first_discount(ZERO) == expected


def test_a_plant_that_no_discount_tames_is_named() -> None:
    with pytest.raises(AnnealingError, match=r"zero finite, that of task 1 is the largest at 4\.34e-19; write stab"):
        annealing(Scalars(0.5, 1e12)).first_discount(ZERO)


@pytest.mark.parametrize("multiple", [2.0, 8.0])
def test_the_search_finds_the_discount_at_which_the_cost_is_the_multiple(multiple: float) -> None:
    a, discount = 1.5, 0.3
    # 1 / (1 - a^2 g) of endless rollouts; at 1000 steps nothing is left of the rest.
    expected = (1 - (1 - a**2 * discount) / multiple) / a**2
    found = annealing(Scalars(a), multiple=multiple, rollout_length=1000).raised(ZERO, discount)
    assert found <= expected <= found * (1 + SEARCH_ACCURACY)


def test_the_search_ends_at_one() -> None:
    # The costs are 1 / (1 - 0.81 g): 1.68 at 0.5 and 5.26 at 1.
    assert annealing(Scalars(0.9), multiple=3.2).raised(ZERO, 0.5) == 1.0
    assert annealing(Scalars(0.9), multiple=3.1).raised(ZERO, 0.5) < 1.0


def test_a_descent_ends_at_the_minimum() -> None:
    a, discount = 1.5, 0.4
    scaled = np.sqrt(discount) * np.ones((1, 1, 1))
    one = np.ones((1, 1, 1))
    expected = optimal.optimal_gains(LQRTasks(a * scaled, scaled, one, one, one)).K[0]
    found = annealing(Scalars(a), gap=1e-12).descend(ZERO, discount)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_gradient_is_that_of_the_mean_over_the_tasks() -> None:
    part = annealing(Scalars(0.5, 0.9))
    K, step = np.full((1, 1), 0.2), 1e-5
    expected = (part.costs(K + step, 0.7).mean() - part.costs(K - step, 0.7).mean()) / (2 * step)
    np.testing.assert_allclose(part.gradient(K, 0.7), [[expected]], rtol=1e-6)


def test_every_round_has_numbers_of_its_own() -> None:
    simulator = Scalars(1.5)
    K = annealing(simulator).gain()
    assert abs(1.5 - K) < 1
    rounds = {iteration for iteration, _, _ in simulator.addresses}
    assert rounds == set(range(len(rounds)))
    assert len(rounds) > 2
    assert {use for _, use, _ in simulator.addresses} == {Use.ANNEALING}


def test_rollouts_too_short_for_the_last_discount_are_doubled() -> None:
    """The best gain for two steps, K = a / 2 as it happens, leaves a - K = 0.9: 1 + 0.9^4 is more than 1.1."""
    simulator = Scalars(1.8)
    K = annealing(simulator, rollout_length=2).gain()
    assert {4, 8} < simulator.lengths
    # The optimum of endless rollouts has a - K = 0.4.
    assert abs(1.8 - K) < 0.5


def test_rounds_that_do_not_suffice_say_how_far_they_came() -> None:
    with pytest.raises(AnnealingError) as caught:
        annealing(Scalars(0.5, 1.5), rounds=1).gain()
    message = str(caught.value)
    assert message.startswith("initial_gain: annealed: rounds: 1 ended at a discount of 0.64")
    assert ", not 1; without one, task 1 costs more than a million times as much, " in message
    assert "; write stabilising, " in message


def test_rollouts_whose_costs_never_fade_end_the_search() -> None:
    """As those of a nonlinear plant that has fallen and lies there."""

    class Fallen(Scalars):
        def costs(self, gains: Array, length: int, stream: Stream, *, discount: float = 1.0, **options: Any) -> Array:
            self.lengths.add(length)
            return np.asarray((1 + gains[..., 0, 0] ** 2) * (discount ** np.arange(length)).sum())

    simulator = Fallen(1.0)
    search = Annealing(simulator, Annealed.Settings(rollout_length=10), 0, WITHOUT_MODEL)
    with pytest.raises(AnnealingError) as caught:
        search.gain()
    assert max(simulator.lengths) == 2 * 10 * LONGEST
    message = str(caught.value)
    assert re.match(r"initial_gain: annealed: round \d+ ended at a discount of 1, but rollouts of 5120 steps", message)
    assert message.endswith("; start from initial states nearer to the equilibrium, lower multiple, or give a gain")


def test_the_plants_start_from_random_states_of_full_rank() -> None:
    tasks = semidefinite_tasks(1, 3, 3, 2)
    tasks = tasks.replace(Sigma0=np.stack([np.diag([1.0, 2.0, 3.0]), tasks.Sigma0[1], tasks.Sigma0[2]]))
    changed = from_random_states(tasks)
    assert changed.noise == "initial_state"
    np.testing.assert_array_equal(changed.Sigma0, [tasks.Sigma0[0], np.eye(3), np.eye(3)])
    np.testing.assert_array_equal(changed.p, [1 / 3] * 3)
    for name in "ABQRS":
        np.testing.assert_array_equal(getattr(changed, name), getattr(tasks, name))


def unstable_tasks(*radii: float) -> LQRTasks:
    """A task for each radius, with a second mode that the input reaches only through the first."""
    A = np.array([[[radius, 0.0], [0.5, 0.9]] for radius in radii])
    B = np.array([[[1.0 + 0.2 * task], [0.0]] for task in range(len(radii))])
    weight = np.broadcast_to(np.eye(2), A.shape)
    return LQRTasks(A, B, weight, np.ones((len(radii), 1, 1)), 0.1 * weight)


def found(given: Any, tasks: LQRTasks) -> FloatArray:
    plugin = families.get("bus")
    return read_gain(tasks, given, plugin(plugin.Settings()), 3)


@pytest.mark.parametrize("radii", [(1.2,), (1.1, 1.3)])
def test_unstable_tasks_are_stabilised(radii: tuple[float, ...]) -> None:
    tasks = unstable_tasks(*radii)
    assert not lqr.is_stabilising(tasks, np.zeros((1, 2))).any()
    K = found("annealed", tasks)
    # Close to the optimum of the plants' own cost, too, since the last descent is at the discount 1.
    best = lqr.cost(tasks, optimal.shared_gain(tasks).K).mean()
    assert 1 - 1e-9 < lqr.cost(tasks, K).mean() / best < 1.02
    np.testing.assert_array_equal(found({"annealed": {"rounds": 50}}, tasks), K)


def test_a_gain_that_the_model_refuses_is_no_matter_of_the_nominal_system() -> None:
    tasks = unstable_tasks(1.2)
    with pytest.raises(UnstablePolicyError) as caught:
        lqr.evaluate(tasks, np.zeros((1, 2)))
    error = InitialGainError("mine", caught.value, {"annealed": {"rounds": 3}}, np.zeros((1, 2)), 1.0, 1.0)
    assert str(error) == (
        "cases.mine.initial_gain: {annealed: {...}} does not stabilise task 0 (spectral radius 1.2); write "
        "stabilising, for a gain found with the model of every task"
    )


def test_tasks_without_a_common_gain_get_the_message() -> None:
    tasks = unstable_tasks(3.0, 3.0)
    tasks = tasks.replace(B=np.stack([tasks.B[0], -tasks.B[0]]))
    with pytest.raises(AnnealingError, match=r"rounds: 4 ended at a discount of 0\.\d+, not 1; .*; write stabilising"):
        found({"annealed": {"rounds": 4}}, tasks)

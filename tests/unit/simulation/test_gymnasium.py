"""Gymnasium environments as simulators; of the library's own where it is installed."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from metalqr import MetaSettings
from metalqr.simulation.user import SimulatedTasks, SimulatorError
from metalqr.simulation.user.environments import Environment
from metalqr.training import Status, train


class Space:
    def __init__(self, size: int, bound: float = 0.5) -> None:
        self.shape, self.low, self.high, self.dtype = (size,), -bound, bound, np.dtype(np.float64)


class Two:
    n = 2


class Drift:
    """x' = x + u, from the seed, with the reward -x^2; lost beyond 10."""

    def __init__(self, actions: Any = None, longest: int = 1000) -> None:
        self.observation_space, self.action_space = Space(1), actions or Space(1)
        self.longest = longest

    def reset(self, *, seed: int) -> tuple[NDArray[np.float64], dict[str, Any]]:
        self.x, self.steps = float(seed), 0
        return np.array([self.x]), {}

    def step(self, action: Any) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        reward = -(self.x**2)
        self.x, self.steps = self.x + float(np.ravel(action)[0]), self.steps + 1
        return np.array([self.x]), reward, abs(self.x) > 10.0, self.steps >= self.longest, {}


def test_cost_is_minus_the_reward_of_clipped_actions() -> None:
    """From 2 with the gain 0.25 the actions are -0.5, -0.375; those of the gain 1 are clipped to -0.5."""
    found = Environment(Drift()).costs(np.array([[[0.25]], [[1.0]]]), 3, np.array([2, 2]))
    assert_allclose(found, [(4.0 + 1.5**2 + 1.125**2) / 3, (4.0 + 1.5**2 + 1.0) / 3])


def test_of_two_actions_the_second_is_taken_where_the_policy_is_positive() -> None:
    """Action 1 moves by one, action 0 by none."""
    found = Environment(Drift(Two())).costs(np.array([[[-1.0]], [[1.0]]]), 3, np.array([2, 2]))
    assert_allclose(found, [(4.0 + 9.0 + 16.0) / 3, 4.0])


def test_an_episode_that_is_terminated_has_an_infinite_cost() -> None:
    environment = Environment(Drift(Space(1, 20.0)))
    assert environment.costs(np.array([[[-3.0]], [[0.0]]]), 5, np.array([4, 4])).tolist() == [np.inf, 16.0]


def test_an_episode_that_is_too_short_is_an_error() -> None:
    with pytest.raises(SimulatorError, match="Drift: it ends episodes after 4 steps, and a rollout takes 5"):
        Environment(Drift(longest=4)).costs(np.zeros((1, 1, 1)), 5, np.arange(1))


def test_spaces_that_no_gain_fits_are_refused() -> None:
    image = Drift()
    image.observation_space.shape = (3, 3)  # type: ignore[assignment]
    with pytest.raises(SimulatorError, match=r"its observations are .*, not a vector; wrap it"):
        Environment(image)
    three = Two()
    three.n = 3
    with pytest.raises(SimulatorError, match="it has 3 discrete actions, not 2"):
        Environment(Drift(three))


def pendulum() -> Any:
    """Gymnasium's pendulum, from near its upright position, with a state in place of cosine and sine."""
    gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")

    class Upright(gymnasium.Wrapper):  # type: ignore[misc, name-defined]
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float64], dict[str, Any]]:
            _, found = self.env.reset(seed=seed)
            self.unwrapped.state = self.unwrapped.np_random.normal(0.0, 0.05, size=2)
            return np.array(self.unwrapped.state), found

        def step(self, action: Any) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
            _, reward, terminated, truncated, found = self.env.step(action)
            return np.array(self.unwrapped.state), reward, terminated, truncated, found

    return Upright(gymnasium.make("Pendulum-v1", max_episode_steps=100))


@pytest.mark.slow
def test_a_gymnasium_pendulum_learns_to_stay_upright() -> None:
    """From a gain that holds it: three quarters of what a good gain saves is learned from rewards alone."""
    tasks = SimulatedTasks(pendulum, [{}], state_dim=2, action_dim=1, evaluation_rollouts=8, evaluation_length=60)
    settings = MetaSettings(
        learning_rate=0.3, adaptation_rate=0.0, method="mean_cost", estimator="two_point", common_noise=True,
        directions="orthogonal", perturbations=2, smoothing_radius=0.5, rollout_length=40, iterations=25,
        update_rule="adam",
    )  # fmt: skip
    history = train(tasks, [[11.0, 1.0]], settings, 0)
    assert history.status is Status.COMPLETED
    good = tasks.measured(np.array([[[16.0, 4.0]]])).cost[0, 0]
    first, last = history.cost[[0, -1], 0]
    assert good < first
    assert first - last > 0.75 * (first - good)

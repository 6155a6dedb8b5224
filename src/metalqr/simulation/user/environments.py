"""A Gymnasium environment as a simulator: rewards are costs with the sign turned."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metalqr.simulation.user.errors import SimulatorError

Array = NDArray[np.float64]


class Environment:
    r"""Rollouts of an environment under the policy u = -K x, x the observation.

    The cost of a step is minus its reward, or what ``cost(observation, action, reward)`` of the environment says. An
    action that the environment does not take is made one: in a box, it is clipped to the box; of two discrete ones, the
    second is taken where :math:`-K x > 0`. An episode that the environment terminates is a rollout that went unstable,
    of infinite cost; one that it truncates is too short for the rollout, which is an error.

    Parameters
    ----------
    environment : gymnasium.Env
        With observations in a box of one dimension, and actions in a box of one dimension, or two discrete ones.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._name = type(getattr(environment, "unwrapped", environment)).__name__
        observations: Any = getattr(environment, "observation_space", None)
        actions: Any = getattr(environment, "action_space", None)
        shape = getattr(observations, "shape", None)
        if shape is None or len(shape) != 1:
            raise SimulatorError(
                f"{self._name}: its observations are {observations}, not a vector; wrap it, as in "
                "gymnasium.wrappers.FlattenObservation(environment)"
            )
        self.state_dim = int(shape[0])
        self._is_discrete = getattr(actions, "n", None) is not None
        if self._is_discrete and actions.n != 2:
            raise SimulatorError(f"{self._name}: it has {actions.n} discrete actions, not 2; give it continuous ones")
        size = (1,) if self._is_discrete else getattr(actions, "shape", None)
        if size is None or len(size) != 1:
            raise SimulatorError(f"{self._name}: its actions are {actions}, not a vector; wrap it to take one")
        self.action_dim = int(size[0])
        self._actions = actions
        own = [getattr(each, "cost", None) for each in (environment, getattr(environment, "unwrapped", None))]
        self._cost = next((each for each in own if callable(each)), None)

    def costs(self, gains: Array, length: int, seeds: NDArray[np.int64], **options: Any) -> Any:
        """Mean cost of a step of one rollout of every gain (n, k, d), with a seed for each."""
        return np.array([self._rollout(gain, length, int(seed)) for gain, seed in zip(gains, seeds, strict=True)])

    def _rollout(self, gain: Array, length: int, seed: int) -> float:
        observation, _ = self._environment.reset(seed=seed)
        total = 0.0
        for number in range(1, length + 1):
            action = self._action(-gain @ np.asarray(observation, dtype=np.float64))
            after, reward, terminated, truncated, _ = self._environment.step(action)
            total += -float(reward) if self._cost is None else float(self._cost(observation, action, reward))
            if terminated:
                return np.inf
            if truncated and number < length:
                raise SimulatorError(
                    f"{self._name}: it ends episodes after {number} steps, and a rollout takes {length}; make it with "
                    f"max_episode_steps={length}, or lower rollout_length and evaluation_length"
                )
            observation = after
        return total / length

    def _action(self, wanted: Array) -> Any:
        if self._is_discrete:
            return int(wanted[0] > 0.0)
        return np.clip(wanted, self._actions.low, self._actions.high).astype(self._actions.dtype)

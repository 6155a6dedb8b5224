"""A simulator of your own: a tank that is filled and leaks, of which metalqr sees nothing but the costs of rollouts.

Copy the file beside your config and name it there:

    cases:
      tank:
        simulator:
          path: own_simulator.py:Tank
          tasks: [{leak: 0.1}, {leak: 0.2}, {leak: 0.4}]
          state_dim: 1
          action_dim: 1
        initial_gain: [[0.2]]
        algorithm:
          method: mean_cost
          estimator: two_point
          common_noise: true
          perturbations: 4
          update_rule: adam
          learning_rate: 0.05
          adaptation_rate: 0.0
          iterations: 60
    experiments:
      tank: {cases: [tank], seeds: [0, 1, 2]}

A function ``costs(gains, length, seeds, leak)`` would do as well, and a method ``cost(gain, length, seed)`` where it is
easier to simulate one rollout at a time. The file is imported when a job needs it, so it may import anything.
"""

import numpy as np
from numpy.typing import NDArray


class Tank:
    """The level x of a tank, as a deviation from its target: the outflow grows with the root of the level."""

    def __init__(self, leak: float) -> None:
        self.leak = leak

    def costs(self, gains: NDArray[np.float64], length: int, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean cost of a step of one rollout of each gain (n, 1, 1) under the valve u = -K x, with a seed for each."""
        # All randomness comes from the seed: then the same seed gives the same rollout, and common_noise is honest.
        generators = [np.random.default_rng(seed) for seed in seeds]
        x = np.array([generator.normal(0.0, 0.3) for generator in generators])
        noise = np.stack([generator.normal(0.0, 0.02, size=length) for generator in generators])
        total = np.zeros(len(gains))
        for step in range(length):
            u = -gains[:, 0, 0] * x
            total += x**2 + 0.1 * u**2
            outflow = self.leak * (np.sqrt(np.maximum(1.0 + x, 0.0)) - 1.0)
            x = x + 0.5 * (u - outflow) + noise[:, step]
        return total / length

"""A simulator of your own from a function for one step: Van der Pol's oscillator, which swings without a controller.

Copy the file beside your config and name it there:

    cases:
      oscillator:
        simulator: {path: own_step.py:Oscillator, tasks: [{damping: 0.5}, {damping: 1.5}], state_dim: 2, action_dim: 1}
        initial_gain: zero
        algorithm:
          {method: mean_cost, estimator: two_point, common_noise: true, perturbations: 20, iterations: 30,
           learning_rate: 0.05, adaptation_rate: 0.0}
    experiments:
      oscillator: {cases: [oscillator], seeds: [0], sweep: {}}
"""

from metalqr.simulation.user.steps import StepSimulator

Numbers = tuple[float, ...]


class Oscillator(StepSimulator):
    r"""Euler steps of 0.1 for :math:`\ddot y = \mu (1 - y^2) \dot y - y + u`, with noise of the velocity."""

    state_dim, action_dim = 2, 1
    initial_deviation = 1.0
    noise = (0.1,)
    R = 0.1

    def __init__(self, damping: float) -> None:
        self.parameters = (damping,)

    @staticmethod
    def step(x: Numbers, u: Numbers, w: Numbers, parameters: Numbers) -> Numbers:
        """The next position and velocity."""
        position, velocity = x
        (damping,) = parameters
        acceleration = damping * (1.0 - position**2) * velocity - position + u[0]
        return position + 0.1 * velocity, velocity + 0.1 * acceleration + w[0]

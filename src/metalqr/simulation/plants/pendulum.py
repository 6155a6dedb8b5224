"""An inverted pendulum with a torque at its pivot, at every angle."""

import math
from typing import Any, NamedTuple

from metalqr.simulation.plants.nonlinear import NonlinearPlant
from metalqr.systems.plants.constants import GRAVITY


class Pendulum(NonlinearPlant):
    r"""Euler steps for an inverted pendulum.

    .. math:: \ddot\theta = \frac g l \sin\theta + \frac{1}{m l^2} u

    States, parameters, weights and noise are those of the named system ``pendulum``, the linearisation at the upright
    position. A rollout is lost where the pendulum is below the horizontal.
    """

    state_dim, action_dim = 2, 1
    system = "pendulum"

    class Parameters(NamedTuple):
        """What a step uses."""

        mass: float
        length: float
        sample_time: float

    @staticmethod
    def step(x: Any, u: Any, w: Any, parameters: Any) -> tuple[float, ...]:
        """The next angle and angular velocity."""
        angle, velocity = x
        mass, length, dt = parameters
        acceleration = GRAVITY / length * math.sin(angle) + u[0] / (mass * length**2)
        return angle + dt * velocity + w[0], velocity + dt * acceleration + w[1]

    @staticmethod
    def is_lost(x: Any, parameters: Any) -> bool:
        """Whether the pendulum is below the horizontal."""
        return abs(x[0]) > 0.5 * math.pi

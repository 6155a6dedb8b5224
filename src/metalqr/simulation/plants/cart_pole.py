"""A pole on a cart, at every angle."""

import math
from typing import Any, NamedTuple

from metalqr.simulation.plants.nonlinear import NonlinearPlant
from metalqr.systems.plants.constants import GRAVITY


class CartPole(NonlinearPlant):
    r"""Euler steps for a pole on a cart.

    .. math::

        (m_c + m_p \sin^2\theta)\, \ddot p = u + m_p \sin\theta\, (g \cos\theta - l \dot\theta^2), \qquad
        l \ddot\theta = g \sin\theta + \cos\theta\, \ddot p

    the Lagrangian equations of a cart at p and a point mass at :math:`(p - l \sin\theta, l \cos\theta)`, without
    friction. States, parameters, weights and noise are those of the named system ``cart_pole``, the linearisation at
    the upright position. A rollout is lost where the pole is below the horizontal.
    """

    state_dim, action_dim = 4, 1
    system = "cart_pole"

    class Parameters(NamedTuple):
        """What a step uses."""

        pole_mass: float
        cart_mass: float
        length: float
        sample_time: float

    @staticmethod
    def step(x: Any, u: Any, w: Any, parameters: Any) -> tuple[float, ...]:
        """The next position, velocity, angle and angular velocity."""
        position, velocity, angle, rotation = x
        pole_mass, cart_mass, length, dt = parameters
        sine, cosine = math.sin(angle), math.cos(angle)
        force = u[0] + pole_mass * sine * (GRAVITY * cosine - length * rotation**2)
        acceleration = force / (cart_mass + pole_mass * sine**2)
        angular_acceleration = (GRAVITY * sine + cosine * acceleration) / length
        return (
            position + dt * velocity + w[0],
            velocity + dt * acceleration + w[1],
            angle + dt * rotation + w[2],
            rotation + dt * angular_acceleration + w[3],
        )

    @staticmethod
    def is_lost(x: Any, parameters: Any) -> bool:
        """Whether the pole is below the horizontal."""
        return abs(x[2]) > 0.5 * math.pi

"""A pole on a cart, held upright by pushing the cart."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import euler
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.constants import GRAVITY
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("cart_pole")
class CartPole(NamedSystem):
    r"""A pole on a cart, linearised at the upright position.

    .. math::

        \ddot p = \frac{m_p}{m_c} g \theta + \frac{1}{m_c} u, \qquad
        \ddot\theta = \frac{m_p + m_c}{l m_c} g \theta + \frac{1}{l m_c} u

    The mass of the pole is a point at the distance l; there is no friction. The angle is positive where the pole leans
    against the direction of the cart, so a positive force raises position and angle. Euler steps, as in the source.
    """

    states = ("position [m]", "velocity [m/s]", "angle from upright [rad]", "angular velocity [rad/s]")
    inputs = ("force [N]",)
    reference = "arXiv 2509.19266"

    class Settings(SystemSettings):
        """Parameters of cart and pole."""

        pole_mass: Parameter = parameter(
            0.1, unit="kg", symbol="m_p", about="mass of the pole", low=0.001, high=10.0, typical=(0.05, 0.2)
        )
        cart_mass: Parameter = parameter(
            1.0, unit="kg", symbol="m_c", about="mass of the cart", low=0.01, high=100.0, typical=(0.8, 1.25)
        )
        length: Parameter = parameter(
            0.5, unit="m", symbol="l", about="length of the pole", low=0.05, high=10.0, typical=(0.4, 0.8)
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.05, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 0.1 I and R = 0.1."""
        A = np.zeros((4, 4))
        A[0, 1] = A[2, 3] = 1.0
        A[1, 2] = GRAVITY * p.pole_mass / p.cart_mass
        A[3, 2] = GRAVITY * (p.pole_mass + p.cart_mass) / (p.length * p.cart_mass)
        B = [[0.0], [1.0 / p.cart_mass], [0.0], [1.0 / (p.length * p.cart_mass)]]
        return Plant(*euler(A, B, p.sample_time), Q=0.1 * np.eye(4), R=[[0.1]], dt=p.sample_time)

"""A pendulum with friction on a cart, an example of papers on adaptive control."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import euler
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.constants import GRAVITY
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("inverted_pendulum")
class InvertedPendulum(NamedSystem):
    r"""A pendulum of length 1 m with a friction torque at its joint, on a cart, linearised at the upright position.

    .. math::

        \ddot p = \frac{m_p}{m_c} \Bigl(g \theta - \frac{\dot\theta}{\tau}\Bigr) + \frac{1}{m_c} u, \qquad
        \ddot\theta = \frac{m_p + m_c}{m_c} \Bigl(g \theta - \frac{\dot\theta}{\tau}\Bigr) + \frac{1}{m_c} u

    The angle is positive where the pendulum leans against the direction of the cart, so a positive force raises
    position and angle. Positions come first among the states, then velocities. Euler steps. The source gives the
    matrices at the defaults alone; that τ multiplies the friction as above, as the time in which it would stop the
    pendulum on a fixed cart, is a choice.
    """

    states = ("position [m]", "angle from upright [rad]", "velocity [m/s]", "angular velocity [rad/s]")
    inputs = ("force [N]",)
    reference = "an example of papers on adaptive LQR"

    class Settings(SystemSettings):
        """Parameters of cart and pendulum."""

        cart_mass: Parameter = parameter(
            1.0, unit="kg", symbol="m_c", about="mass of the cart", low=0.01, high=100.0, typical=(0.8, 1.25)
        )
        pole_mass: Parameter = parameter(
            1.0, unit="kg", symbol="m_p", about="mass of the pendulum", low=0.001, high=100.0, typical=(0.8, 1.25)
        )
        friction_time: Parameter = parameter(
            1.0,
            unit="s",
            symbol=r"\tau",
            about="time constant of the friction at the joint; large for little friction",
            low=0.1,
            high=1000.0,
            typical=(0.8, 1.25),
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.05, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = 1."""
        A = np.zeros((4, 4))
        A[0, 2] = A[1, 3] = 1.0
        pole, both = p.pole_mass / p.cart_mass, (p.pole_mass + p.cart_mass) / p.cart_mass
        A[2, [1, 3]] = pole * GRAVITY, -pole / p.friction_time
        A[3, [1, 3]] = both * GRAVITY, -both / p.friction_time
        B = [[0.0], [0.0], [1.0 / p.cart_mass], [1.0 / p.cart_mass]]
        return Plant(*euler(A, B, p.sample_time), Q=np.eye(4), R=[[1.0]], dt=p.sample_time)

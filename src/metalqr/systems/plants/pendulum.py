"""An inverted pendulum with a torque at its pivot."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import euler
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.constants import GRAVITY
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("pendulum")
class Pendulum(NamedSystem):
    r"""An inverted pendulum with a torque at its pivot, linearised at the upright position.

    .. math:: \ddot\theta = \frac g l \theta + \frac{1}{m l^2} u

    All mass is in the bob, there is no friction; a positive torque raises the angle. Euler steps, as in the source.
    """

    states = ("angle from upright [rad]", "angular velocity [rad/s]")
    inputs = ("torque [N m]",)
    reference = "arXiv 2509.19266"

    class Settings(SystemSettings):
        """Parameters of the pendulum."""

        mass: Parameter = parameter(
            0.5, unit="kg", symbol="m", about="mass of the bob", low=0.01, high=100.0, typical=(0.4, 0.6)
        )
        length: Parameter = parameter(
            0.3, unit="m", symbol="l", about="length of the rod", low=0.05, high=10.0, typical=(0.25, 0.35)
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.05, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 0.1 I and R = 0.1."""
        A, B = euler([[0.0, 1.0], [GRAVITY / p.length, 0.0]], [[0.0], [1.0 / (p.mass * p.length**2)]], p.sample_time)
        return Plant(A, B, Q=0.1 * np.eye(2), R=[[0.1]], dt=p.sample_time)

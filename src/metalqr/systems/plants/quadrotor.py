"""A quadrotor that hovers in a vertical plane."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.constants import GRAVITY
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("quadrotor")
class Quadrotor(NamedSystem):
    r"""A quadrotor in a vertical plane, linearised at hovering.

    .. math:: \ddot x = g \theta, \qquad \ddot z = \frac{u_1}{m}, \qquad \ddot\theta = \frac{u_2}{J}

    Height z is positive upwards, and a positive pitch θ accelerates along x. The first input is the thrust beyond the
    weight. Costs and sampling time are choices. Zero-order hold.
    """

    states = (
        "position x [m]",
        "velocity x [m/s]",
        "height z [m]",
        "velocity z [m/s]",
        "pitch [rad]",
        "pitch rate [rad/s]",
    )
    inputs = ("thrust [N]", "torque [N m]")
    reference = "rigid body at hover"

    class Settings(SystemSettings):
        """Parameters of the quadrotor."""

        mass: Parameter = parameter(
            1.0, unit="kg", symbol="m", about="mass with its load", low=0.05, high=50.0, typical=(0.8, 1.5)
        )
        inertia: Parameter = parameter(
            0.01, unit="kg m²", symbol="J", about="moment of inertia", low=1e-5, high=10.0, typical=(0.008, 0.015)
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.02, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(1, 0.1, 1, 0.1, 1, 0.1) and R = diag(0.1, 10)."""
        A, B = np.zeros((6, 6)), np.zeros((6, 2))
        A[[0, 2, 4], [1, 3, 5]] = 1.0
        A[1, 4] = GRAVITY
        B[3, 0], B[5, 1] = 1.0 / p.mass, 1.0 / p.inertia
        Q, R = np.diag([1.0, 0.1, 1.0, 0.1, 1.0, 0.1]), np.diag([0.1, 10.0])
        return Plant(*zero_order_hold(A, B, p.sample_time), Q, R, dt=p.sample_time)

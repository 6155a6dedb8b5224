"""A bus that follows a guideline in the road."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("bus")
class Bus(NamedSystem):
    r"""A bus that follows a guideline in the road, linearised at straight driving with constant speed.

    With the mass μ and the speed ν, the first two states are sideslip angle β and yaw rate r, then the lateral
    displacement y of the centre of gravity, the angle ψ to the guideline and the steering angle δ, all positive to the
    left. The input is the rate of steering:

    .. math::

        \dot\beta &= -\frac{668}{\mu\nu} \beta + \Bigl(-1 + \frac{180.4}{\mu\nu^2}\Bigr) r
            + \frac{198}{\mu\nu} \delta, \qquad
        \dot r = \frac{180.4}{10.86\,\mu} \beta - \frac{4417.5452}{10.86\,\mu\nu} r
            + \frac{726.66}{10.86\,\mu} \delta,\\
        \dot y &= \nu (\beta + \psi), \qquad \dot\psi = r, \qquad \dot\delta = u .

    The cost is the square of the displacement of a sensor 6.12 m ahead, y + 6.12 ψ, that of the rate of steering, and
    0.01 times the square of every state. The source gives neither cost nor sampling time: both are choices. Zero-order
    hold.
    """

    states = ("sideslip angle [rad]", "yaw rate [rad/s]", "displacement [m]", "angle [rad]", "steering angle [rad]")
    inputs = ("rate of steering [rad/s]",)
    reference = "SLICOT BD01AD 2.7; Ackermann 1989"

    class Settings(SystemSettings):
        """Parameters of the bus."""

        mass: Parameter = parameter(
            15.0, unit="t", symbol=r"\mu", about="mass of the bus, 9.95 t without passengers", low=9.95, high=16.0
        )
        speed: Parameter = parameter(
            10.0, unit="m/s", symbol=r"\nu", about="speed of the bus", low=1.0, high=20.0, typical=(5.0, 15.0)
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.1, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = y yᵀ + 0.01 I with y of the sensor, and R = 1."""
        A = np.zeros((5, 5))
        A[0, [0, 1, 4]] = -668.0 / (p.mass * p.speed), -1.0 + 180.4 / (p.mass * p.speed**2), 198.0 / (p.mass * p.speed)
        inertia = 10.86 * p.mass
        A[1, [0, 1, 4]] = 180.4 / inertia, -4417.5452 / (inertia * p.speed), 726.66 / inertia
        A[2, [0, 3]] = p.speed
        A[3, 1] = 1.0
        B = np.eye(5)[:, 4:]
        sensor = np.array([0.0, 0.0, 1.0, 6.12, 0.0])
        Q = np.outer(sensor, sensor) + 0.01 * np.eye(5)
        return Plant(*zero_order_hold(A, B, p.sample_time), Q, R=[[1.0]], dt=p.sample_time)

"""A unicycle that follows a straight line at constant speed."""

from math import cos, pi, sin
from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("unicycle")
class Unicycle(NamedSystem):
    r"""A unicycle that follows a straight line, linearised at its speed v and heading θ; Euler steps.

    .. math::

        \dot x = -v \sin(\theta)\, \delta + \cos(\theta)\, u_1, \qquad
        \dot y = v \cos(\theta)\, \delta + \sin(\theta)\, u_1, \qquad \dot\delta = u_2

    States are deviations from the line, in fixed axes, and of the heading, positive to the left; inputs are deviations
    from the speed v and from a turning rate of zero. Headings that are far apart have no common stabilising gain.
    """

    states = ("position x [m]", "position y [m]", "heading [rad]")
    inputs = ("speed [m/s]", "turning rate [rad/s]")
    reference = "Fallah, Toso, Anderson, arXiv 2511.05444, Appendix B"

    class Settings(SystemSettings):
        """Parameters of the line."""

        speed: Parameter = parameter(
            1.0, unit="m/s", symbol="v", about="speed along the line", low=0.01, high=100.0, typical=(0.8, 1.2)
        )
        heading: Parameter = parameter(
            0.0,
            unit="rad",
            symbol=r"\theta",
            about="direction of the line from the x axis, in radians: 45 degrees are 0.785",
            low=-pi,
            high=pi,
            typical=(0.0, pi / 4),
        )
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.1, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        c, s, dt = cos(p.heading), sin(p.heading), p.sample_time
        A = [[1.0, 0.0, -dt * p.speed * s], [0.0, 1.0, dt * p.speed * c], [0.0, 0.0, 1.0]]
        B = [[dt * c, 0.0], [dt * s, 0.0], [0.0, dt]]
        return Plant(A, B, Q=np.eye(3), R=np.eye(2), dt=dt)

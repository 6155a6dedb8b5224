"""The vertical acceleration of a guided missile."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("missile")
class Missile(NamedSystem):
    """The vertical motion of a rigid guided missile at the first of the source's ten flight conditions.

    Pitch rate, angle of attack and fin angle, as deviations from level flight; the input is the commanded fin angle,
    which the fin follows with a lag of 1/190 s. The source gives neither cost nor sampling time, and names no units:
    these are choices. Zero-order hold.
    """

    states = ("pitch rate [rad/s]", "angle of attack [rad]", "fin angle [rad]")
    inputs = ("commanded fin angle [rad]",)
    reference = "SLICOT BD01AD 2.3"

    class Settings(SystemSettings):
        """The sampling time."""

        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(0.02, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(0.01, 1, 0.01) and R = 1."""
        A = [
            [-0.327, -63.94, -155.96],
            [1.0, -1.0, -0.237],
            [0.0, 0.0, -190.0],
        ]
        B = [[0.0], [0.0], [190.0]]
        return Plant(*zero_order_hold(A, B, p.sample_time), Q=np.diag([0.01, 1.0, 0.01]), R=[[1.0]], dt=p.sample_time)

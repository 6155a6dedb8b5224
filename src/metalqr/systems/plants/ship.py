"""The heading of a ship, for five ships."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance

#: a11, a12, a21, a22; b1, b2 of each ship.
SHIPS = (
    (-0.895, -0.286, -4.367, -0.918, 0.108, -0.918),
    (-0.770, -0.335, -3.394, -1.627, 0.170, -1.627),
    (-0.597, -0.372, -3.651, -0.792, 0.103, -0.792),
    (-0.298, -0.279, -4.370, -0.773, 0.116, -0.773),
    (-0.454, -0.433, -4.005, -0.807, 0.097, -0.807),
)


@families.register("ship")
class Ship(NamedSystem):
    r"""The heading of a ship, linearised at a straight course at constant speed, for five ships.

    .. math:: \dot v = a_{11} v + a_{12} r + b_1 \delta, \qquad \dot r = a_{21} v + a_{22} r + b_2 \delta, \qquad
              \dot\psi = r

    Sway velocity v, yaw rate r and heading ψ, with the rudder angle δ as input. The source normalises each ship by its
    own length and speed, so that times are in the time in which it travels its length. Without steering all are
    unstable on course. The cost :math:`0.01 v^2 + 0.01 r^2 + \psi^2 + \delta^2` and the sampling time are choices.
    Zero-order hold.
    """

    states = ("sway velocity [1]", "yaw rate [1]", "heading [rad]")
    inputs = ("rudder angle [rad]",)
    time_unit = "ship lengths travelled"
    reference = "SLICOT BD01AD 2.6; Källström, Åström 1981"

    class Settings(SystemSettings):
        """The ship."""

        ship: Parameter = parameter(1, about="number of the ship in the source", low=1, high=len(SHIPS), is_choice=True)
        noise_variance: Real = variance(1e-4)
        sample_time: Real = setting(
            0.5, about="time of a step, in the time in which a ship travels its length", above=0
        )

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(0.01, 0.01, 1) and R = 1."""
        a11, a12, a21, a22, b1, b2 = SHIPS[p.ship - 1]
        A, B = [[a11, a12, 0.0], [a21, a22, 0.0], [0.0, 1.0, 0.0]], [[b1], [b2], [0.0]]
        return Plant(*zero_order_hold(A, B, p.sample_time), Q=np.diag([0.01, 0.01, 1.0]), R=[[1.0]], dt=p.sample_time)

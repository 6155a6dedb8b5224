"""A hydraulic positioning system: a carriage that a piston moves."""

from math import pi
from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance

#: Volume of oil, in cm³.
VOLUME = 874.0


@families.register("hydraulics")
class Hydraulics(NamedSystem):
    r"""A hydraulic positioning system: a carriage that a piston moves, linearised at rest.

    .. math::

        \ddot s = -\frac{r + 4 r_c/\pi}{\mu} \dot s + \frac{a}{\mu} p, \qquad
        \dot p = -\frac{4 b}{874} \bigl(a \dot s + (\sigma + k_l)\, p + u\bigr)

    with the pressure p across the piston and the opening of the valve as input, which counts negative: a positive input
    moves the carriage backwards. The source gives numbers without units; the ones here are those that its constants
    suggest, centimetres and kiloponds. Ranges are those of the source; cost and sampling time are choices. Zero-order
    hold. Over these parameters its optimal gains hardly differ.
    """

    states = ("position [cm]", "velocity [cm/s]", "pressure [kp/cm²]")
    inputs = ("flow through the valve [cm³/s]",)
    reference = "SLICOT BD01AD 2.4; Senning 1980"

    class Settings(SystemSettings):
        """Parameters of carriage, piston and valve."""

        compressibility: Parameter = parameter(
            14e3, unit="kp/cm²", symbol="b", about="modulus of compression of the oil", low=9e3, high=16e3
        )
        mass: Parameter = parameter(
            0.1287,
            unit="kp s²/cm",
            symbol=r"\mu",
            about="mass of the carriage",
            low=0.05,
            high=0.3,
            typical=(0.1, 0.2),
        )
        friction: Parameter = parameter(
            0.15,
            unit="kp s/cm",
            symbol="r",
            about="coefficient of viscous friction",
            low=0.05,
            high=5.0,
            typical=(0.1, 1.0),
        )
        coulomb_friction: Parameter = parameter(
            0.01, unit="kp s/cm", symbol="r_c", about="coefficient of dry friction", low=0.0, high=0.05
        )
        leakage: Parameter = parameter(
            0.002,
            unit="cm⁵/(kp s)",
            symbol="k_l",
            about="coefficient of the oil that bypasses",
            low=1.03e-4,
            high=3.5e-3,
        )
        valve: Parameter = parameter(
            0.24,
            unit="cm⁵/(kp s)",
            symbol=r"\sigma",
            about="coefficient of the valve",
            low=1e-3,
            high=15.0,
            typical=(0.1, 1.0),
        )
        piston_area: Parameter = parameter(
            10.75, unit="cm²", symbol="a", about="area of the piston", low=10.5, high=11.1
        )
        noise_variance: Real = variance(1e-6)
        sample_time: Real = setting(0.001, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(1, 0.0001, 0.0001) and R = 1."""
        pressure = 4.0 * p.compressibility / VOLUME
        A = [
            [0.0, 1.0, 0.0],
            [0.0, -(p.friction + 4.0 * p.coulomb_friction / pi) / p.mass, p.piston_area / p.mass],
            [0.0, -pressure * p.piston_area, -pressure * (p.valve + p.leakage)],
        ]
        B = [[0.0], [0.0], [-pressure]]
        return Plant(*zero_order_hold(A, B, p.sample_time), Q=np.diag([1.0, 1e-4, 1e-4]), R=[[1.0]], dt=p.sample_time)

"""A vehicle in a plane as two double integrators."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings


@families.register("uav")
class Uav(NamedSystem):
    r"""A vehicle in a plane, a double integrator in each direction: :math:`\ddot x = u_1 / m, \ddot y = u_2 / m`.

    Zero-order hold. The source has a mass of 1; that it may vary is a choice.
    """

    states = ("position x [m]", "velocity x [m/s]", "position y [m]", "velocity y [m/s]")
    inputs = ("force x [N]", "force y [N]")
    reference = "two double integrators"

    class Settings(SystemSettings):
        """Parameters of the vehicle."""

        mass: Parameter = parameter(
            1.0, unit="kg", symbol="m", about="mass of the vehicle", low=0.01, high=100.0, typical=(0.5, 2.0)
        )
        sample_time: Real = setting(0.5, unit="s", about="time of a step", above=0)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(1, 0.1, 2, 0.2) and R = I."""
        A, B = np.zeros((4, 4)), np.zeros((4, 2))
        A[[0, 2], [1, 3]] = 1.0
        B[1, 0] = B[3, 1] = 1.0 / p.mass
        Q = np.diag([1.0, 0.1, 2.0, 0.2])
        return Plant(*zero_order_hold(A, B, p.sample_time), Q, R=np.eye(2), dt=p.sample_time)

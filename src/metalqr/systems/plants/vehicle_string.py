"""A string of vehicles that keep their speeds and distances."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings


@families.register("vehicle_string")
class VehicleString(NamedSystem):
    r"""A string of high-speed vehicles, linearised at equal speeds and at the distances to keep.

    .. math:: \dot v_i = -c v_i + u_i, \qquad \dot s_i = v_i - v_{i+1}

    with deviations of the speeds :math:`v_i` and of the distances :math:`s_i` behind vehicle i, alternately. A positive
    input accelerates. The drag c is 1 in the source; that it may vary, the cost and the sampling time are choices.
    Zero-order hold.
    """

    reference = "SLICOT BD01AD 3.1; Laub 1979, example 4"

    class Settings(SystemSettings):
        """Parameters of the string."""

        vehicles: Count = setting(5, label="vehicles", about="number of vehicles and inputs", size=True)
        drag: Parameter = parameter(
            1.0, unit="1/s", symbol="c", about="loss of speed by drag", low=0.0, high=100.0, typical=(0.5, 2.0)
        )
        sample_time: Real = setting(0.1, unit="s", about="time of a step", above=0)

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override] # they depend on the number of vehicles
        """Names of the states."""
        speeds = [f"speed {place + 1} [m/s]" for place in range(self.settings.vehicles)]
        distances = [f"distance {place + 1} [m]" for place in range(self.settings.vehicles - 1)]
        return tuple(name for pair in zip(speeds, [*distances, ""], strict=True) for name in pair if name)

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the inputs."""
        return tuple(f"acceleration {place + 1} [m/s²]" for place in range(self.settings.vehicles))

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 0.1 for speeds and 10 for distances, and R = I."""
        d = 2 * p.vehicles - 1
        speeds, distances = np.arange(0, d, 2), np.arange(1, d, 2)
        A, B, weights = np.zeros((d, d)), np.zeros((d, p.vehicles)), np.full(d, 0.1)
        A[speeds, speeds] = -p.drag
        A[distances, distances - 1], A[distances, distances + 1] = 1.0, -1.0
        B[speeds, np.arange(p.vehicles)] = 1.0
        weights[distances] = 10.0
        Q, R = np.diag(weights), np.eye(p.vehicles)
        return Plant(*zero_order_hold(A, B, p.sample_time), Q, R, dt=p.sample_time)

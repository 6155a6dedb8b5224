"""Heat flow in a thin rod that is heated at one end."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, setting
from metalqr.systems.discretisation import zero_order_hold
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings


@families.register("heat_rod")
class HeatRod(NamedSystem):
    r"""Heat flow in a thin rod, insulated at one end, with the temperature at the other end as input.

    .. math:: \dot x_j = c (n + 1) (x_{j-1} - 2 x_j + x_{j+1}), \qquad x_0 = x_1, \quad x_{n+1} = u

    Temperatures at n nodes, as deviations from the surroundings. The conductivity c is 1 in the source; that it may
    vary, the cost, which is the mean square of the temperatures and that of the input, and the sampling time are
    choices. The source's default is 100 nodes. Zero-order hold.
    """

    inputs = ("temperature at the end [K]",)
    reference = "SLICOT BD01AD 3.2; Hodel et al. 1996"

    class Settings(SystemSettings):
        """Parameters of the rod."""

        nodes: Count = setting(10, symbol="n", label="nodes", about="number of nodes and states", size=True)
        conductivity: Parameter = parameter(
            1.0,
            symbol="c",
            about="heat conductivity in units of the source's",
            low=0.01,
            high=100.0,
            typical=(0.5, 2.0),
        )
        sample_time: Real = setting(0.01, unit="s", about="time of a step", above=0)

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override] # they depend on the number of nodes
        """Names of the states."""
        return tuple(f"temperature {place + 1} [K]" for place in range(self.settings.nodes))

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I / n and R = 1."""
        n, scale = p.nodes, p.conductivity * (p.nodes + 1)
        A = scale * (np.eye(n, k=1) + np.eye(n, k=-1) - 2.0 * np.eye(n))
        A[0, 0] += scale
        B = scale * np.eye(n)[:, -1:]
        return Plant(*zero_order_hold(A, B, p.sample_time), Q=np.eye(n) / n, R=[[1.0]], dt=p.sample_time)

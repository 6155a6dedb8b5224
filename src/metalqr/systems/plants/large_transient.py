"""Unstable nodes in a row, whose coupling amplifies before anything decays."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.nodes import Nodes, NodesSettings
from metalqr.systems.system import Plant


@families.register("large_transient")
class LargeTransient(Nodes):
    """Unstable nodes in a row, each driven by the one before: transients are large, far beyond what eigenvalues say.

    A has ``growth`` on the diagonal and ``coupling`` below it; B is the identity. All numbers are without units, and a
    step counts as one second.
    """

    reference = "Dean et al., arXiv 1805.09388"

    class Settings(NodesSettings):
        """Parameters of the row."""

        growth: Parameter = parameter(
            1.01, about="factor of each node in a step", low=0.0, high=2.0, typical=(0.8, 1.2)
        )
        coupling: Parameter = parameter(
            1.5, about="influence of the node before in a step", low=-10.0, high=10.0, typical=(1.0, 2.0)
        )

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = p.growth * np.eye(p.size) + p.coupling * np.eye(p.size, k=-1)
        return Plant(A, np.eye(p.size), Q=np.eye(p.size), R=np.eye(p.size), dt=1.0)

"""Slightly unstable nodes in a chain."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.plants.nodes import Nodes, NodesSettings
from metalqr.systems.system import Plant


@families.register("laplacian")
class Laplacian(Nodes):
    """Slightly unstable nodes in a chain, each coupled to its neighbours and with an input of its own.

    A has ``growth`` on the diagonal and ``coupling`` beside it; B is the identity. State costs are small, so that an
    optimal gain hardly stabilises. All numbers are without units, and a step counts as one second.
    """

    reference = "Dean et al., arXiv 1710.01688"

    class Settings(NodesSettings):
        """Parameters of the chain."""

        growth: Parameter = parameter(
            1.01, about="factor of each node in a step", low=0.0, high=2.0, typical=(0.99, 1.03)
        )
        coupling: Parameter = parameter(
            0.01, about="influence of a neighbour in a step", low=-1.0, high=1.0, typical=(0.005, 0.02)
        )

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 0.001 I and R = I."""
        beside = np.eye(p.size, k=1) + np.eye(p.size, k=-1)
        A = p.growth * np.eye(p.size) + p.coupling * beside
        return Plant(A, np.eye(p.size), Q=1e-3 * np.eye(p.size), R=np.eye(p.size), dt=1.0)

"""An unstable system of three states with an input for each."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.plants.constants import UNSTABLE_THREE
from metalqr.systems.system import NamedSystem, Plant


@families.register("fedlqr")
class FedLqr(NamedSystem):
    """An unstable system of three states with an input for each, as in experiments on federated policy gradients.

    Its A is that of the system svrpg. The source gives numbers without units or meaning. A step counts as one second.
    """

    states = ("state 1", "state 2", "state 3")
    inputs = ("input 1", "input 2", "input 3")
    reference = "Wang et al., arXiv 2308.11743"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 2 I and R = 0.5 I."""
        B = [
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 1.0],
        ]
        return Plant(UNSTABLE_THREE, B, Q=2.0 * np.eye(3), R=0.5 * np.eye(3), dt=1.0)

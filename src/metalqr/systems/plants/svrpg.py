"""An unstable system of three states and one input."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.plants.constants import UNSTABLE_THREE
from metalqr.systems.system import NamedSystem, Plant


@families.register("svrpg")
class Svrpg(NamedSystem):
    """An unstable system of three states and one input, as in experiments on variance-reduced policy gradients.

    The source gives numbers without units or meaning. A step counts as one second.
    """

    states = ("state 1", "state 2", "state 3")
    inputs = ("input",)
    reference = "Toso, Wang, Anderson, arXiv 2309.10679, Appendix G"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = 2 I and R = 0.5."""
        B = [
            [0.5],
            [1.0],
            [0.5],
        ]
        return Plant(UNSTABLE_THREE, B, Q=2.0 * np.eye(3), R=[[0.5]], dt=1.0)

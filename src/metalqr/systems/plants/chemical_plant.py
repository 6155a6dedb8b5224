"""A chemical plant."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.system import NamedSystem, Plant


@families.register("chemical_plant")
class ChemicalPlant(NamedSystem):
    """A chemical plant, stable and slow, whose inputs have little effect in a step.

    The matrices are those of the source, which names neither states nor units. The cost is a choice. A step counts as
    one second.
    """

    states = ("state 1", "state 2", "state 3", "state 4", "state 5")
    inputs = ("input 1", "input 2")
    reference = "SLICOT BD02AD 1.9; Gajic, Shen 1993, Section 2.7.4"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = [
            [0.95407, 0.019643, 0.003597, 0.000673, 0.00019],
            [0.40849, 0.41317, 0.16084, 0.044679, 0.011971],
            [0.12217, 0.26326, 0.36149, 0.1593, 0.12383],
            [0.041118, 0.12858, 0.27209, 0.21442, 0.40976],
            [0.001305, 0.005808, 0.01875, 0.036162, 0.9428],
        ]
        B = [
            [0.000434, -0.000122],
            [0.026606, -0.010453],
            [0.03753, -0.0551],
            [0.036076, -0.066],
            [0.004617, -0.009148],
        ]
        return Plant(A, B, Q=np.eye(5), R=np.eye(2), dt=1.0)

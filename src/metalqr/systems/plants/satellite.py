"""The attitude of a satellite."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.system import NamedSystem, Plant


@families.register("satellite")
class Satellite(NamedSystem):
    """The attitude of a satellite, two weakly coupled oscillations, slightly unstable in discrete time.

    The matrices are those of the source, which names neither states nor units. The cost is a choice. A step counts as
    one second.
    """

    states = ("state 1", "state 2", "state 3", "state 4")
    inputs = ("input 1", "input 2")
    reference = "SLICOT BD02AD 1.6; Ackerson, Fu 1970"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = [
            [0.998, 0.067, 0.0, 0.0],
            [-0.067, 0.998, 0.0, 0.0],
            [0.0, 0.0, 0.998, 0.153],
            [0.0, 0.0, -0.153, 0.998],
        ]
        B = [
            [0.0033, 0.02],
            [0.1, -0.0007],
            [0.04, 0.0073],
            [-0.0028, 0.1],
        ]
        return Plant(A, B, Q=np.eye(4), R=np.eye(2), dt=1.0)

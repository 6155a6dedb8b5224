"""A system with slow and fast modes."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.system import NamedSystem, Plant


@families.register("slow_fast")
class SlowFast(NamedSystem):
    """A stable system with two slow and two fast modes.

    The matrices are those of the source, which names neither states nor units. The cost is a choice. A step counts as
    one second.
    """

    states = ("state 1", "state 2", "state 3", "state 4")
    inputs = ("input 1", "input 2")
    reference = "SLICOT BD02AD 1.7; Litkouhi 1983"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = [
            [0.98475, -0.079903, 0.0009054, -0.0010765],
            [0.041588, 0.99899, -0.035855, 0.012684],
            [-0.54662, 0.044916, -0.32991, 0.19318],
            [2.6624, -0.10045, -0.92455, -0.26325],
        ]
        B = [
            [0.0037112, 0.0007361],
            [-0.087051, 9.3411e-06],
            [-1.19844, -0.00041378],
            [-3.1927, 0.00092535],
        ]
        return Plant(A, B, Q=np.eye(4), R=np.eye(2), dt=1.0)

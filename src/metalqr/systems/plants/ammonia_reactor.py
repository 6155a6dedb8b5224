"""A tubular ammonia reactor."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.systems.system import NamedSystem, Plant


@families.register("ammonia_reactor")
class AmmoniaReactor(NamedSystem):
    """A tubular ammonia reactor, stable and slow, whose inputs have little effect in a step.

    The matrices are those of the source, which names neither states nor units. The cost weighs the source's outputs,
    the states 1 and 5, and the inputs; this is a choice, and makes Q singular. A step counts as one second.
    """

    states = ("state 1", "state 2", "state 3", "state 4", "state 5", "state 6", "state 7", "state 8", "state 9")
    inputs = ("input 1", "input 2", "input 3")
    reference = "SLICOT BD02AD 1.11; Patnaik et al. 1980"

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q is 1 for the states 1 and 5 and 0 otherwise, and R = I."""
        A = [
            [0.8701, 0.135, 0.01159, 0.0005014, -0.03722, 0.0003484, 0.0, 0.004242, 0.007249],
            [0.07655, 0.8974, 0.01272, 0.0005504, -0.04016, 0.0003743, 0.0, 0.00453, 0.007499],
            [-0.1272, 0.3575, 0.817, 0.001455, -0.1028, 0.000987, 0.0, 0.01185, 0.01872],
            [-0.3635, 0.6339, 0.07491, 0.7966, -0.2735, 0.002653, 0.0, 0.03172, 0.04882],
            [-0.96, 1.6459, -0.1289, -0.005597, 0.07142, 0.007108, 0.0, 0.08452, 0.1259],
            [-0.6644, 0.11296, -0.08889, -0.003854, 0.08447, 0.0136, 0.0, 0.1443, 0.1016],
            [-0.4102, 0.693, -0.05471, -0.002371, 0.06649, 0.01249, 0.0001063, 0.09997, 0.06967],
            [-0.1799, 0.3017, -0.02393, -0.001035, 0.06059, 0.02216, 0.0, 0.2139, 0.03554],
            [-0.3451, 0.5804, -0.04596, -0.001989, 0.1056, 0.01986, 0.0, 0.2191, 0.2152],
        ]
        B = [
            [0.000476, -5.701e-05, -0.008368],
            [8.79e-05, -0.0004773, -0.000273],
            [0.0001482, -0.001312, 0.0008876],
            [0.0003892, -0.003513, 0.00248],
            [0.001034, -0.009275, 0.00668],
            [0.0007203, -0.006159, 0.003834],
            [0.0004454, -0.003683, 0.002029],
            [0.0001971, -0.001554, 0.0006937],
            [0.0003773, -0.003028, 0.001469],
        ]
        return Plant(A, B, Q=np.diag([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), R=np.eye(3), dt=1.0)

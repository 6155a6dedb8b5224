"""A system of five states and four inputs."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real
from metalqr.systems.system import NamedSystem, Plant, SystemSettings, variance


@families.register("song_iannelli")
class SongIannelli(NamedSystem):
    """A system of five states and four inputs, with an integrator; its inputs differ in effect by a factor of 100.

    The source gives numbers without units or meaning. A step counts as one second. The variance of the noise is the
    smaller one of the source's two.
    """

    states = ("state 1", "state 2", "state 3", "state 4", "state 5")
    inputs = ("input 1", "input 2", "input 3", "input 4")
    reference = "Song, Iannelli, arXiv 2502.19977"

    class Settings(SystemSettings):
        """The variance of the noise."""

        noise_variance: Real = variance(1e-5)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = I."""
        A = [
            [1.0, -1.13, -0.65, -0.807, 1.59],
            [0.0, 0.77, 0.32, -0.98, -2.97],
            [0.0, 0.12, 0.02, 0.0, -0.36],
            [0.0, 0.01, 0.01, -0.03, -0.04],
            [0.0, 0.14, -0.09, 0.29, 0.76],
        ]
        B = [
            [89.2, -50.17, 1.13, -19.35],
            [5.22, 6.36, 0.23, -0.32],
            [-9.47, 5.93, -0.12, 0.99],
            [-0.32, 0.32, -0.01, -0.01],
            [-4.53, 3.21, -0.14, 0.09],
        ]
        return Plant(A, B, Q=np.eye(5), R=np.eye(4), dt=1.0)

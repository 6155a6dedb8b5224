"""A paper machine: a lag behind a delay."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Real, setting
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings


@families.register("paper_machine")
class PaperMachine(NamedSystem):
    r"""A paper machine as a first-order lag of gain K and time constant τ whose output is measured three steps later.

    .. math:: x_{t+1} = \Bigl(1 - \frac{\Delta}{\tau}\Bigr) x_t + \frac{K \Delta}{\tau} u_t

    Further states are the three values before. The cost is the square of the measured value, and of the input; so Q is
    singular. The cost and the defaults are choices: the source has τ = 1e8 steps, an integrator.
    """

    states = ("output", "output 1 step ago", "output 2 steps ago", "output 3 steps ago")
    inputs = ("input",)
    reference = "SLICOT BD02AD 2.1; Pappas et al. 1980"

    class Settings(SystemSettings):
        """Parameters of the machine."""

        gain: Parameter = parameter(
            1.0, symbol="K", about="output per input after a long time", low=0.01, high=100.0, typical=(0.8, 1.25)
        )
        time_constant: Parameter = parameter(
            10.0, unit="s", symbol=r"\tau", about="time constant of the lag", low=1.0, high=1e8, typical=(8.0, 12.5)
        )
        sample_time: Real = setting(
            1.0, unit="s", symbol=r"\Delta", about="time of a step, at most that of the lag", above=0, at_most=1
        )

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = diag(0, 0, 0, 1) and R = 1."""
        A = np.eye(4, k=-1)
        share = p.sample_time / p.time_constant
        A[0, 0] = 1.0 - share
        B = [[p.gain * share], [0.0], [0.0], [0.0]]
        return Plant(A, B, Q=np.diag([0.0, 0.0, 0.0, 1.0]), R=[[1.0]], dt=p.sample_time)

"""Integrators in a chain, the input into the last."""

from typing import Any

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, setting
from metalqr.systems.parameters import Parameter, parameter
from metalqr.systems.system import NamedSystem, Plant, SystemSettings


@families.register("chained_integrator")
class ChainedIntegrator(NamedSystem):
    """Integrators in a chain: each state is the rate of the one before, and the input that of the last.

    Euler steps: A has ones on the diagonal and the sampling time above it, B the sampling time in its last row, times
    ``input_gain``. The source has an input gain of 1; that it may vary is a choice.
    """

    inputs = ("rate of the last integrator",)
    reference = "Dean et al., arXiv 1805.09388"

    class Settings(SystemSettings):
        """Parameters of the chain."""

        size: Count = setting(2, label="integrators", about="number of integrators and states", size=True)
        input_gain: Parameter = parameter(
            1.0, about="effect of the input on the last integrator", low=0.01, high=100.0, typical=(0.5, 2.0)
        )
        sample_time: Real = setting(0.1, unit="s", about="time of a step", above=0)

    @property
    def states(self) -> tuple[str, ...]:  # type: ignore[override] # they depend on the size
        """Names of the states."""
        return tuple(f"integrator {place + 1}" for place in range(self.settings.size))

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices; Q = I and R = 1."""
        A = np.eye(p.size) + p.sample_time * np.eye(p.size, k=1)
        B = p.sample_time * p.input_gain * np.eye(p.size)[:, -1:]
        return Plant(A, B, Q=np.eye(p.size), R=[[1.0]], dt=p.sample_time)

"""What the nonlinear plants have in common."""

from typing import Any, ClassVar

import numpy as np

from metalqr.simulation.user.steps import StepSimulator
from metalqr.systems.catalogue import find, named


class NonlinearPlant(StepSimulator):
    """A plant with the parameters, noise, initial states and weights of the named system that is its linearisation.

    A subclass names the system and has a ``NamedTuple`` of those settings of the system that its ``step`` uses.

    Parameters
    ----------
    **settings : float
        Parameters and other settings of the named system, such as ``noise_variance``; see docs/systems.md.

    Attributes
    ----------
    linearisation : metalqr.systems.system.System
        The named system.

    Raises
    ------
    metalqr.config.problems.SettingsError
        If a setting is unknown, or its value impossible.
    """

    #: Name of the system.
    system: ClassVar[str]
    #: A ``NamedTuple`` of settings of the system.
    Parameters: ClassVar[type[Any]]

    def __init__(self, **settings: Any) -> None:
        self.linearisation = linear = named(self.system, **settings)
        values = find(self.system).Settings(**settings)
        self.parameters = self.Parameters._make(float(getattr(values, name)) for name in self.Parameters._fields)
        self.noise, self.initial_deviation = np.sqrt(np.diag(linear.Psi)), np.sqrt(np.diag(linear.Sigma0))
        self.initial_mean, self.Q, self.R = linear.initial_mean, linear.Q, linear.R

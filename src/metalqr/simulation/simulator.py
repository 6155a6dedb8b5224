"""Protocols of simulators: an estimator sees the costs of rollouts, and nothing else of the tasks."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metalqr.simulation.streams import Purpose, Stream

Array = NDArray[np.float64]
Tasks = NDArray[np.int64]


class Simulator(Protocol):
    """Costs of rollouts of perturbed policies; all that a model-free method may know of the tasks.

    Attributes
    ----------
    count, state_dim, action_dim : int
        Number of tasks I, and the dimensions d and k.
    """

    count: int
    state_dim: int
    action_dim: int

    def costs(self, gains: Array, length: int, stream: Stream, *, tasks: Tasks, purpose: Purpose) -> Array:
        """Cost of one rollout of every gain.

        Parameters
        ----------
        gains : array, shape (n, P, k, d)
            P gains for each entry of ``tasks``.
        length : int
            Steps of a rollout.
        stream : Stream
            Address of the random numbers: the same stream and purpose give the same numbers.
        tasks : array of int, shape (n,)
            Task that the gains of each entry control.
        purpose : Purpose
            Two purposes never share a number.

        Returns
        -------
        array, shape (n, P)
            Infinite, or not a number, where a rollout overflowed.
        """


class CompiledSimulator(Simulator, Protocol):
    """A simulator that also draws perturbations and adds up cost times perturbation, inside its compiled loop."""

    def weighted_directions(
        self,
        gains: Array,
        perturbations: int,
        radius: float,
        length: int,
        stream: Stream,
        *,
        tasks: Tasks,
        mirrored: bool,
    ) -> Array:
        r"""The mean :math:`\frac{1}{M} \sum_m \frac{dk}{r^2} \tilde J(K + U_m) U_m` at every gain K, (n, P, k, d).

        With ``mirrored`` every :math:`U_m` is replaced by :math:`-U_m`, with noise of its own.
        """

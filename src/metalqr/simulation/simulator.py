"""What an estimator sees of the tasks: the costs of rollouts, and nothing else."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from metalqr.lqr import LQRTasks
    from metalqr.simulation.streams import Purpose, Stream

Array = NDArray[np.float64]
Tasks = NDArray[np.int64]


class Simulator(Protocol):
    """Costs of rollouts of perturbed policies; the only way in which a model-free method may look at the tasks.

    Attributes
    ----------
    count, state_dim, action_dim : int
        Number of tasks I, and the dimensions d and k.
    """

    count: int
    state_dim: int
    action_dim: int

    def costs(self, gains: Array, length: int, stream: "Stream", *, tasks: Tasks, purpose: "Purpose") -> Array:
        """The cost of one rollout of every gain.

        Parameters
        ----------
        gains : array, shape (n, P, k, d)
            P gains for each entry of ``tasks``.
        length : int
            Steps of a rollout.
        stream : Stream
            Address of the random numbers: the same stream and purpose give the same numbers.
        tasks : array of int, shape (n,)
            Which task the gains of each entry are simulated on.
        purpose : Purpose
            Two purposes never share a number.

        Returns
        -------
        array, shape (n, P)
            Infinite, or not a number, where a rollout overflowed.
        """


class CompiledSimulator(Simulator, Protocol):
    """A simulator that also draws directions and adds up cost times direction, inside its compiled loop."""

    def weighted_directions(
        self,
        gains: Array,
        perturbations: int,
        radius: float,
        length: int,
        stream: "Stream",
        *,
        tasks: Tasks,
        mirrored: bool,
    ) -> Array:
        r"""The mean :math:`\frac{1}{M} \sum_m \frac{dk}{r^2} \tilde J(K + U_m) U_m` at every gain K, (n, P, k, d).

        With ``mirrored`` every :math:`U_m` is replaced by :math:`-U_m`, with noise of its own.
        """


class LQRSimulator:
    """The compiled rollouts of linear quadratic tasks (:mod:`metalqr.simulation.lqr_rollouts`).

    Parameters
    ----------
    tasks : LQRTasks
    precision : {"float64", "float32"}
    """

    def __init__(self, tasks: "LQRTasks", precision: str = "float64") -> None:
        self._tasks, self._precision = tasks, precision
        self.count, self.state_dim, self.action_dim = tasks.count, tasks.state_dim, tasks.action_dim

    def costs(self, gains: Array, length: int, stream: "Stream", *, tasks: Tasks, purpose: "Purpose") -> Array:
        """As :meth:`Simulator.costs`."""
        from metalqr import rollout

        return rollout.costs(self._tasks, gains, length, stream, tasks, self._precision, purpose)

    def weighted_directions(
        self,
        gains: Array,
        perturbations: int,
        radius: float,
        length: int,
        stream: "Stream",
        *,
        tasks: Tasks,
        mirrored: bool,
    ) -> Array:
        """As :meth:`CompiledSimulator.weighted_directions`."""
        from metalqr import rollout

        arguments: tuple[Any, ...] = (perturbations, radius, length, stream, tasks, self._precision, mirrored)
        return rollout.smoothed_gradients(self._tasks, gains, *arguments)

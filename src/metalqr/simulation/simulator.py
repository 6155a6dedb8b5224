"""Protocols of simulators: an estimator sees the costs of rollouts, and nothing else of the tasks."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

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
    replays_noise : bool
        Whether the same address gives the same noise again, as only a simulation can do it.
    """

    replays_noise: bool
    count: int
    state_dim: int
    action_dim: int

    def costs(
        self,
        gains: Array,
        length: int,
        stream: Stream,
        *,
        tasks: Tasks,
        purpose: Purpose,
        sharing: int = 1,
        discount: float = 1.0,
    ) -> Array:
        r"""Cost of one rollout of every gain.

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
        sharing : int
            So many gains share the initial state and all noise: those that are P / sharing entries apart. More than 1
            only where the simulator replays noise.
        discount : float
            :math:`\gamma` in (0, 1]: the cost of step t counts :math:`\gamma^t` times. Less than 1 only where nothing
            but the initial state is random.

        Returns
        -------
        array, shape (n, P)
            Infinite, or not a number, where a rollout overflowed.
        """


class WeightedDirections(NamedTuple):
    r"""The estimate that compiled loops add up: :math:`\frac{1}{M} \sum_m \frac{dk}{r^2} c_m U_m`.

    The coefficient :math:`c_m` is the sum of weight times :math:`\tilde J(K + s U_m)` over the signs s, less the mean
    of those of the other perturbations where ``leaves_one_out``.
    """

    perturbations: int
    radius: float
    #: "sphere" or "gaussian" to draw them inside the loop, or the directions themselves, (n', P, M, k, d): slot i of
    #: the gains has those of i modulo n'.
    drawn: str | Array = "sphere"
    signs: Sequence[float] = (1.0,)
    weights: Sequence[float] = (1.0,)
    leaves_one_out: bool = False
    #: Whether the rollouts of a perturbation share the initial state and all noise.
    common_noise: bool = False


class CompiledSimulator(Simulator, Protocol):
    """A simulator that also adds up coefficient times perturbation, inside its compiled loop.

    Its perturbations are in coordinates of its own, in which a distribution looks the same that does not change under
    rotations of states and of actions. The sums are in those of the gains.
    """

    def weighted_directions(
        self,
        gains: Array,
        directions: WeightedDirections,
        length: int,
        stream: Stream,
        *,
        tasks: Tasks,
        first_policy: Tasks | None = None,
    ) -> Array:
        """The estimate at every gain (n, P, k, d), of that shape.

        ``first_policy`` (n,) is the place of the first gain of each slot in the random numbers: slots with the same one
        share them all. By default none do.
        """

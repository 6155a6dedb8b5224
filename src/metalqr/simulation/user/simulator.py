"""Rollouts of a user's own simulator, as estimators ask for them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import real_array, whole_number
from metalqr.simulation.simulator import Array, Simulator, Tasks
from metalqr.simulation.streams import Purpose, Stream
from metalqr.simulation.user.errors import SimulatorError
from metalqr.simulation.user.tasks import SimulatedTasks


class UserSimulator(Simulator):
    """Costs of rollouts by a user's own simulator, with a seed for each in place of an address.

    Parameters
    ----------
    tasks : SimulatedTasks
    discounts : bool
        Whether every call passes ``discount`` on, also a discount of 1. The simulator then returns the sum of the
        discounted costs from a random initial state, without any other noise, as
        :class:`metalqr.initial_gains.annealed.Annealed` needs it.

    Attributes
    ----------
    simulated_steps : int
        Steps simulated so far, all rollouts together.
    replays_noise : bool
        As far as the simulator was tried.
    """

    def __init__(self, tasks: SimulatedTasks, *, discounts: bool = False) -> None:
        if discounts and not tasks.discounts:
            raise SimulatorError(
                f"simulator {tasks.name}: its costs have no argument discount, which initial_gain: annealed needs; add "
                "one, with which the sum of the costs is returned, that of step t discount^t times, from a random "
                "initial state without other noise, and leave out timeout; or give the gain"
            )
        self._tasks, self._discounts = tasks, discounts
        self.count, self.state_dim, self.action_dim = tasks.count, tasks.state_dim, tasks.action_dim
        self.replays_noise = tasks.replays_noise
        self.simulated_steps = 0
        self._without_cost = 0

    def costs(
        self,
        gains: ArrayLike,
        length: int,
        stream: Stream,
        *,
        tasks: Tasks | None = None,
        purpose: Purpose = Purpose.ROLLOUT,
        sharing: int = 1,
        discount: float = 1.0,
    ) -> Array:
        """As :meth:`metalqr.simulation.simulator.Simulator.costs`; by default of every task once, in order.

        Infinite, or the ``unstable_cost`` of the tasks, where the simulator gives no finite cost.

        Raises
        ------
        SimulatorError
            As :meth:`SimulatedTasks.costs`; or if rollouts are to share noise that the simulator does not replay.
        """
        chosen = np.arange(self.count) if tasks is None else np.asarray(tasks)
        policies, steps = real_array("K", gains), whole_number("length", length)
        wanted = (len(chosen), self.action_dim, self.state_dim)
        if policies.ndim != 4 or (policies.shape[0], *policies.shape[2:]) != wanted:
            raise ValueError(
                f"K has shape {policies.shape}, expected ({wanted[0]}, M, {wanted[1]}, {wanted[2]}): M gains for "
                "each task"
            )
        count = policies.shape[1]
        if count % whole_number("sharing", sharing):
            raise ValueError(f"sharing: {count} gains cannot share noise in groups of {sharing}")
        if sharing > 1 and not self.replays_noise:
            raise SimulatorError(
                f"common_noise: true needs a simulator that replays its noise, and {self._tasks.name} does not give "
                "the same cost again for the same seed; draw all randomness from the seed, or set common_noise: false"
            )
        if discount != 1.0 and not self._discounts:
            raise ValueError(f"discount: {discount!r} needs a simulator that discounts, or 1")
        options = {"discount": discount} if self._discounts else {}
        seeds = np.tile(rollout_seeds(stream, purpose, (len(chosen), count // sharing)), (1, sharing))
        found = self._tasks.costs_of_all(chosen, policies, steps, seeds, **options)
        self.simulated_steps += found.size * steps
        without = ~np.isfinite(found)
        self._without_cost = int(without.sum())
        return np.where(without, self._tasks.unstable_cost, found)

    def count_unstable(self, gains: Array, tasks: Tasks) -> int:
        """Number of the last rollouts that had no finite cost: without the model, nothing else tells."""
        return self._without_cost


def rollout_seeds(stream: Stream, purpose: Purpose, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Seeds of rollouts, of this shape, each from 0 to 2^53 - 1: numbers of Philox at the address of the stream."""
    generator = np.random.Philox(
        key=np.array([(int(stream.seed) << 8) | stream.use | purpose, _USERS], dtype=np.uint64),
        counter=np.array([0, 0, 0, stream.iteration], dtype=np.uint64),
    )
    raw = generator.random_raw(shape[0] * shape[1])
    return (np.asarray(raw, dtype=np.uint64) >> np.uint64(11)).astype(np.int64).reshape(shape)


#: The second word of the key, which no stream of metalqr's own rollouts has.
_USERS = 0x5EED

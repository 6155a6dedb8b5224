"""The costs of the gains of a run: exact with the model, measured by rollouts of a simulator without it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import FloatArray, LQRTasks, common_gain, require_stabilising
from metalqr.lqr.evaluation import costs as exact_costs
from metalqr.simulation.user import SimulatedTasks, SimulatorError

#: Tasks that a run can have.
AnyTasks = LQRTasks | SimulatedTasks


class Costs(NamedTuple):
    """Costs of gains (n, I), with their standard errors where they are measured."""

    cost: NDArray[np.float64]
    error: NDArray[np.float64] | None

    def ended(self, place: int) -> bool:
        """True if a run ends at one of these gains: it does not stabilise a task, or a rollout has no finite cost."""
        cost = self.cost[place]
        return bool((~np.isfinite(cost) if self.error is None else np.isinf(cost)).any())


def costs_of(tasks: AnyTasks, gains: FloatArray) -> Costs:
    """Costs of gains (n, k, d), or (n, I, k, d) with one for each task."""
    if isinstance(tasks, LQRTasks):
        return Costs(exact_costs(tasks, gains), None)
    return Costs(*tasks.measured(gains))


def checked_gain(tasks: AnyTasks, K0: ArrayLike) -> FloatArray:
    """The initial gain (k, d), once it is clear that it stabilises every task, as far as this can be known.

    Raises
    ------
    UnstablePolicyError
        If it does not stabilise a task.
    SimulatorError
        If a rollout of a simulator has no finite cost, or the simulator cannot be used.
    ValueError
        If it does not have the shape (k, d), or holds something that is not finite.
    """
    gain = common_gain(tasks, K0, "K0")
    if isinstance(tasks, LQRTasks):
        require_stabilising(tasks, gain, "the initial gain")
        return gain
    tasks.try_out(gain)
    cost = tasks.measured(gain[np.newaxis]).cost[0]
    if lost := np.flatnonzero(np.isinf(cost)).tolist():
        named = f"task {lost[0]}" if len(lost) == 1 else f"tasks {', '.join(map(str, lost))}"
        raise SimulatorError(
            f"the initial gain: rollouts of {tasks.evaluation_length} steps on {named} of simulator {tasks.name} "
            "have no finite cost; give another gain, such as initial_gain: annealed, a smaller evaluation_length, or "
            "unstable_cost, the cost of such a rollout"
        )
    return gain

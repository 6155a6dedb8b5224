"""The simulator of some tasks: compiled rollouts of matrices, or the user's own."""

from typing import Protocol

from metalqr.lqr import LQRTasks
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.simulator import Array, Simulator, Tasks
from metalqr.simulation.user.simulator import UserSimulator
from metalqr.simulation.user.tasks import SimulatedTasks


class CountingSimulator(Simulator, Protocol):
    """A simulator that counts what it does."""

    #: Steps simulated so far, all rollouts together.
    simulated_steps: int

    def count_unstable(self, gains: Array, tasks: Tasks) -> int:
        """Number of the gains (n, P, k, d) that leave their task unstable, as far as the simulator can tell."""


def simulator_of(tasks: LQRTasks | SimulatedTasks, precision: str = "float64") -> CountingSimulator:
    """The simulator of tasks; ``precision`` is that of compiled rollouts, and of no other."""
    return UserSimulator(tasks) if isinstance(tasks, SimulatedTasks) else LQRSimulator(tasks, precision)

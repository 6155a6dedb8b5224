"""A task family of your own: a mass on a spring and a damper, whose stiffness differs from task to task.

Copy the file beside your config and name it there:

    plugins: [own_family.py]
    cases:
      oscillator:
        state_dim: 2
        action_dim: 1
        tasks: {family: oscillators, count: 5, stiffness_low: 0.5, stiffness_high: 1.5}
        initial_gain: zero
        algorithm: {learning_rate: 1.0e-3, adaptation_rate: 1.0e-4}
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, setting
from metalqr.systems.family import Family, FamilyError, TaskSettings

if TYPE_CHECKING:
    from metalqr.lqr import LQRTasks
    from metalqr.systems.addresses import Address


@families.register("oscillators")
class Oscillators(Family):
    r"""Euler steps of 0.2 for :math:`\ddot y = -s y - 0.6 \dot y + u`, with a random stiffness s."""

    class Settings(TaskSettings):
        """Settings of the family, given next to ``family`` in the config."""

        count: Count = setting(5, symbol="I", label="tasks", about="number of tasks", size=True)
        stiffness_low: Real = setting(0.5, symbol="s", label="lower stiffness", about="smallest stiffness", above=0)
        stiffness_high: Real = setting(1.5, symbol="s", label="upper stiffness", about="largest stiffness", below=2)

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence["Address"]) -> "LQRTasks":
        """The tasks at some addresses, those of the case and unseen ones; they differ in A alone."""
        from metalqr.lqr import LQRTasks

        if (state_dim, action_dim) != (2, 1):
            raise FamilyError(f"oscillators have d = 2 and k = 1, not {state_dim} and {action_dim}; correct the case")
        ends, step = (self.settings.stiffness_low, self.settings.stiffness_high), 0.2
        stiffness = [address.generator(self.name, seed).uniform(*ends) for address in places]
        A = np.array([[[1.0, step], [-step * s, 1.0 - 0.6 * step]] for s in stiffness])
        every = (len(places), 1, 1)
        return LQRTasks(
            A=A,
            B=np.tile([[0.0], [step]], every),
            Q=np.tile(np.eye(2), every),
            R=np.tile(np.eye(1), every),
            Psi=np.tile(0.1 * np.eye(2), every),
        )

"""A method of your own: the multi-task policy gradient with a step of bounded length.

Write its name into the config, beside the file:

    plugins: [own_method.py]
    algorithm: {method: clipped_mean_cost, longest_step: 0.01}
"""

from typing import TYPE_CHECKING

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import methods
from metalqr.config.settings import Real, setting
from metalqr.training import Direction, State
from metalqr.training.methods.mean_cost import MeanCost

if TYPE_CHECKING:
    from metalqr.simulation.streams import Stream


@methods.register("clipped_mean_cost")
class ClippedMeanCost(MeanCost):
    r"""As ``mean_cost``, but no step is longer than c: :math:`g \min(1, c / (\alpha \|g\|_F))`."""

    class Settings(declared.Settings):
        """Settings of this method, given in ``algorithm`` like the shared ones."""

        longest_step: Real = setting(
            0.01, symbol="c", label="longest step", about="largest Frobenius norm of a step", above=0
        )

    is_step_prescribed = True  # another update rule would make other steps of the directions, which are not bounded

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The direction of ``mean_cost``, shortened where it is too long."""
        found = super().direction(state, stream)
        step = self.settings.learning_rate * np.linalg.norm(found.gradient)
        return found._replace(gradient=found.gradient * min(1.0, self.own.longest_step / step))

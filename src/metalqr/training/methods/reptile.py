"""Reptile: towards the mean of the gains that the tasks reach in a few gradient steps each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.registries import methods
from metalqr.config.settings import Count, setting
from metalqr.estimators.estimator import Direction
from metalqr.training.method import State, Work, perturbed_policies
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


@methods.register("reptile")
class Reptile(RolloutMethod):
    r"""Descent along the mean displacement of the tasks' gains after s gradient steps each.

    .. math:: g = \sum_i p_i \frac{K - K_i^s}{\eta} = \sum_i p_i \sum_{j < s} \hat g_i(K_i^j), \qquad
              K_i^0 = K, \quad K_i^{j+1} = K_i^j - \eta \hat g_i(K_i^j)

    With s = 1 that is ``mean_cost``. As g grows with s, a good ``learning_rate`` shrinks with it. For s > 1 its mean is
    no gradient of any objective.

    Source: Nichol, Achiam, Schulman (2018), *On First-Order Meta-Learning Algorithms*.
    """

    class Settings(declared.Settings):
        """Settings of Reptile."""

        inner_steps: Count = setting(
            5, symbol="s", label="inner steps", about="gradient steps of each task from the common gain", size=True
        )

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """Without an adaptation no task moves."""
        if settings.adaptation_rate == 0:
            yield "adaptation_rate", "0 is not > 0, as reptile needs it; give one, or method: mean_cost"

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """One rollout for every perturbed policy of every step."""
        policies = perturbed_policies(count, settings)
        steps: int = settings.of(cls).inner_steps
        return Work(policies, policies * steps, steps)

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The mean displacement over the batch, divided by the adaptation rate."""
        batch = self.estimation.batch(stream)
        gains = np.broadcast_to(state.K, (len(batch.tasks), *state.K.shape))
        way, steps, unstable = np.zeros(gains.shape), 0, 0
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(self.own.inner_steps):
                # A separate address for every inner step of every iteration.
                address = stream.at(stream.iteration * self.own.inner_steps + step)
                found = self.estimation.task_gradients(gains, address, batch.tasks)
                way = way + found.gradient
                gains = gains - self.settings.adaptation_rate * found.gradient
                steps, unstable = steps + found.rollout_steps, unstable + found.unstable_perturbations
            gradient = np.einsum("i,ikd->kd", batch.weights, way)
        return Direction(gradient, rollout_steps=steps, unstable_perturbations=unstable)

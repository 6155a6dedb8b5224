"""Several gradient steps of every task from the common gain, as Reptile and the Moreau envelope make them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from metalqr.config import settings as declared
from metalqr.config.settings import Count, setting
from metalqr.estimators.estimator import Array, Direction
from metalqr.training.method import State, Work, perturbed_policies
from metalqr.training.rollout_method import RolloutMethod

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


class InnerSteps(declared.Settings):
    """Settings of a method with several steps of every task."""

    inner_steps: Count = setting(
        5, symbol="s", label="inner steps", about="gradient steps of each task from the common gain", size=True
    )


def refuse_no_step(name: str, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
    """Without an adaptation no task moves."""
    if settings.adaptation_rate == 0:
        other = "exact_mean_cost" if name.startswith("exact_") else "mean_cost"
        yield "adaptation_rate", f"0 is not > 0, as {name} needs it; give one, or method: {other}"


class InnerStepsMethod(RolloutMethod):
    r"""A method that lets every task take s steps from the common gain, and follows what they find.

    .. math:: K_i^0 = K, \quad K_i^{j+1} = K_i^j - \eta (\hat g_i(K_i^j) + \lambda (K_i^j - K))
    """

    class Settings(InnerSteps):
        """The number of steps."""

    is_adaptive = True

    @property
    def pull(self) -> float:
        r""":math:`\lambda`, the weight of the way back to the common gain."""
        return 0.0

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """An adaptation rate of zero."""
        yield from refuse_no_step(cls.name, settings)

    @classmethod
    def work(cls, count: int, settings: "MetaSettings") -> Work:
        """One rollout for every perturbed policy of every step."""
        policies = perturbed_policies(count, settings)
        steps: int = settings.of(cls).inner_steps
        return Work(policies, policies * steps, steps)

    def found(self, gradients: Array, displacement: Array) -> Array:
        """The direction of each task (n, k, d) from the sum of its gradients; K - K_i where there is a pull."""
        raise NotImplementedError(f"{type(self).__name__} does not override found")

    def direction(self, state: State, stream: "Stream") -> Direction:
        """The mean over the batch of what the tasks find."""
        batch, rate = self.estimation.batch(stream), self.settings.adaptation_rate
        gains = np.broadcast_to(state.K, (len(batch.tasks), *state.K.shape))
        gradients, moved, steps, unstable = np.zeros(gains.shape), np.zeros(gains.shape), 0, 0
        memory = state.memory  # of the inner step before, the first of which is the last of the iteration before
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(self.own.inner_steps):
                # A separate address for every inner step of every iteration.
                address = stream.at(stream.iteration * self.own.inner_steps + step)
                found = self.estimation.task_gradients(gains, address, batch.tasks, memory)
                memory = found.memory
                gradients = gradients + found.gradient
                if self.pull:  # summed up, since the difference of gains loses digits
                    moved = moved + rate * (found.gradient - self.pull * moved)
                    gains = state.K - moved
                else:
                    gains = gains - rate * found.gradient
                steps, unstable = steps + found.rollout_steps, unstable + found.unstable_perturbations
            gradient = np.einsum("i,ikd->kd", batch.weights, self.found(gradients, moved))
        return Direction(gradient, memory, steps, unstable)

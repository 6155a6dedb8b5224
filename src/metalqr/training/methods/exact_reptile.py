"""Reptile with exact gradients."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array, Direction
from metalqr.training.exact_method import ExactMethod
from metalqr.training.inner_steps import InnerSteps, refuse_no_step
from metalqr.training.method import State

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.streams import Stream


@methods.register("exact_reptile")
class ExactReptile(ExactMethod):
    r"""The process that ``reptile`` estimates: :math:`g = \sum_i p_i \sum_{j < s} \nabla J_i(K_i^j)` from the model.

    Source: Nichol, Achiam, Schulman (2018), *On First-Order Meta-Learning Algorithms*.
    """

    class Settings(InnerSteps):
        """The number of steps."""

    is_adaptive = True

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """An adaptation rate of zero."""
        yield from refuse_no_step(cls.name, settings)

    def along(self, K: Array) -> Array:
        """The exact mean displacement; there is none where a gain on the way is unstable."""
        from metalqr.objectives.adaptation import reptile

        return reptile(self.tasks, K, self.settings.adaptation_rate, self.own.inner_steps)

    def mean_direction(self, state: State, stream: "Stream") -> Direction:
        """The gradient of the mean cost, s times."""
        found = super().mean_direction(state, stream)
        return found._replace(gradient=self.own.inner_steps * found.gradient)

"""The plain gradient step, that of Algorithm 3."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.registries import update_rules
from metalqr.estimators.estimator import Array, Memory
from metalqr.training.updates.update_rule import UpdateRule

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings


@update_rules.register("gradient")
class Gradient(UpdateRule):
    r"""The direction itself: :math:`K_{n+1} = K_n - \alpha g_n`.

    Source: Algorithm 3 of the paper.
    """

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """None: it leaves the steps of every method as they are."""
        yield from ()

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The direction."""
        return gradient, memory

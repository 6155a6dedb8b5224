"""The base of all update rules: the step that a method makes along its directions."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import methods
from metalqr.config.registry import Plugin
from metalqr.estimators.estimator import Array, Memory

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.lqr import LQRTasks

#: Prefix of the names of a rule's memory in the memory of a run, beside those of the method and the estimator.
_PREFIX = "update_rule."


class UpdateRule(Plugin):
    r"""The update :math:`u_n` made of the directions :math:`g_0, \ldots, g_n`: :math:`K_{n+1} = K_n - \alpha u_n`.

    A rule works entry by entry, or on the gain as a whole; where every task has its own gain, both have the shape
    (I, k, d), otherwise (k, d). It never sees a direction whose norm is not finite: the step along that is the plain
    one, which ends the run. A rule with the model may also replace the step :math:`\alpha u_n`, see :meth:`limited`.

    Attributes
    ----------
    settings : MetaSettings
        All settings of the run; those of the rule itself are ``own``.
    """

    def __init__(self, settings: "MetaSettings") -> None:
        self.settings = settings
        self.own = settings.of(type(self))

    @classmethod
    def refusals(cls, settings: "MetaSettings") -> Iterator[tuple[str, str]]:
        """A method whose steps are its own follows no rule other than ``gradient``."""
        if methods.get(settings.method).has_own_step():
            yield (
                "update_rule",
                f"{cls.name} cannot change the steps of method: {settings.method}, which are its own; "
                "set update_rule: gradient, or choose another method",
            )

    @classmethod
    def uses_model(cls) -> bool:
        """True if it overrides :meth:`limited`, which gets the model of the tasks."""
        return cls.limited is not UpdateRule.limited

    def init(self, K: Array) -> Memory:
        """The memory before the first update, arrays by name; by default none."""
        return {}

    def update(self, gradient: Array, memory: Memory) -> tuple[Array, Memory]:
        """The update, of the shape of the direction, and the memory for the next iteration.

        Neither the direction nor the arrays of the memory may be changed in place.
        """
        raise NotImplementedError(f"{type(self).__name__} does not override update")

    def limited(self, step: Array, K: Array, tasks: "LQRTasks") -> Array:
        """What is subtracted from the gain K in place of a step; by default the step itself.

        ``tasks`` are the exact model, those whose stability ends a run. No array may be changed in place.
        """
        return step


def separate(memory: Memory) -> tuple[Memory, Memory]:
    """The memory of a run in two parts: that of the method and its estimator, and that of the update rule."""
    if not memory:
        return memory, memory
    own = {name: array for name, array in memory.items() if not name.startswith(_PREFIX)}
    return own, {name.removeprefix(_PREFIX): array for name, array in memory.items() if name not in own}


def together(own: Memory, of_rule: Memory) -> Mapping[str, Any]:
    """The memory of a run from its two parts.

    A ValueError is raised if the method or its estimator uses a name that is reserved for the update rule.
    """
    if taken := [name for name in own if name.startswith(_PREFIX)]:
        raise ValueError(f"memory: the name {taken[0]!r} is reserved for the update rule; choose another")
    return {**own, **{f"{_PREFIX}{name}": array for name, array in of_rule.items()}}

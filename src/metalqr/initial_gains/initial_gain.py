"""The base of the ways to find the gain that training starts from."""

from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registry import Plugin
from metalqr.config.settings import Settings
from metalqr.lqr import FloatArray
from metalqr.systems.family import Family

if TYPE_CHECKING:
    from metalqr.config.sizes import Sizes


class InitialGain(Plugin):
    """Way to find the gain that training starts from. One is this class with settings and :meth:`gain`.

    In a config it is ``initial_gain: NAME``, or ``initial_gain: {NAME: value}`` with the value of its only setting, or
    with a mapping where it has several. Whoever calls it checks that the gain stabilises every task.
    """

    #: True if it is designed for the nominal system of the family, which not every family has.
    needs_nominal: ClassVar[bool] = False
    #: True if it compiles and runs rollouts.
    simulates: ClassVar[bool] = False
    #: True if it uses the model of the tasks, which a simulator does not give.
    needs_model: ClassVar[bool] = True
    #: An entry of a config, for messages, where the name alone is not enough.
    example: ClassVar[str] = ""

    def __init__(self, settings: Settings) -> None:
        self.settings: Any = settings

    @classmethod
    def needs_settings(cls) -> bool:
        """Return True if the name alone is not enough."""
        return any(each.is_required for each in cls.Settings.declarations())

    def need(self, sizes: "Sizes") -> tuple[float, float]:
        """Numbers in memory at a time, and seconds, of a search: upper bounds, by default those with the model.

        These are of responses at frequencies, and of descents with one evaluation for each entry of a gain.
        """
        d, k = sizes.state_dim, sizes.action_dim
        return 240 * d * (d + k), sizes.tasks * (1.0 + 1.2e-5 * d**3 + 4e-4 * d * k * min(d, k))

    def gain(self, tasks: Any, family: Family, seed: int) -> FloatArray:
        """Find a gain for the tasks, shape (k, d), which the family made with that seed."""
        raise NotImplementedError(f"{type(self).__name__} does not override gain")

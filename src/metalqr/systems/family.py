"""What a task family is: settings, from which tasks of given dimensions are made."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from metalqr.config.registry import Plugin
from metalqr.config.settings import Settings

if TYPE_CHECKING:
    from metalqr.lqr import LQRTasks


class FamilyError(ValueError):
    """A task family cannot be made as declared; the message names the setting, the value and the next step."""


class Family(Plugin):
    """A source of tasks. A family is this class with settings and :meth:`tasks`.

    Parameters
    ----------
    settings : Settings
        Those of the family.
    """

    #: The setting behind the number of tasks: a number, or a list with an entry for each task.
    count_setting: ClassVar[str] = "count"
    #: Whether the tasks depend on the seed of the config.
    is_random: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings: Any = settings

    @property
    def count(self) -> int:
        """Number of tasks."""
        counted = getattr(self.settings, self.count_setting)
        return counted if isinstance(counted, int) else len(counted)

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """What does not fit dimensions: the path of a setting, such as ``A[0]``, and what is wrong there."""
        return iter(())

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> "LQRTasks":
        """The tasks.

        Parameters
        ----------
        state_dim, action_dim : int
            d and k, both >= 1.
        seed : int
            A whole number >= 0; only a family that ``is_random`` looks at it.

        Returns
        -------
        LQRTasks

        Raises
        ------
        FamilyError
            If there are no such tasks.
        """
        raise NotImplementedError(f"{type(self).__name__} does not override tasks")

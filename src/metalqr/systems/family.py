"""Task families: settings, from which tasks of given dimensions are made."""

from collections.abc import Iterator
from typing import Any, ClassVar

from metalqr.config.registry import Plugin
from metalqr.config.settings import Settings
from metalqr.lqr import FloatArray, LQRTasks


class FamilyError(ValueError):
    """A task family cannot be made as declared; the message names the setting, the value and the next step."""


class Family(Plugin):
    """Source of tasks. A family is this class with settings and :meth:`tasks`."""

    #: The setting behind the number of tasks: a number, or a list with an entry for each task.
    count_setting: ClassVar[str] = "count"
    #: True if the tasks depend on the seed of the config.
    is_random: bool = True
    #: True if there is a nominal system, :meth:`nominal`.
    has_nominal: ClassVar[bool] = False
    #: The page of the documentation with the table of its settings.
    docs_page: ClassVar[str] = "configuration.md"

    def __init__(self, settings: Settings) -> None:
        self.settings: Any = settings

    @property
    def count(self) -> int:
        """Number of tasks."""
        counted = getattr(self.settings, self.count_setting)
        return counted if isinstance(counted, int) else len(counted)

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Numbers of states and inputs, where the settings determine them."""
        return None

    @property
    def digest(self) -> str:
        """What tells one content of a file behind the settings from another, for reruns; empty where there is none."""
        return ""

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """Settings that do not fit the dimensions: the path, such as ``A[0]``, and what is wrong there."""
        return iter(())

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """Make the tasks; only a family that ``is_random`` uses the seed.

        Raises
        ------
        FamilyError
            If there are no such tasks.
        """
        raise NotImplementedError(f"{type(self).__name__} does not override tasks")

    def initial_gain(self) -> FloatArray | None:
        """The initial gain that came with the tasks, if any, not checked."""
        return None

    def nominal(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """Make the nominal system, a set of one task, for which an initial gain can be designed."""
        raise NotImplementedError(f"{type(self).__name__} does not override nominal")

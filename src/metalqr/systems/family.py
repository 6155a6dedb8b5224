"""Task families: settings, from which tasks of given dimensions are made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from metalqr.config.benefit import Difference
from metalqr.config.registry import Plugin
from metalqr.config.settings import Settings as Plain
from metalqr.config.settings import setting
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.existence import are_stabilisable
from metalqr.systems.addresses import Address, Pool, addresses
from metalqr.systems.resampling import ResampledTasks

#: Draws of one place that are tried.
MAX_DRAWS = 100


#: The next step where tasks cannot be drawn.
RANDOM_FAMILIES = (
    "choose a family that draws them: similar, legacy, a named system with a range as in length: {low: 0.25, high: "
    "0.35}, or one of your own with the method draw"
)


class FamilyError(ValueError):
    """A task family cannot be made as declared; the message names the setting, the value and the next step."""


class TaskSettings(Plain):
    """The settings that all families of metalqr have; a family adds its own."""

    resample: Literal["never", "each_iteration"] = setting(
        "never",
        about="each_iteration: training draws count new tasks in every iteration, and the tasks of the case, on which "
        "costs are reported, are held out",
    )


class Draws(NamedTuple):
    """Tasks that some gain stabilises, and how often each was drawn before without one, shape (I,)."""

    tasks: LQRTasks
    redraws: NDArray[np.int64]


class Family(Plugin):
    """Source of tasks. A family is this class with settings and :meth:`tasks`, or :meth:`draw` if it can draw more."""

    #: The setting behind the number of tasks: a number, or a list with an entry for each task.
    count_setting: ClassVar[str] = "count"
    #: True if the tasks depend on the seed of the config.
    is_random: bool = True
    #: False if nothing is known of the tasks but costs of rollouts: no stage that needs the model then takes the case.
    has_model: ClassVar[bool] = True
    #: True if there is a nominal system, :meth:`nominal`.
    has_nominal: ClassVar[bool] = False
    #: The page of the documentation with the table of its settings.
    docs_page: ClassVar[str] = "configuration.md"

    class Settings(TaskSettings):
        """No further settings."""

    def __init__(self, settings: Plain) -> None:
        self.settings: Any = settings

    @property
    def count(self) -> int:
        """Number of tasks."""
        counted = getattr(self.settings, self.count_setting)
        return counted if isinstance(counted, int) else len(counted)

    @property
    def has_program(self) -> bool:
        """False if rollouts are made elsewhere, so that their costs must be asked for by files."""
        return True

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Numbers of states and inputs, where the settings determine them."""
        return None

    @property
    def sources(self) -> list[Path]:
        """The files with the code of the family: its tasks are made anew when one is edited."""
        return [self.source]

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
        if type(self).draw is Family.draw:
            raise NotImplementedError(f"{type(self).__name__} overrides neither tasks nor draw")
        return self.draw(state_dim, action_dim, seed, addresses(Pool.TRAINING, range(self.count)))

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> LQRTasks:
        """Draw the tasks at some addresses; those of :attr:`Pool.TRAINING`, 0 to I - 1, are :meth:`tasks`.

        A task depends on its address and the seed, and on no other address. Random numbers are those of
        :meth:`Address.generator`, which is given the name of the family.

        Raises
        ------
        FamilyError
            If the family cannot draw, see :attr:`why_fixed`, or if there are no such tasks.
        """
        raise FamilyError(self.why_fixed)

    def draw_stabilisable(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> Draws:
        """Draw the tasks at some addresses; where no gain stabilises one, at the next address of that place.

        Raises
        ------
        FamilyError
            As :meth:`draw`, or if a place has no such task.
        """
        found = list(places)
        tasks = self.draw(state_dim, action_dim, seed, found)
        failing = np.flatnonzero(~are_stabilisable(tasks)).tolist()
        for _ in range(MAX_DRAWS):
            if not failing:
                redraws = np.array([new.redraw - old.redraw for new, old in zip(found, places, strict=True)])
                return Draws(self.draw(state_dim, action_dim, seed, found) if redraws.any() else tasks, redraws)
            for index in failing:
                found[index] = found[index]._replace(redraw=found[index].redraw + 1)
            again = self.draw(state_dim, action_dim, seed, [found[index] for index in failing])
            failing = [failing[index] for index in np.flatnonzero(~are_stabilisable(again))]
        raise FamilyError(
            f"the family {self.name} gave {MAX_DRAWS} draws in a row that no gain stabilises; narrow the ranges of its "
            "parameters, or lower its perturbation"
        )

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The differences between tasks that :meth:`varied` can scale: all together, and one kind alone."""
        return ("both",)

    def varied(self, factor: float, difference: Difference = "both") -> Self:
        """The same family with tasks that differ so many times as much, in ``difference`` alone; random numbers stay.

        Parameters
        ----------
        factor : float
            Positive; with 1 and all differences, the tasks are those of the family.
        difference : {"dynamics", "costs", "both"}
            One of :attr:`differences`.

        Raises
        ------
        FamilyError
            If the family does not say how.
        metalqr.config.problems.SettingsError
            If a setting is then out of its range.
        """
        if factor == 1.0 and difference == "both":
            return self
        raise FamilyError(
            f"the family {self.name} does not say how its tasks come to differ more or less; override its method "
            "varied, or compare the family as it is: heterogeneity: [1.0]"
        )

    @property
    def resamples(self) -> bool:
        """True if training draws new tasks in every iteration; those of :meth:`tasks` are then held out."""
        return getattr(self.settings, "resample", "never") != "never"

    def resampled(self, state_dim: int, action_dim: int, seed: int) -> ResampledTasks:
        """The tasks that training draws, where the family :attr:`resamples`."""
        return ResampledTasks(self, state_dim, action_dim, seed)

    @property
    def why_fixed(self) -> str:
        """The reason why no more tasks can be drawn, with the key and the next step; empty where they can."""
        if type(self).draw is not Family.draw:
            return ""
        return f"the family {self.name} cannot draw further tasks, it has those that it is given; {RANDOM_FAMILIES}"

    def initial_gain(self) -> FloatArray | None:
        """The initial gain that came with the tasks, if any, not checked."""
        return None

    def nominal(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """Make the nominal system, a set of one task, for which an initial gain can be designed."""
        raise NotImplementedError(f"{type(self).__name__} does not override nominal")

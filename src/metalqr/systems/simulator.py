"""Tasks of a user's own simulator: parameters in place of matrices."""

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from metalqr.common.object_path import split
from metalqr.config.folders import located
from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, refuse, setting
from metalqr.config.settings import Settings as Plain
from metalqr.systems.family import Family

if TYPE_CHECKING:
    from metalqr.lqr import LQRTasks

Parameters = Annotated[list[dict[str, Any]], Field(min_length=1)]


@families.register("simulator")
class Simulator(Family):
    """Tasks of a simulator of your own, which returns the costs of rollouts and nothing else.

    A case has them as ``simulator: {path: my.py:Name, tasks: [...]}`` in place of ``tasks``. There is no model: no
    optimum, no floor and no exact cost. Costs are measured by rollouts with the same seeds for every gain.
    """

    is_random = False
    has_model = False
    count_setting = "tasks"

    class Settings(Plain):
        """The simulator, and the parameters of each task."""

        path: str | None = setting(
            None,
            about="the class or function: of a file relative to the folder of the config, my.py:Name, or of an "
            "installed module, package.module:Name. Without one, metalqr ask writes the gains into a file and metalqr "
            "tell reads their costs",
        )
        tasks: Parameters = setting(
            about="for each task the parameters of its simulator, by name; {} where it has none"
        )
        state_dim: Count = setting(symbol="d", label="state dimension", about="columns of a gain", size=True)
        action_dim: Count = setting(symbol="k", label="action dimension", about="rows of a gain", size=True)
        timeout: Real | None = setting(
            None,
            unit="s",
            about="time that a call may take; the simulator then runs in a process of its own. By default, any time",
            above=0,
        )
        unstable_cost: Real | None = setting(
            None,
            label="cost of a lost rollout",
            about="cost of a rollout without a finite one; by default, the run ends there as diverged",
        )
        evaluation_rollouts: Count = setting(
            32, about="rollouts by which the cost of a gain is measured on each task; the same seeds for every gain",
            at_least=2,
        )  # fmt: skip
        evaluation_length: Count = setting(200, unit="steps", about="steps of these rollouts")
        step_seconds: Real = setting(
            1.0e-6, unit="s", about="time of a simulated step, for the run time that a cluster is asked for", above=0
        )

        @model_validator(mode="after")
        def _is_there(self) -> Self:
            if self.path is None:
                return self
            place, name = split(self.path)
            if not name:
                raise refuse(
                    "path", f"{self.path!r} names no class or function; write it after a colon, as in my.py:Name"
                )
            if place.endswith(".py"):
                try:
                    file = located(place)
                except ValueError as error:
                    raise refuse("path", str(error)) from None
                if not file.is_file():
                    raise refuse("path", f"there is no file {place!r} in the folder of the config; correct the path")
            return self

    def __init__(self, settings: Plain) -> None:
        super().__init__(settings)
        self._place, self._name = split(self.settings.path or "")
        # Found here, where paths are relative to the folder of the config.
        self._file = located(self._place) if self._place.endswith(".py") else None

    @property
    def dimensions(self) -> tuple[int, int]:
        """Those of the settings."""
        return self.settings.state_dim, self.settings.action_dim

    @property
    def has_program(self) -> bool:
        """True if there is a path."""
        return self.settings.path is not None

    @property
    def digest(self) -> str:
        """What tells one content of the file from another; of a module, its file where it can be found."""
        file = self._file or (_file_of(self._place) if self.has_program else None)
        return hashlib.sha256(file.read_bytes()).hexdigest() if file is not None else ""

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """Other dimensions of the case, and parameters that no file of JSON can hold."""
        if (state_dim, action_dim) != self.dimensions:
            yield "state_dim", f"{self.dimensions[0]} and action_dim are not those of the case; give them here alone"
        for place, each in enumerate(self.settings.tasks):
            try:
                json.dumps(each)
            except TypeError as error:
                yield f"tasks[{place}]", f"{error}; give numbers, text and lists"

    @property
    def located_path(self) -> str | None:
        """The path, that of a file in full; None where there is no program."""
        return f"{self._file or self._place}:{self._name}" if self.has_program else None

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> "LQRTasks":
        """Refuse: there are no matrices."""
        raise NotImplementedError("a simulator has no matrices; see metalqr.simulation.user.family")


def _file_of(module: str) -> Path | None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(found.origin) if found is not None and found.origin is not None else None

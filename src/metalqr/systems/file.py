"""Tasks from a file of the user's."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from metalqr.config import settings
from metalqr.config.folders import located
from metalqr.config.registries import families
from metalqr.config.settings import Real, refuse, setting
from metalqr.lqr import FloatArray, LQRTasks, TasksError
from metalqr.systems import source
from metalqr.systems.family import Family, FamilyError, TaskSettings
from metalqr.systems.noise import NOISE_ABOUT, Noise
from metalqr.systems.state_space import Driving, Problem, Sampling, problem_from_arrays


@families.register("file")
class File(Family):
    """Tasks from a file: .npz, .mat, .nc, .yaml, or what a function in a .py returns.

    Arrays have the names of :func:`metalqr.systems.state_space.problem_from_arrays`: A, B, Q, R, Psi, Sigma0, S, p,
    K0, initial_mean and the word noise, or controlgym's. What the file holds counts for reruns, and not where it is or
    when it was written.
    """

    is_random = False

    class Settings(TaskSettings):
        """The file, and what it does not say."""

        path: str = setting(
            about="file relative to the folder of the config; of a Python file also the function, as in tasks.py:make"
        )
        sample_time: Real | None = setting(
            None, about="time of a step, where A and B of the file are in continuous time", above=0
        )
        discretisation: Literal["zoh", "euler", "tustin"] | None = setting(
            None, about="zoh, euler or tustin: the way from continuous to discrete time; it is never guessed"
        )
        noise: Noise | None = setting(
            None, label="what is random", about=f"{NOISE_ABOUT}; by default, what the file says, or process"
        )
        noise_variance: Real | None = setting(
            None,
            symbol=r"\psi",
            about="Psi, or Sigma0 with noise: initial_state, is this times the identity where the file has none",
            at_least=0,
        )

        @model_validator(mode="after")
        def _can_be_read(self) -> Self:
            try:
                _problem(self)
            except (FamilyError, TasksError, ValueError) as error:
                raise refuse("path", str(error)) from None
            return self

    def __init__(self, settings: settings.Settings) -> None:
        super().__init__(settings)
        self._problem = _problem(self.settings)
        self._file = _file(self.settings)[0]

    @property
    def count(self) -> int:
        """Number of tasks in the file."""
        return self._tasks.count

    @property
    def dimensions(self) -> tuple[int, int]:
        """Those of the matrices."""
        return self._tasks.state_dim, self._tasks.action_dim

    @property
    def digest(self) -> str:
        """What tells one content of the file from another."""
        return source.digest(self._file)

    @property
    def _tasks(self) -> LQRTasks:
        return self._problem.tasks

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """Dimensions that a config gives and the file does not have."""
        found = self.dimensions
        if found != (state_dim, action_dim):
            yield (
                "path",
                f"{self.settings.path} has state_dim {found[0]} and action_dim {found[1]}, and the case {state_dim} "
                f"and {action_dim}; remove these, or choose another file",
            )

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The tasks of the file."""
        return self._tasks

    def initial_gain(self) -> FloatArray | None:
        """The K0 of the file, or None."""
        return self._problem.K0


def _file(chosen: File.Settings) -> tuple[Path, str]:
    path, function = source.split(chosen.path)
    return located(path), function


def _problem(chosen: File.Settings) -> Problem:
    file, function = _file(chosen)
    stamp = file.stat().st_mtime_ns if file.is_file() else 0
    sampling, driving = (
        Sampling(chosen.sample_time, chosen.discretisation),
        Driving(chosen.noise, chosen.noise_variance),
    )
    return _read(file, function, stamp, sampling, driving)


@lru_cache(maxsize=16)
def _read(file: Path, function: str, stamp: int, sampling: Sampling, driving: Driving) -> Problem:
    """The tasks of a file; planning asks for them several times."""
    arrays = source.read(file, function)
    if isinstance(arrays, LQRTasks):
        if sampling != Sampling() or driving != Driving():
            raise FamilyError(
                f"{file}: {function} returns tasks; remove sample_time, discretisation, noise and noise_variance"
            )
        return Problem(arrays, None)
    try:
        return problem_from_arrays(arrays, sampling, driving)
    except (FamilyError, TasksError) as error:
        raise FamilyError(f"{file}: {error}") from None

"""What is random in tasks, the process or the initial state alone: the settings that the families share."""

import numbers
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, model_validator

from metalqr.config.settings import Row, refuse, setting
from metalqr.lqr import LQRTasks
from metalqr.systems.family import TaskSettings

NOISE_ABOUT = "the process, or the initial state alone: then a rollout costs the sum of its steps, not their mean"


def _word(value: Any) -> Any:
    """Refuse a number, which would be a variance."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        raise refuse("", f"{value!r} is a number; write process or initial_state, and a variance as noise_variance")
    return value


#: The models of :class:`metalqr.lqr.LQRTasks`.
Noise = Annotated[Literal["process", "initial_state"], BeforeValidator(_word)]


class NoiseSettings(TaskSettings):
    """What is random in tasks that a family makes, with the same mean of the initial state for all."""

    noise: Noise = setting("process", label="what is random", about=NOISE_ABOUT)
    initial_mean: Row | None = setting(
        None,
        label="mean of the initial state",
        symbol="m",
        about="a number for each state, with noise: initial_state; by default, zero",
    )

    @model_validator(mode="after")
    def _only_an_initial_state_has_a_mean(self) -> Self:
        if self.initial_mean is not None and self.noise == "process":
            raise refuse("initial_mean", "only with noise: initial_state; add that, or remove initial_mean")
        return self

    def mean_problems(self, state_dim: int) -> Iterator[tuple[str, str]]:
        """A mean of another length than the state."""
        if self.initial_mean is not None and len(self.initial_mean) != state_dim:
            yield "initial_mean", f"{len(self.initial_mean)} numbers, not state_dim = {state_dim}"


def with_noise(tasks: LQRTasks, chosen: NoiseSettings) -> LQRTasks:
    """The tasks with what is random as the settings say; Psi is then the covariance of the initial state."""
    if chosen.noise == "process":
        return tasks
    mean = None if chosen.initial_mean is None else np.tile(chosen.initial_mean, (tasks.count, 1))
    arrays = tasks.A, tasks.B, tasks.Q, tasks.R, None, tasks.Psi, tasks.p
    return LQRTasks(*arrays, S=tasks.S, noise="initial_state", initial_mean=mean)

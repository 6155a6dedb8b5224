"""The sizes behind a job, from which its memory and time follow."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from metalqr.config.registries import methods

if TYPE_CHECKING:
    from metalqr.initial_gains.initial_gain import InitialGain


@dataclass(frozen=True)
class Sizes:
    """The sizes behind a job, or behind a part of it: with the settings of a run, or of a block of ``theory``."""

    case: str
    state_dim: int
    action_dim: int
    tasks: int
    settings: Any = None
    threads: int = 1
    runs: int = 1  # that the job reads
    finder: "InitialGain | None" = None  # of the gain to start from
    has_bias: bool = True  # of smoothing, which an estimation error is compared with
    steps: int = 0  # of an adaptation
    resamples: bool = False  # its tasks, in every iteration
    measured_steps: int = 0  # by which a simulator's cost of a gain is measured on each task
    own_step_seconds: float | None = None  # of a simulator

    def values(self) -> dict[str, int]:
        """All sizes by name."""
        own = {name: getattr(self, name) for name in ("state_dim", "action_dim", "tasks", "threads", "runs")}
        given = {name: getattr(self.settings, name) for name in self.settings.sizes()}
        return {name: value for name, value in {**given, **own}.items() if isinstance(value, int)}

    def with_one(self, name: str) -> "Sizes":
        """The same with one size set to 1, which shows how much memory depends on it."""
        changes: dict[str, Any] = {name: 1}
        if name in type(self).__dataclass_fields__:
            return replace(self, **changes)
        # Not checked again: 1 may be out of the range of the setting.
        return replace(self, settings=self.settings.model_copy(update=changes))

    @property
    def matrices(self) -> int:
        """Numbers in A, Q, Psi, Sigma0, B and R of all tasks."""
        d, k = self.state_dim, self.action_dim
        return self.tasks * (4 * d**2 + d * k + k**2)

    @property
    def squares(self) -> int:
        """Numbers in a d x d matrix of every task."""
        return self.tasks * self.state_dim**2

    @property
    def gain(self) -> int:
        """Numbers in a gain."""
        return self.state_dim * self.action_dim

    @property
    def gains_of_a_run(self) -> int:
        """Numbers in all gains of a run."""
        per_task = methods.get(self.settings.method).gain_per_task
        return (self.settings.iterations + 1) * self.gain * (self.tasks if per_task else 1)

    @property
    def gains_in_dataset(self) -> int:
        """Numbers in the gains of a run that a dataset keeps: the last, and the average where there is one."""
        return self.gains_of_a_run // (self.settings.iterations + 1) * (2 if self.settings.average_last else 1)

    @property
    def curves_of_a_run(self) -> int:
        """Numbers that a run keeps beside its gains."""
        return (self.settings.iterations + 1) * (self.tasks + 4)

    @cached_property
    def step_seconds(self) -> float:
        """Seconds of a step of a rollout on one core: d normal numbers and d (d + 2 k) multiplications."""
        if self.own_step_seconds is not None:
            return self.own_step_seconds
        return 3e-9 * self.state_dim + 5e-11 * self.state_dim * (self.state_dim + 2 * self.action_dim)

    @property
    def exact_seconds(self) -> float:
        """Seconds of exact quantities of one gain, for every task: some Lyapunov equations."""
        return 3e-4 + 1.2e-7 * self.tasks * self.state_dim**3

"""Tasks that the user writes down, as matrices."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from metalqr.config.problems import shape_problem
from metalqr.config.registries import families
from metalqr.config.settings import Matrix, setting
from metalqr.lqr import LQRTasks
from metalqr.systems.family import Family, TaskSettings
from metalqr.systems.noise import NOISE_ABOUT, Noise

#: A matrix for each task.
Matrices = Annotated[list[Matrix], Field(min_length=1)]
#: A number for each task.
Shares = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]


@families.register("given")
class Given(Family):
    """Tasks as lists of matrices, a matrix for each task."""

    count_setting = "A"
    is_random = False

    class Settings(TaskSettings):
        """The matrices of the tasks, with the names of ``config.yaml``."""

        A: Matrices = setting(label="state matrices", symbol="A_i", about="a matrix for each task, as its rows")
        B: Matrices = setting(label="input matrices", symbol="B_i", about="a matrix for each task")
        Q: Matrices = setting(label="state weights", symbol="Q_i", about="a matrix for each task")
        R: Matrices = setting(label="input weights", symbol="R_i", about="a matrix for each task")
        Psi: Matrices | None = setting(
            None,
            label="noise covariances",
            symbol=r"\Psi_i",
            about="a matrix for each task; none with noise: initial_state",
        )
        Sigma0: Matrices | None = setting(
            None, label="initial covariances", symbol=r"\Sigma_0", about="a matrix for each task; by default, Psi"
        )
        S: Matrices | None = setting(
            None,
            label="cross terms",
            symbol="S_i",
            about="a matrix for each task, in the cost 2xᵀSu; by default, zero",
        )
        noise: Noise = setting("process", label="what is random", about=NOISE_ABOUT)
        initial_mean: Matrix | None = setting(
            None,
            label="means of the initial state",
            symbol="m_i",
            about="a row for each task, with noise: initial_state; by default, zero",
        )
        p: Shares | None = setting(
            None, label="probabilities", symbol="p_i", about="a positive probability for each task; by default, uniform"
        )

    @property
    def dimensions(self) -> tuple[int, int]:
        """Those of the first A and B."""
        return len(self.settings.A[0]), len(self.settings.B[0][0])

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """Lists that are not as long as ``A``, and matrices of another shape."""
        square = ((state_dim, state_dim), "state_dim x state_dim")
        shapes = dict.fromkeys(("A", "Q", "Psi", "Sigma0"), square) | {
            "B": ((state_dim, action_dim), "state_dim x action_dim"),
            "S": ((state_dim, action_dim), "state_dim x action_dim"),
            "R": ((action_dim, action_dim), "action_dim x action_dim"),
        }
        if self.settings.noise == "process" and self.settings.Psi is None:
            yield "Psi", "missing; add it"
        if self.settings.noise == "process" and self.settings.initial_mean is not None:
            yield "initial_mean", "only with noise: initial_state; add that, or remove initial_mean"
        if self.settings.noise == "initial_state":
            if self.settings.Sigma0 is None:
                yield "Sigma0", "missing; with noise: initial_state nothing else varies, so add it"
            if self.settings.Psi is not None:
                yield "Psi", "there is no other noise with noise: initial_state; remove Psi, or that"
        for name in type(self).Settings.names():
            entries = getattr(self.settings, name)
            if entries is None or isinstance(entries, str):
                continue
            if len(entries) != self.count:
                yield name, f"{len(entries)} tasks, but A has {self.count}; give one entry for each task"
            for place, row in enumerate(entries if name == "initial_mean" else ()):
                if len(row) != state_dim:
                    yield f"{name}[{place}]", f"the row has {len(row)} numbers, not state_dim = {state_dim}"
            for place, matrix in enumerate(entries if name in shapes else ()):
                if problem := shape_problem(matrix, *shapes[name]):
                    yield f"{name}[{place}]", problem

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The tasks as they are written.

        Raises
        ------
        TasksError
            If the matrices are none of :class:`metalqr.lqr.LQRTasks`.
        """
        names = (name for name in type(self).Settings.names() if name not in TaskSettings.names())
        given = {name: getattr(self.settings, name) for name in names}
        return LQRTasks(**{"Psi": None} | {name: value for name, value in given.items() if value is not None})

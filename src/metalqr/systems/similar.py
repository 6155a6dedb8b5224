"""The seeded random family of Section 6 of the paper: tasks around a common one."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from metalqr.common.validation import whole_number
from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, refuse, setting
from metalqr.lqr import FloatArray, LQRTasks, TasksError
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.noise import NoiseSettings, with_noise


@families.register("similar")
class Similar(Family):
    r"""A random family of similar tasks, as in Section 6 of the paper.

    1. The entries of :math:`A_0, B_0, Q_0, R_0, \Psi_0` are uniform on [``uniform_low``, ``uniform_high``]. A_0 is
       scaled to the spectral radius ``spectral_radius``; Q_0, R_0, Ψ_0 are adjusted (step 3).
    2. Every task changes a ``perturbed_share`` of the entries of each of its five matrices, chosen at random, by
       independent normal numbers of deviation ``perturbation_deviation``.
    3. Then the same adjustment: an A_i with a spectral radius above ``largest_spectral_radius`` is scaled down to it,
       others stay; Q_i, R_i, Ψ_i are replaced by their symmetric parts, plus the multiple of the identity that raises
       the smallest eigenvalue to ``smallest_eigenvalue`` if it is lower; Ψ_i is scaled to the trace ``noise_trace``.

    So every :math:`\rho(A_i) < 1`, and the zero gain is admissible. Each matrix of each task has random
    numbers of its own: more tasks leave the first ones as they are. Σ0 is Ψ, and p is uniform. With ``noise:
    initial_state`` the Ψ that are drawn are the covariances Σ0 of the initial states, and there is no other noise.
    """

    class Settings(NoiseSettings):
        """Every choice that Section 6 of the paper leaves open, with the names of ``config.yaml``."""

        count: Count = setting(5, symbol="I", label="tasks", about="number of tasks; the paper uses 5", size=True)
        spectral_radius: Real = setting(
            symbol=r"\rho(A_0)",
            label="spectral radius",
            about="A_0 is scaled to exactly this; the paper says only that it is below 1",
            above=0,
            below=1,
        )
        perturbed_share: Real = setting(
            label="perturbed share",
            about="share of a matrix's entries that a task changes, at least one entry unless it is 0",
            at_least=0,
            at_most=1,
        )
        perturbation_deviation: Real = setting(
            symbol=r"\sigma",
            label="perturbation deviation",
            about="standard deviation of a changed entry around the common one",
            at_least=0,
        )
        noise_trace: Real = setting(
            1.0,
            symbol=r"\mathrm{Tr}\,\Psi_i",
            label="noise trace",
            about="trace of the noise covariance of every task: costs scale with it, suitable step sizes depend on it",
            above=0,
        )
        largest_spectral_radius: Annotated[float, Field(gt=0, lt=1)] | None = setting(
            None,
            label="largest spectral radius",
            about="upper limit; an A_i above it is scaled down. By default, spectral_radius",
        )
        smallest_eigenvalue: Real = setting(
            0.5, label="smallest eigenvalue", about="lower bound on the eigenvalues of Q, R and Psi", above=0
        )
        uniform_low: Real = setting(
            0.0, label="lower end", about="lower end of the uniform distribution of the common entries"
        )
        uniform_high: Real = setting(
            1.0, label="upper end", about="upper end of the uniform distribution of the common entries"
        )

        @model_validator(mode="after")
        def _range_is_not_empty(self) -> Self:
            if not self.uniform_low < self.uniform_high:
                raise refuse("uniform_low", f"{self.uniform_low!r} is not < uniform_high, which is {self.uniform_high}")
            return self

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """A mean of another length than the state."""
        return self.settings.mean_problems(state_dim)

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """Draw the tasks.

        Raises
        ------
        FamilyError
            If the family cannot be made stable and positive definite with these settings.
        """
        d, k = whole_number("state_dim", state_dim), whole_number("action_dim", action_dim)
        whole_number("seed", seed, at_least=0)
        nominal = self._nominal({"A": (d, d), "B": (d, k), "Q": (d, d), "R": (k, k), "Psi": (d, d)}, seed)
        matrices: dict[str, list[FloatArray]] = {}
        for position, (name, matrix) in enumerate(nominal.items()):
            streams = [np.random.default_rng([seed, task + 1, position]) for task in range(self.count)]
            matrices[name] = [self._adjust(name, self._perturb(matrix, rng)) for rng in streams]
        matrices["Psi"] = [matrix * (self.settings.noise_trace / np.trace(matrix)) for matrix in matrices["Psi"]]
        arrays: dict[str, Any] = {name: np.stack(stack) for name, stack in matrices.items()}
        try:
            return with_noise(LQRTasks(**arrays), self.settings)
        except TasksError as error:
            raise FamilyError(
                f"the family cannot be made positive definite: {error}. Raise smallest_eigenvalue: "
                f"{self.settings.smallest_eigenvalue} or lower perturbation_deviation: "
                f"{self.settings.perturbation_deviation}"
            ) from error

    def _nominal(self, shapes: dict[str, tuple[int, int]], seed: int) -> dict[str, FloatArray]:
        """The common task that all others are perturbations of."""
        chosen, nominal = self.settings, {}
        # Index 0 of the random streams belongs to the nominal task, index i + 1 to task i.
        for position, (name, shape) in enumerate(shapes.items()):
            entries = np.random.default_rng([seed, 0, position]).uniform(chosen.uniform_low, chosen.uniform_high, shape)
            nominal[name] = entries if name == "A" else self._adjust(name, entries)
        radius = self._radius(nominal["A"])
        # Below the smallest normal number the factor would overflow.
        if radius < sys.float_info.min:
            raise FamilyError(
                f"A_0 drawn from uniform_low: {chosen.uniform_low} to uniform_high: {chosen.uniform_high} has the "
                f"spectral radius {radius:.3g} and cannot be scaled to spectral_radius: {chosen.spectral_radius}; "
                "change the range"
            )
        nominal["A"] = nominal["A"] * (chosen.spectral_radius / radius)
        return nominal

    def _perturb(self, nominal: FloatArray, rng: np.random.Generator) -> FloatArray:
        share = self.settings.perturbed_share
        changed = max(1, round(share * nominal.size)) if share > 0 else 0
        flat = nominal.reshape(-1).copy()
        entries = rng.choice(flat.size, size=changed, replace=False)
        flat[entries] += self.settings.perturbation_deviation * rng.standard_normal(changed)
        return flat.reshape(nominal.shape)

    def _adjust(self, name: str, matrix: FloatArray) -> FloatArray:
        if name == "B":
            return matrix
        return self._cap_spectral_radius(matrix) if name == "A" else self._shift_eigenvalues(matrix)

    def _cap_spectral_radius(self, A: FloatArray) -> FloatArray:
        """Scale A back to the largest spectral radius allowed; leave it alone below."""
        limit = self.settings.largest_spectral_radius
        limit = self.settings.spectral_radius if limit is None else limit
        radius = self._radius(A)
        return A * (limit / radius) if radius > limit else A

    def _radius(self, A: FloatArray) -> float:
        self._require_finite(A)
        return float(np.abs(np.linalg.eigvals(A)).max())

    def _shift_eigenvalues(self, matrix: FloatArray) -> FloatArray:
        """Symmetric part, plus the multiple of the identity that brings its smallest eigenvalue to the one allowed."""
        self._require_finite(matrix)
        symmetric = 0.5 * (matrix + matrix.T)
        missing = self.settings.smallest_eigenvalue - float(np.linalg.eigvalsh(symmetric)[0])
        return symmetric + max(0.0, missing) * np.eye(len(symmetric))

    def _require_finite(self, matrix: FloatArray) -> None:
        # Squares of the entries must be representable as well, or the eigenvalues are not.
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.square(matrix)).all()
        if not finite:
            chosen = self.settings
            raise FamilyError(
                "the family cannot be made stable and positive definite: its entries leave the range of double "
                f"precision with perturbation_deviation: {chosen.perturbation_deviation}, uniform_low: "
                f"{chosen.uniform_low}, uniform_high: {chosen.uniform_high}; lower them"
            )

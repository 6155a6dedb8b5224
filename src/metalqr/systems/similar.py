"""The seeded random family of Section 6 of the paper: tasks around a common one."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from metalqr.common.validation import whole_number
from metalqr.config.benefit import Difference
from metalqr.config.registries import families
from metalqr.config.settings import Count, Distinct, Real, refuse, setting
from metalqr.lqr import FloatArray, LQRTasks, TasksError
from metalqr.systems.addresses import Address
from metalqr.systems.family import Family, FamilyError
from metalqr.systems.noise import NoiseSettings, with_noise

Matrix = Literal["A", "B", "Q", "R", "Psi"]
#: All of them, in the order of their random numbers.
MATRICES: tuple[Matrix, ...] = get_args(Matrix)
#: The matrices in which tasks differ, by what they belong to.
_OF_DIFFERENCE: dict[Difference, tuple[Matrix, ...]] = {"dynamics": ("A", "B"), "costs": ("Q", "R"), "both": MATRICES}


def _in_order(names: tuple[Matrix, ...]) -> tuple[Matrix, ...]:
    """So that the order in a config has no meaning."""
    return tuple(name for name in MATRICES if name in names)


@families.register("similar")
class Similar(Family):
    r"""A random family of similar tasks, as in Section 6 of the paper.

    1. The entries of :math:`A_0, B_0, Q_0, R_0, \Psi_0` are uniform on [``uniform_low``, ``uniform_high``]. A_0 is
       scaled to the spectral radius ``spectral_radius``; Q_0, R_0, Ψ_0 are adjusted (step 3).
    2. Every task changes a ``perturbed_share`` of the entries of each of its ``perturbed_matrices``, by default all
       five, chosen at random, by independent normal numbers of deviation ``perturbation_deviation``.
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
        perturbed_matrices: Annotated[Distinct[Matrix], AfterValidator(_in_order)] = setting(
            MATRICES,
            label="perturbed matrices",
            about="matrices that a task changes; all tasks share the others, and no random number depends on this",
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

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those in which a perturbed matrix belongs."""
        return tuple(name for name, matrices in _OF_DIFFERENCE.items() if set(matrices) & self._perturbed)

    def varied(self, factor: float, difference: Difference = "both") -> Self:
        """The family with its deviation scaled, of A and B, of Q and R, or of all that it changes."""
        matrices = [name for name in _OF_DIFFERENCE[difference] if name in self._perturbed]
        deviation = factor * self.settings.perturbation_deviation
        return type(self)(self.settings.replace(perturbation_deviation=deviation, perturbed_matrices=matrices))

    @property
    def _perturbed(self) -> set[Matrix]:
        return set(self.settings.perturbed_matrices)

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> LQRTasks:
        """Draw tasks around the common one, which all pools share.

        Raises
        ------
        FamilyError
            If the family cannot be made stable and positive definite with these settings.
        """
        d, k = whole_number("state_dim", state_dim), whole_number("action_dim", action_dim)
        whole_number("seed", seed, at_least=0)
        nominal = self._nominal({"A": (d, d), "B": (d, k), "Q": (d, d), "R": (k, k), "Psi": (d, d)}, seed)
        changes = self._changes({name: matrix.size for name, matrix in nominal.items()}, seed, places)
        arrays: dict[str, Any] = {
            name: self._adjust(name, matrix + change.reshape(-1, *matrix.shape))
            for (name, matrix), change in zip(nominal.items(), changes, strict=True)
        }
        arrays["Psi"] *= (self.settings.noise_trace / np.trace(arrays["Psi"], axis1=1, axis2=2))[:, None, None]
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
        for position, (name, shape) in enumerate(shapes.items()):
            entries = np.random.default_rng([seed, 0, position]).uniform(chosen.uniform_low, chosen.uniform_high, shape)
            nominal[name] = entries if name == "A" else self._adjust(name, entries[np.newaxis])[0]
        radius = float(self._radii(nominal["A"][np.newaxis])[0])
        # Below the smallest normal number the factor would overflow.
        if radius < sys.float_info.min:
            raise FamilyError(
                f"A_0 drawn from uniform_low: {chosen.uniform_low} to uniform_high: {chosen.uniform_high} has the "
                f"spectral radius {radius:.3g} and cannot be scaled to spectral_radius: {chosen.spectral_radius}; "
                "change the range"
            )
        nominal["A"] = nominal["A"] * (chosen.spectral_radius / radius)
        return nominal

    def _changes(self, matrices: dict[str, int], seed: int, places: Sequence[Address]) -> list[FloatArray]:
        """What each task adds to the entries of each matrix, shapes (n, size), from the sizes of the matrices.

        The number of random numbers of a task depends on the sizes alone, so that a sweep of a share or a deviation
        compares the same draws. A matrix has random numbers of its own, also where another is not perturbed.
        """
        share, deviation = self.settings.perturbed_share, self.settings.perturbation_deviation
        sizes = list(matrices.values())
        counts = [
            max(1, round(share * size)) if share > 0 and name in self._perturbed else 0
            for name, size in matrices.items()
        ]
        changes = [np.zeros((len(places), size)) for size in sizes]
        further = [place for place, address in enumerate(places) if not address.is_of_case]
        for place in set(range(len(places))).difference(further):
            for position, (size, count) in enumerate(zip(sizes, counts, strict=True)):
                # Index 0 of the older random numbers belongs to the nominal task, index i + 1 to task i.
                rng = np.random.default_rng([seed, places[place].place + 1, position])
                entries = rng.choice(size, size=count, replace=False)
                changes[position][place, entries] = deviation * rng.standard_normal(count)
        generators = [places[place].generator(self.name, seed) for place in further]
        # Of a matrix, the entries with the smallest uniform numbers change: faster for many tasks than a choice each.
        drawn = np.array([(rng.random(sum(sizes)), rng.standard_normal(sum(sizes))) for rng in generators])
        if further:
            parts = np.split(drawn, np.cumsum(sizes)[:-1], axis=2)
            for change, part, count in zip(changes, parts, counts, strict=True):
                chosen = part[:, 0].argsort(axis=1).argsort(axis=1) < count
                change[further] = np.where(chosen, deviation * part[:, 1], 0.0)
        return changes

    def _adjust(self, name: str, matrices: FloatArray) -> FloatArray:
        """Step 3 for matrices (n, d, d)."""
        if name == "B":
            return matrices
        return self._cap_spectral_radius(matrices) if name == "A" else self._shift_eigenvalues(matrices)

    def _cap_spectral_radius(self, A: FloatArray) -> FloatArray:
        """Scale A back to the largest spectral radius allowed; leave it alone below."""
        limit = self.settings.largest_spectral_radius
        limit = self.settings.spectral_radius if limit is None else limit
        radii = self._radii(A)
        return A * (limit / np.maximum(radii, limit))[:, np.newaxis, np.newaxis]

    def _radii(self, A: FloatArray) -> FloatArray:
        self._require_finite(A)
        return np.asarray(np.abs(np.linalg.eigvals(A)).max(axis=1))

    def _shift_eigenvalues(self, matrices: FloatArray) -> FloatArray:
        """Symmetric part, plus the multiple of the identity that brings its smallest eigenvalue to the one allowed."""
        self._require_finite(matrices)
        symmetric = 0.5 * (matrices + matrices.mT)
        missing = self.settings.smallest_eigenvalue - np.linalg.eigvalsh(symmetric)[:, :1, np.newaxis]
        return np.asarray(symmetric + np.maximum(0.0, missing) * np.eye(symmetric.shape[1]))

    def _require_finite(self, matrices: FloatArray) -> None:
        # Squares of the entries must be representable as well, or the eigenvalues are not.
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.square(matrices)).all()
        if not finite:
            chosen = self.settings
            raise FamilyError(
                "the family cannot be made stable and positive definite: its entries leave the range of double "
                f"precision with perturbation_deviation: {chosen.perturbation_deviation}, uniform_low: "
                f"{chosen.uniform_low}, uniform_high: {chosen.uniform_high}; lower them"
            )

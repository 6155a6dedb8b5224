"""The random family of the authors' older code, which very likely drew the paper's Figure 1."""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from metalqr.config.benefit import Difference
from metalqr.config.registries import families
from metalqr.config.settings import Count, Real, setting
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.addresses import Address, Pool, addresses
from metalqr.systems.family import Family
from metalqr.systems.noise import NoiseSettings, with_noise

#: A_0 is divided by this times the largest real part of its eigenvalues, where that is at least 1.
SHRINKAGE = 1.05
#: An indefinite weight is shifted until its smallest eigenvalue is this part of its largest absolute one.
SMALLEST_PART = 0.05


@families.register("legacy")
class Legacy(Family):
    r"""The random family of the authors' older code, which very likely drew the paper's Figure 1.

    1. The entries of A_0 and B_0 are uniform on [0, 1]. A_0 is divided by 1.05 times the largest real part of its
       eigenvalues, where that is at least 1.
    2. Q_0 and R_0 are the symmetric parts of matrices with entries uniform on [0, 2]. Indefinite ones are shifted by a
       multiple of the identity and scaled back to their norm.
    3. Ψ_0 is the symmetric part of a matrix with entries uniform on [0, 1]. Where it is indefinite, and so no
       covariance, it is replaced by :math:`(\Psi_0^2)^{1/2}`, the covariance that NumPy then draws from.
    4. Task 0 is this one; further tasks add independent normal numbers of deviation ``perturbation_deviation`` to all
       entries of A_0 and B_0, and share Q_0, R_0 and Ψ_0.

    How far an indefinite weight is shifted is a choice: until its smallest eigenvalue is 0.05 of its norm. Real parts
    do not bound the spectral radius, so that the zero gain may not be stabilising: then another seed or initial gain is
    needed. Σ0 is Ψ, and p is uniform. With ``noise: initial_state`` Ψ is the covariance of the initial state alone.
    """

    has_nominal = True

    class Settings(NoiseSettings):
        """The settings of the older code, with the names of ``config.yaml``."""

        count: Count = setting(5, symbol="I", label="tasks", about="number of tasks; the paper uses 5", size=True)
        perturbation_deviation: Real = setting(
            0.01,
            symbol=r"\sigma",
            label="perturbation deviation",
            about="standard deviation of a changed entry around the common one",
            at_least=0,
        )

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """A mean of another length than the state."""
        return self.settings.mean_problems(state_dim)

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> LQRTasks:
        """Draw tasks around the first one, which is that of the case alone."""
        A, B, Q, R, Psi = self._first(state_dim, action_dim, seed)
        deviation = self.settings.perturbation_deviation
        states, inputs = [], []
        for address in places:
            rng = self._generator(address, seed)
            states.append(A + deviation * rng.standard_normal(A.shape) if rng else A)
            inputs.append(B + deviation * rng.standard_normal(B.shape) if rng else B)
        same = (np.tile(each, (len(places), 1, 1)) for each in (Q, R, Psi))
        return with_noise(LQRTasks(np.stack(states), np.stack(inputs), *same), self.settings)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Tasks share their costs."""
        return "dynamics", "both"

    def varied(self, factor: float, difference: Difference = "both") -> Self:
        """The family with the deviation of the perturbation scaled."""
        deviation = factor * self.settings.perturbation_deviation
        return type(self)(self.settings.replace(perturbation_deviation=deviation))

    def nominal(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The first task."""
        return self.draw(state_dim, action_dim, seed, addresses(Pool.TRAINING, [0]))

    def _generator(self, address: Address, seed: int) -> np.random.Generator | None:
        """None for the task that all others are perturbations of."""
        if not address.is_of_case:
            return address.generator(self.name, seed)
        return np.random.default_rng([seed, address.place]) if address.place else None

    @staticmethod
    def _first(d: int, k: int, seed: int) -> tuple[FloatArray, ...]:
        rng = np.random.default_rng([seed, 0])
        A, B, Q, R, Psi = (rng.uniform(size=shape) for shape in ((d, d), (d, k), (d, d), (k, k), (d, d)))
        largest = float(np.linalg.eigvals(A).real.max())
        if largest >= 1.0:
            A = A / (SHRINKAGE * largest)
        return A, B, _definite(Q + Q.T), _definite(R + R.T), _absolute(0.5 * (Psi + Psi.T))


def _definite(matrix: FloatArray) -> FloatArray:
    """The matrix, shifted and scaled if it is indefinite."""
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] > 0.0:
        return matrix
    norm = float(np.abs(eigenvalues).max())
    shifted = matrix + (SMALLEST_PART * norm - eigenvalues[0]) * np.eye(len(matrix))
    return np.asarray(shifted * (norm / np.linalg.norm(shifted, 2)))


def _absolute(matrix: FloatArray) -> FloatArray:
    """The positive semidefinite square root of the square."""
    eigenvalues, basis = np.linalg.eigh(matrix)
    return np.asarray((basis * np.abs(eigenvalues)) @ basis.T)

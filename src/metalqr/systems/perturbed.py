"""Tasks around a single task of another family: its matrices, changed at random."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, model_validator

from metalqr.config.benefit import Difference
from metalqr.config.experiments import family_of
from metalqr.config.problems import SettingsError
from metalqr.config.registries import families
from metalqr.config.registry import UnknownNameError
from metalqr.config.settings import Count, Distinct, Real, refuse, setting
from metalqr.lqr import FloatArray, LQRTasks, TasksError
from metalqr.systems.addresses import Address
from metalqr.systems.family import Family, FamilyError, TaskSettings

Matrix = Literal["A", "B", "Q", "R"]
#: In the order of their random numbers.
MATRICES: tuple[Matrix, ...] = ("A", "B", "Q", "R")
_SYMMETRIC = ("Q", "R")
#: The matrices in which tasks differ, by what they belong to.
_OF_DIFFERENCE: dict[Difference, tuple[Matrix, ...]] = {"dynamics": ("A", "B"), "costs": ("Q", "R"), "both": MATRICES}


def _in_order(names: tuple[Matrix, ...]) -> tuple[Matrix, ...]:
    """So that the order in a config has no meaning."""
    return tuple(name for name in MATRICES if name in names)


@families.register("perturbed")
class Perturbed(Family):
    r"""A random family around one task of another family, such as a named system or a file of the user's.

    .. math:: A_i = A + \epsilon Z_i^A, \quad B_i = B + \epsilon Z_i^B, \quad Q_i = Q + \epsilon Z_i^Q, \quad
              R_i = R + \epsilon Z_i^R

    with independent :math:`Z`: with ``perturbation_measure: entries`` of independent standard normal entries, with
    ``spectral_norm`` such matrices over their spectral norm, so that every change has the norm :math:`\epsilon`. Those
    of Q and R are the symmetric parts of such matrices. Everything else, the noise included, is that of the task
    around which they are. Nothing is scaled back: a task may be unstable without control, and one that no gain
    stabilises is drawn again.
    """

    has_nominal = True

    class Settings(TaskSettings):
        """The task in the middle, and the random changes."""

        around: dict[str, Any] = setting(
            label="family of the nominal task", about="a task family with its settings, of which there is one task"
        )
        count: Count = setting(5, symbol="I", label="tasks", about="number of tasks", size=True)
        perturbation: Real = setting(
            symbol=r"\epsilon", about="size of the change of each of the perturbed_matrices", at_least=0
        )
        perturbation_measure: Literal["entries", "spectral_norm"] = setting(
            "entries",
            label="measure of the perturbation",
            about="what perturbation is: the standard deviation of each entry of a change, or its spectral norm",
        )
        perturbed_matrices: Annotated[Distinct[Matrix], AfterValidator(_in_order)] = setting(
            MATRICES,
            label="perturbed matrices",
            about="matrices that a task changes; no random number depends on this",
        )
        first_is_nominal: bool = setting(
            False, about="whether the first task of the case is the nominal one itself; unseen tasks never are"
        )

        @model_validator(mode="after")
        def _around_is_one_task(self) -> Self:
            if "family" not in self.around:
                raise refuse("around.family", "missing; add it")
            try:
                count = family_of(self.around).count
            except UnknownNameError as error:
                raise refuse("around.family", str(error)) from None
            except SettingsError as error:
                raise refuse("around", str(error)) from None
            if count != 1:
                raise refuse("around", f"{count} tasks, but tasks are around one; give it no range, no list, count: 1")
            return self

    @cached_property
    def _around(self) -> Family:
        return family_of(self.settings.around)

    @property
    def sources(self) -> list[Path]:
        """The file of this family, and those of the one in the middle."""
        return [*super().sources, *self._around.sources]

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Those of the task in the middle."""
        return self._around.dimensions

    @property
    def digest(self) -> str:
        """That of a file with the task in the middle."""
        return self._around.digest

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """What does not fit the dimensions in the family of the task in the middle."""
        for path, reason in self._around.problems(state_dim, action_dim):
            yield f"around.{path}", reason

    def initial_gain(self) -> FloatArray | None:
        """The gain that came with the task in the middle, if any."""
        return self._around.initial_gain()

    def nominal(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The task in the middle."""
        return self._around.tasks(state_dim, action_dim, seed)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Those in which a perturbed matrix belongs."""
        perturbed = set(self.settings.perturbed_matrices)
        return tuple(name for name, matrices in _OF_DIFFERENCE.items() if perturbed.intersection(matrices))

    def varied(self, factor: float, difference: Difference = "both") -> Self:
        """The family with its perturbation scaled, of A and B, of Q and R, or of all that it changes."""
        matrices = [name for name in _OF_DIFFERENCE[difference] if name in self.settings.perturbed_matrices]
        perturbation = factor * self.settings.perturbation
        return type(self)(self.settings.replace(perturbation=perturbation, perturbed_matrices=matrices))

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> LQRTasks:
        """Draw tasks around the one in the middle, which all pools share.

        Raises
        ------
        FamilyError
            If a Q or R is not positive semidefinite or definite.
        """
        nominal = self.nominal(state_dim, action_dim, seed).subset([0] * len(places))
        arrays = {
            name: getattr(nominal, name) + np.stack([self._change(name, place, seed, nominal) for place in places])
            for name in self.settings.perturbed_matrices
        }
        try:
            return nominal.replace(**arrays)
        except TasksError as error:
            raise FamilyError(
                f"{error}; it is perturbed, so lower perturbation: {self.settings.perturbation:g}, or leave Q and R "
                "out of perturbed_matrices"
            ) from error

    def _change(self, name: Matrix, place: Address, seed: int, nominal: LQRTasks) -> FloatArray:
        """The change of a matrix of the task at an address."""
        shape = getattr(nominal, name).shape[1:]
        if self.settings.first_is_nominal and place.is_of_case and place.place == 0:
            return np.zeros(shape)
        entries = place.generator(self.name, seed, MATRICES.index(name)).standard_normal(shape)
        change = 0.5 * (entries + entries.T) if name in _SYMMETRIC else entries
        scale = np.linalg.norm(change, 2) if self.settings.perturbation_measure == "spectral_norm" else 1.0
        return np.asarray(self.settings.perturbation / scale * change)

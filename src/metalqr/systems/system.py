"""Named systems: plants with parameters in physical units, and families of tasks in which these vary."""

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import model_validator

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.config.benefit import Difference
from metalqr.config.problems import nearest
from metalqr.config.settings import Count, Real, refuse, setting
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.systems.addresses import Address, Pool, addresses
from metalqr.systems.family import RANDOM_FAMILIES, Family, FamilyError
from metalqr.systems.noise import NoiseSettings
from metalqr.systems.parameters import Physical, physical


def variance(default: float) -> Any:
    """Declare the variance of the noise, with the default of a system."""
    return setting(
        default,
        symbol=r"\psi",
        about="variance of every state, in the square of its unit: of the noise of a step, or of the initial state",
        above=0,
    )


class SystemSettings(NoiseSettings):
    """The settings that all named systems have; a system adds its parameters."""

    count: Count = setting(
        1, symbol="I", label="tasks", about="number of tasks; lists have as many as they have values", size=True
    )
    heterogeneity: Real = setting(
        1.0, about="scales every range about its middle: 0 gives the middle alone, 1 the range", at_least=0, at_most=1
    )
    noise_variance: Real = variance(0.01)
    nominal: dict[str, float] = setting(
        {},
        about="parameters of the nominal system, for which the initial gain detuned is; by default, the plant's",
    )

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_the_variance(cls, values: Any) -> Any:
        """Take ``noise: 0.01``, as the literature's tables have it, for ``noise_variance: 0.01``."""
        noise = values.get("noise") if isinstance(values, Mapping) else None
        if not isinstance(noise, numbers.Real) or isinstance(noise, bool):
            return values
        if "noise_variance" in values:
            raise refuse("noise", f"{noise!r} is a variance, and noise_variance is given too; remove one of the two")
        return {**{name: value for name, value in values.items() if name != "noise"}, "noise_variance": noise}

    @classmethod
    def parameters(cls) -> dict[str, Physical]:
        """The parameters of the plant that may vary between tasks, with their units and ranges."""
        found = {name: physical(field) for name, field in cls.model_fields.items()}
        return {name: each for name, each in found.items() if each}

    @property
    def lengths(self) -> dict[str, int]:
        """The number of values of each parameter that is a list."""
        given = ((name, getattr(self, name)) for name in self.parameters())
        return {name: len(value) for name, value in given if isinstance(value, list)}

    @property
    def ranges(self) -> dict[str, dict[str, float]]:
        """The parameters that are ranges."""
        given = ((name, getattr(self, name)) for name in self.parameters())
        return {name: value for name, value in given if isinstance(value, dict)}

    @model_validator(mode="after")
    def _count_fits(self) -> Self:
        lengths, ranges = self.lengths, self.ranges
        first = next(iter(lengths), "")
        for name, length in lengths.items():
            if length != lengths[first]:
                reason = f"{length} values, but {first} has {lengths[first]}; give lists of the same length"
                raise refuse(name, reason)
        if first and self.count not in (1, lengths[first]):
            raise refuse("count", f"{self.count}, but {first} has {lengths[first]} values; remove count")
        if ranges and not first and self.count == 1:
            name = next(iter(ranges))
            raise refuse("count", f"1, but {name} is a range; give the number of tasks to draw from it, 2 or more")
        if self.count > 1 and not (lengths or ranges):
            raise refuse("count", f"{self.count} tasks would be the same; {self._variety()}")
        if self.heterogeneity != 1.0 and not ranges:
            reason = "scales ranges, but no parameter is one; remove it, or give a parameter as {low: ..., high: ...}"
            raise refuse("heterogeneity", f"{self.heterogeneity:g} {reason}")
        return self

    @property
    def range_to_try(self) -> str:
        """The advice to give a parameter a range; empty where none can have one."""
        for name, each in self.parameters().items():
            if not each.is_choice:
                low, high = each.typical
                return f"give a parameter a range, such as {name}: {{low: {low:g}, high: {high:g}}}"
        return ""

    @classmethod
    def _variety(cls) -> str:
        for name, each in cls.parameters().items():
            low, high = each.typical
            value = "[1, 2]" if each.is_choice else f"{{low: {low:g}, high: {high:g}}}"
            return f"vary a parameter, such as {name}: {value}, or write count: 1"
        return "this system has no parameter to vary: write count: 1, or write similar tasks down with family: given"

    @model_validator(mode="after")
    def _nominal_is_possible(self) -> Self:
        known = self.parameters()
        for name, value in self.nominal.items():
            if name not in known:
                advice = nearest(name, list(known)) if known else "this system has none, remove it"
                raise refuse(f"nominal.{name}", f"unknown parameter; {advice}")
            known[name].number(value, f"nominal.{name}")
        return self


class Plant(NamedTuple):
    """The matrices of a system and its sampling time in seconds, as a system returns them."""

    A: ArrayLike
    B: ArrayLike
    Q: ArrayLike
    R: ArrayLike
    dt: float


@dataclass(frozen=True, eq=False)
class System(ReadOnlyArrays):
    r"""A single system: :math:`x_{t+1} = A x_t + B u_t + w_t`, with the cost :math:`x^\top Q x + u^\top R u` of a step.

    A, Q and the covariances, Psi of w and Sigma0 of the initial state, have the shape (d, d), B (d, k) and R (k, k).
    ``dt`` is the time of a step in seconds; where the source gives none, 1. With ``noise`` initial_state, Psi is zero,
    and ``initial_mean``, shape (d,), may not be.
    """

    A: FloatArray
    B: FloatArray
    Q: FloatArray
    R: FloatArray
    Psi: FloatArray
    Sigma0: FloatArray
    dt: float
    noise: str
    initial_mean: FloatArray

    def tasks(self) -> LQRTasks:
        """The system as a set of one task."""
        return stacked([self])


class NamedSystem(Family):
    """Base of the named systems: a family of tasks that are the same plant at different parameters.

    A system is this class with its parameters in ``Settings``, the names of its states and inputs, and :meth:`plant`.
    Every parameter is a number, a range, from which each task draws, or a list with a value for each task. The draws
    of a task depend on the seed, its index and the name of the parameter alone. Σ0 is Ψ, or with ``noise:
    initial_state`` what Ψ is otherwise, and p is uniform.
    """

    docs_page = "systems.md"
    has_nominal = True
    #: States and inputs with their units, such as ``"speed [m/s]"``.
    states: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    #: Unit of the time of a step.
    time_unit: ClassVar[str] = "s"
    #: Where the matrices come from.
    reference: ClassVar[str]

    class Settings(SystemSettings):
        """No parameters."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.is_random = bool(settings.ranges)

    @property
    def count(self) -> int:
        """Number of tasks."""
        return next(iter(self.settings.lengths.values()), self.settings.count)

    @property
    def dimensions(self) -> tuple[int, int]:
        """Numbers of states and inputs."""
        return len(self.states), len(self.inputs)

    def problems(self, state_dim: int, action_dim: int) -> Iterator[tuple[str, str]]:
        """Dimensions of the case that are not those of the system, and a mean of another length than its state."""
        if self.dimensions != (state_dim, action_dim):
            d, k = self.dimensions
            yield (
                "family",
                f"{self.name} has {d} state{'s' * (d > 1)} and {k} input{'s' * (k > 1)}, but the case has state_dim: "
                f"{state_dim} and action_dim: {action_dim}; leave these out, and sweep nothing that changes them",
            )
        else:
            yield from self.settings.mean_problems(state_dim)

    @staticmethod
    def plant(p: Any) -> Plant:
        """The matrices for the parameters and other settings, which are attributes of ``p``."""
        raise NotImplementedError

    def tasks(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The tasks; those with ranges are drawn."""
        return stacked([self.system(self.values(task, seed)) for task in addresses(Pool.TRAINING, range(self.count))])

    def draw(self, state_dim: int, action_dim: int, seed: int, places: Sequence[Address]) -> LQRTasks:
        """Draw tasks whose parameters are ranges or numbers.

        Raises
        ------
        FamilyError
            If no parameter is a range, or if one is a list.
        """
        if self.why_fixed:
            raise FamilyError(self.why_fixed)
        return stacked([self.system(self.values(address, seed)) for address in places])

    @property
    def why_fixed(self) -> str:
        """The reason why no more tasks can be drawn."""
        lists = self.settings.lengths
        if not lists and self.settings.ranges:
            return ""
        if lists:
            name = next(iter(lists))
            each = self.settings.parameters()[name]
            low, high = min(getattr(self.settings, name)), max(getattr(self.settings, name))
            reason = f"{name} is a list with a value for each task, and none for further ones"
            step = (
                RANDOM_FAMILIES
                if each.is_choice or low == high
                else f"give a range, {name}: {{low: {low:g}, high: {high:g}}}"
            )
        else:
            reason = f"the family {self.name} cannot draw further tasks, no parameter of it is a range"
            step = self.settings.range_to_try or RANDOM_FAMILIES
        return f"{reason}; {step}"

    def varied(self, factor: float, difference: Difference = "both") -> Self:
        """The family with ``heterogeneity`` scaled; where that would be above 1, with wider ranges.

        Raises
        ------
        metalqr.config.problems.SettingsError
            If a range then has values that the model does not cover.
        """
        scale = factor * self.settings.heterogeneity
        wider = {}
        if scale > 1.0:
            for name, ends in self.settings.ranges.items():
                middle, half = 0.5 * (ends["low"] + ends["high"]), 0.5 * scale * (ends["high"] - ends["low"])
                wider[name] = {"low": middle - half, "high": middle + half}
        return type(self)(self.settings.replace(heterogeneity=min(scale, 1.0), **wider))

    def nominal(self, state_dim: int, action_dim: int, seed: int) -> LQRTasks:
        """The nominal system: parameters as in ``nominal``, otherwise their defaults."""
        return self.system(self.settings.nominal).tasks()

    def values(self, address: Address, seed: int) -> dict[str, float]:
        """The parameters of the task at an address."""
        found = {}
        for name, each in self.settings.parameters().items():
            value = getattr(self.settings, name)
            if isinstance(value, list):
                value = value[address.place]
            elif isinstance(value, dict):
                uniform = self._generator(address, seed, name).uniform(-0.5, 0.5)
                middle, spread = 0.5 * (value["low"] + value["high"]), value["high"] - value["low"]
                value = middle + self.settings.heterogeneity * uniform * spread
                value = min(max(value, each.low), each.high)  # rounding
            found[name] = value
        return found

    def _generator(self, address: Address, seed: int, parameter: str) -> np.random.Generator:
        words = parameter.encode()
        if address.is_of_case:
            return np.random.default_rng([seed, address.place, *words])
        return address.generator(self.name, seed, *words)

    def system(self, parameters: Mapping[str, float]) -> System:
        """The system at some parameters; those that are not named have their defaults."""
        declared = {each.name: each.default for each in self.settings.declarations()}
        defaults = {name: declared[name] for name in self.settings.parameters()}
        plant = self.plant(SimpleNamespace(**{**self.settings.as_dict(), **defaults, **parameters}))
        A, B, Q, R = (np.atleast_2d(np.array(each, dtype=np.float64)) for each in plant[:4])
        chosen, Sigma0 = self.settings, self.settings.noise_variance * np.eye(len(A))
        Psi = Sigma0 if chosen.noise == "process" else np.zeros_like(Sigma0)
        mean = np.zeros(len(A)) if chosen.initial_mean is None else np.array(chosen.initial_mean)
        return System(A, B, Q, R, Psi, Sigma0, float(plant.dt), chosen.noise, mean)


def stacked(systems: list[System]) -> LQRTasks:
    """Systems of the same dimensions as tasks."""
    names = ("A", "B", "Q", "R", "Psi", "Sigma0", "initial_mean")
    arrays = {name: np.stack([getattr(each, name) for each in systems]) for name in names}
    return LQRTasks(**arrays, noise=systems[0].noise)

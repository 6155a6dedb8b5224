"""The settings of Algorithms 1 to 3, validated once, so that the compiled code never sees a bad value."""

import math
import numbers
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

#: Largest value of a count that goes into a 32-bit word of the random counters (see :mod:`metalqr.random`).
LARGEST_COUNT = 2**31 - 1

#: Smoothing radii whose square neither vanishes nor overflows, and of which a rounding of K + U leaves enough.
RADIUS_RANGE = {"float64": (1.0e-100, 1.0e100), "float32": (1.0e-3, 1.0e3)}


class SettingsError(ValueError):
    """A setting has an impossible value; the message names the setting, the value and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class MetaSettings:
    r"""Settings of model-agnostic meta-policy optimisation, with the names of ``config.yaml``.

    The defaults are those of Section 6 of the paper; the two step sizes have none, because they depend on the case.

    Parameters
    ----------
    learning_rate : float
        :math:`\alpha > 0`, step of the outer loop (Algorithm 3).
    adaptation_rate : float
        :math:`\eta \ge 0`, step of the one-step adaptation (Algorithm 2, equation (6)).
    perturbations : int
        :math:`M` of Algorithm 2: perturbed policies per task.
    inner_perturbations : int
        :math:`M` of Algorithm 1: perturbations of each perturbed policy.
    smoothing_radius : float
        :math:`r > 0`, the Frobenius norm of every perturbation.
    rollout_length : int
        :math:`\ell`, steps of a roll-out.
    iterations : int
        :math:`N`, the largest number of updates.
    tolerance : float
        :math:`\varepsilon \ge 0`; training stops when :math:`\|\tilde\nabla L(K_n)\|_F \le \varepsilon`.
    task_batch : int or "all"
        Size of the batch :math:`T_n` drawn from ``p`` (with replacement) at every iteration, or ``"all"``: every task
        once, weighted with ``p``.
    precision : {"float64", "float32"}
        Of the simulated roll-outs. Gains, their updates and exact costs are always double.

    Raises
    ------
    SettingsError
        If a value is impossible.
    """

    learning_rate: float
    adaptation_rate: float
    perturbations: int = 100
    inner_perturbations: int = 100
    smoothing_radius: float = 0.05
    rollout_length: int = 50
    iterations: int = 1200
    tolerance: float = 0.0
    task_batch: int | Literal["all"] = "all"
    precision: Literal["float64", "float32"] = "float64"

    def __post_init__(self) -> None:
        for name in ("learning_rate", "smoothing_radius", "adaptation_rate", "tolerance"):
            positive = name in ("learning_rate", "smoothing_radius")
            self._set(name, _number(name, getattr(self, name), positive=positive))
        for name in ("perturbations", "inner_perturbations", "rollout_length"):
            self._set(name, _count(name, getattr(self, name), smallest=1))
        self._set("iterations", _count("iterations", self.iterations, smallest=0))
        if self.task_batch != "all":
            self._set("task_batch", _count("task_batch", self.task_batch, smallest=1, alternative='or "all"'))
        require_precision(self.precision)
        low, high = RADIUS_RANGE[self.precision]
        if not low <= self.smoothing_radius <= high:
            raise SettingsError(
                f"smoothing_radius: {self.smoothing_radius!r} is not from {low:g} to {high:g}, the range in "
                f"precision {self.precision}; choose one that is"
            )

    def _set(self, name: str, value: float | int) -> None:
        """Put a checked value, as one of Python's own numbers, into the frozen instance."""
        object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """All settings by name, in the order of the class: what identifies a run beside its case and its seed."""
        return asdict(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings, in order."""
        return tuple(field.name for field in fields(cls))


def require_precision(value: Any) -> None:
    """Refuse what is not a precision that roll-outs can be simulated in.

    Raises
    ------
    SettingsError
        If it is neither ``"float64"`` nor ``"float32"``.
    """
    if value not in tuple(RADIUS_RANGE):
        raise SettingsError(f"precision: {value!r} is not float64 or float32")


def _number(name: str, value: Any, *, positive: bool) -> float:
    allowed = "> 0" if positive else ">= 0"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        hint = " (write 1.0e-3 in YAML: 1e-3 is read as text)" if isinstance(value, str) else ""
        raise SettingsError(f"{name}: {value!r} is not a number{hint}; give a finite number {allowed}")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise SettingsError(f"{name}: {value!r} is not {allowed}; give a finite number {allowed}")
    return float(value)


def _count(name: str, value: Any, *, smallest: int, alternative: str = "") -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or not smallest <= int(value) <= LARGEST_COUNT
    ):
        choices = " ".join(filter(None, [f"a whole number from {smallest} to {LARGEST_COUNT}", alternative]))
        raise SettingsError(f"{name}: {value!r} is not {choices}")
    return int(value)

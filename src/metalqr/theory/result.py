"""Results of the theory: named quantities with symbol, source and inputs, and the formulas that they come from."""

import enum
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray

Function = TypeVar("Function", bound=Callable[..., ArrayLike])


class Form(enum.StrEnum):
    """Version of a statement: the paper to the letter, or what ``docs/errata.md`` proves."""

    PRINTED = "printed"
    CORRECTED = "corrected"


@dataclass(frozen=True, eq=False)
class Quantity:
    """Number of the theory, or one for each of several gains.

    Attributes
    ----------
    name : str
        Name in code, for example ``h_grad``.
    symbol : str
        Symbol in the paper, in LaTeX.
    source : str
        Lemma, equation or theorem.
    value : array
        A scalar, or shape (n,) for n gains. NaN where it cannot be evaluated; ``note`` says why.
    inputs : tuple of str
        Names of the quantities that it was computed from, all of the same :class:`Quantities`.
    note : str
        Caveat, empty for most.
    """

    name: str
    symbol: str
    source: str
    value: FloatArray
    inputs: tuple[str, ...] = ()
    note: str = ""


def by_form(reasons: Mapping[Any, str]) -> str:
    """Reasons by the form that they hold for, in words; forms with the same one together."""
    forms: dict[str, list[str]] = {}
    for form, reason in reasons.items():
        forms.setdefault(reason, []).append(form)
    return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in forms.items())


def quantity(name: str, symbol: str, source: str, value: ArrayLike) -> Quantity:
    """Return a quantity that is computed from no others."""
    return Quantity(name, symbol, source, np.asarray(value, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Quantities(Mapping[str, Quantity]):
    r"""Quantities by name, in the order of their computation; as attributes, their values.

    Examples
    --------
    >>> some = Quantities(Form.CORRECTED, [Quantity("mu", r"\mu", "Section 3.1", np.array(0.5))])
    >>> float(some.mu), some["mu"].source
    (0.5, 'Section 3.1')
    """

    form: Form
    members: InitVar[Iterable[Quantity]]
    _by_name: Mapping[str, Quantity] = field(init=False)

    def __post_init__(self, members: Iterable[Quantity]) -> None:
        object.__setattr__(self, "_by_name", MappingProxyType({member.name: member for member in members}))

    def __getitem__(self, name: str) -> Quantity:
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"there is no quantity {name!r}; there are {', '.join(self._by_name)}") from None

    def __getattr__(self, name: str) -> FloatArray:
        # Private names are looked up before the members exist, by copy and pickle.
        if name.startswith("_") or name not in self._by_name:
            raise AttributeError(f"there is no quantity {name!r}")
        return self._by_name[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


@dataclass(frozen=True)
class Formula:
    """Quantity as a function of others, named as its parameters are."""

    function: Callable[..., ArrayLike]
    inputs: tuple[str, ...]
    symbol: str
    source: str
    note: str


class Formulas:
    """Table of formulas, each a plain function whose parameters are the names of other quantities.

    It has the formulas of its bases, too; one of the same name replaces them. A table that is a base only has no form.
    """

    def __init__(self, form: Form | None = None, *bases: "Formulas") -> None:
        self.form = form
        self._table: dict[str, Formula] = {}
        for base in bases:
            self._table |= base._table

    def add(
        self, symbol: str, source: str, note: str = "", *, name: str | None = None
    ) -> Callable[[Function], Function]:
        """Decorate the function that computes a quantity, by default the one with the function's name."""

        def register(function: Function) -> Function:
            inputs = tuple(inspect.signature(function).parameters)
            self._table[name or function.__name__] = Formula(function, inputs, symbol, source, note)
            return function

        return register

    def evaluate(self, inputs: Iterable[Quantity], wanted: Iterable[str] | None = None) -> Quantities:
        """Compute the wanted quantities, by default all of the table, each once and after its own inputs."""
        assert self.form is not None
        found = {given.name: given for given in inputs}
        for name in self._table if wanted is None else wanted:
            self._compute(name, found)
        return Quantities(self.form, found.values())

    def __iter__(self) -> Iterator[str]:
        """The names of the quantities."""
        return iter(self._table)

    def unknown(self, name: str, note: str) -> Quantity:
        """Return a quantity of the table that cannot be evaluated here."""
        formula = self._table[name]
        return Quantity(name, formula.symbol, formula.source, np.array(np.nan), note=note)

    def absent(self, note: str) -> Quantities:
        """Return all quantities of the table, none of which can be evaluated here."""
        assert self.form is not None
        return Quantities(self.form, [self.unknown(name, note) for name in self._table])

    def _compute(self, name: str, found: dict[str, Quantity]) -> FloatArray:
        if name not in found:
            formula = self._table[name]
            arguments, note = [self._compute(wanted, found) for wanted in formula.inputs], formula.note
            # A bound may exceed the range of doubles; infinity is then a valid upper bound.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                try:
                    value = np.asarray(formula.function(*arguments), dtype=np.float64)
                except (ArithmeticError, ValueError) as error:
                    value = np.array(np.nan)
                    if not any(np.isnan(argument).any() for argument in arguments):
                        note = f"{name} leaves the range of double precision: {error}"
            if np.isnan(value).any() and not note:
                notes = [found[each].note for each in formula.inputs if np.isnan(found[each].value).any()]
                note = next(filter(None, notes), f"{name} is not a real number here, or leaves the range of doubles")
            found[name] = Quantity(name, formula.symbol, formula.source, value, formula.inputs, note)
        return found[name].value

"""What every function of the theory returns: named quantities with their symbol, their source and their inputs."""

import enum
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray


class Form(enum.StrEnum):
    """Which of the two versions of a statement: the paper to the letter, or what ``docs/errata.md`` proves."""

    PRINTED = "printed"
    CORRECTED = "corrected"


@dataclass(frozen=True, eq=False)
class Quantity:
    """One number of the theory, or one for each of several gains.

    Attributes
    ----------
    name : str
        Its name in code, for example ``h_grad``.
    symbol : str
        Its symbol in the paper, in LaTeX.
    source : str
        The lemma, equation or theorem.
    value : array
        A scalar, or shape (n,) for n gains. NaN where it cannot be evaluated; ``note`` says why.
    inputs : tuple of str
        The names of the quantities that it was computed from, all of the same :class:`Quantities`.
    note : str
        What the reader must know, empty for most.
    """

    name: str
    symbol: str
    source: str
    value: FloatArray
    inputs: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Quantities(Mapping[str, Quantity]):
    r"""Quantities by name, in the order in which they were computed; reading one by attribute gives its value.

    Examples
    --------
    >>> some = Quantities(Form.CORRECTED, [Quantity("mu", r"\mu", "Section 3.1", np.array(0.5))])
    >>> float(some.mu), some["mu"].source
    (0.5, 'Section 3.1')
    """

    form: Form
    members: Iterable[Quantity]
    _by_name: Mapping[str, Quantity] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        members = tuple(self.members)
        object.__setattr__(self, "members", members)
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

    def extended(self, others: Iterable[Quantity]) -> "Quantities":
        """These quantities and further ones."""
        return Quantities(self.form, [*self.values(), *others])


@dataclass(frozen=True)
class Formula:
    """A quantity as a function of others, named as its parameters are."""

    function: Callable[..., ArrayLike]
    symbol: str
    source: str
    note: str

    @property
    def name(self) -> str:
        """The name of the quantity: that of the function."""
        return self.function.__name__

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the quantities that it needs."""
        return tuple(inspect.signature(self.function).parameters)


class Formulas:
    """A table of formulas, each a plain function whose parameters are the names of other quantities.

    Parameters
    ----------
    form : Form
        Of the quantities that it computes.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self._table: dict[str, Formula] = {}

    def add(self, symbol: str, source: str, note: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the function that computes a quantity."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self._table[function.__name__] = Formula(function, symbol, source, note)
            return function

        return register

    def evaluate(self, givens: Iterable[Quantity]) -> Quantities:
        """Compute every formula of the table from the given quantities, each once, inputs first."""
        found = {given.name: given for given in givens}
        for name in self._table:
            self._compute(name, found)
        return Quantities(self.form, found.values())

    def _compute(self, name: str, found: dict[str, Quantity]) -> FloatArray:
        if name not in found:
            formula = self._table[name]
            arguments = [self._compute(wanted, found) for wanted in formula.inputs]
            # A bound may pass the range of doubles: infinite is then the honest upper bound.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                value = np.asarray(formula.function(*arguments), dtype=np.float64)
            found[name] = Quantity(name, formula.symbol, formula.source, value, formula.inputs, formula.note)
        return found[name].value

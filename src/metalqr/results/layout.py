"""Layouts: the variables, coordinates and attributes of a kind of file. `checks.py` compares files with them."""

import enum
from collections.abc import Callable, Collection, Hashable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

import xarray as xr

CONVENTIONS = "metalqr-1"


class Kind(enum.StrEnum):
    """The type of a variable or an attribute, as messages name it."""

    REAL = "real numbers (float64)"
    WHOLE = "whole numbers (int64)"
    TEXT = "text"
    SETTING = "numbers, truth values or text"
    JSON = "a JSON mapping"


class NonFinite(enum.Flag):
    """Values that are not finite; a variable holds only those that its layout allows."""

    NONE = 0
    NAN = enum.auto()
    INFINITE = enum.auto()
    ANY = NAN | INFINITE


class Variable(NamedTuple):
    """A variable of a file.

    Attributes
    ----------
    dims : tuple of str
        A dimension ``state_2`` is as long as ``state``.
    may_be, may_end_as : NonFinite
        Allowed everywhere, and at the last index of the first dimension. Minus infinity is never allowed.
    choices : tuple of str
        The only allowed texts.
    has_all : bool
        Whether it holds all the choices, in their order.
    optional : str
        A dimension that may be missing.
    """

    dims: tuple[str, ...]
    long_name: str
    units: str | None = None
    kind: Kind = Kind.REAL
    may_be: NonFinite = NonFinite.NONE
    may_end_as: NonFinite = NonFinite.NONE
    choices: tuple[str, ...] = ()
    has_all: bool = False
    optional: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes of the variable in a file."""
        return {"long_name": self.long_name} | ({"units": self.units} if self.units else {})

    def fitted(self, found: Collection[Hashable]) -> Self:
        """The variable without its optional dimension, unless this is among those found."""
        if self.optional in found:
            return self
        return self._replace(dims=tuple(dim for dim in self.dims if dim != self.optional))


class Attribute(NamedTuple):
    """An attribute of a file: its type, the least whole number, the only allowed texts."""

    kind: Kind = Kind.TEXT
    at_least: int = 0
    choices: tuple[str, ...] = ()


class Layout(NamedTuple):
    """The content of the files of a stage.

    Attributes
    ----------
    attributes : mapping of str to Attribute
        Those beside the provenance, which every file has.
    violation : callable
        From a dataset that has all this: what else is wrong with it, or None.
    optional : mapping of str to Variable
        Variables that a file may lack.
    """

    stage: str
    title: str
    variables: Mapping[str, Variable]
    attributes: Mapping[str, Attribute]
    coordinates: Mapping[str, Variable] = MappingProxyType({})
    violation: Callable[[xr.Dataset], str | None] = lambda dataset: None
    optional: Mapping[str, Variable] = MappingProxyType({})


OF_CASE = {"case": Attribute(), "settings": Attribute(Kind.JSON)}
SEED = Attribute(Kind.WHOLE)
#: With these, the dimensions ``state`` and ``action`` have this length.
SIZES = {"state_dim": Attribute(Kind.WHOLE, at_least=1), "action_dim": Attribute(Kind.WHOLE, at_least=1)}
ITERATION = Variable(("iteration",), "iteration; 0 is the initial gain", kind=Kind.WHOLE)
SEEDS = Variable(("seed",), "seed of the run's random numbers", kind=Kind.WHOLE)

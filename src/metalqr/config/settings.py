"""Declaration of a setting, in one place: type, default, range, symbol, label, unit, and whether it is a size.

A class of settings is a frozen pydantic model whose fields are made by :func:`setting`. The check of a config, the JSON
schema for editors, the sweeps, the coordinates of datasets, axis labels and the table in the docs are all derived from
these fields; no other place repeats them.
"""

import math
import numbers
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from metalqr.config.problems import SettingsError, described, key_path, short_repr

T = TypeVar("T")
U = TypeVar("U")

#: Largest value of a count: it goes into a 32-bit word of the random counters (see :mod:`metalqr.simulation.streams`).
MAX_COUNT = 2**31 - 1
#: Largest seed, which is one such word.
MAX_SEED = 2**32 - 1


def _plain(value: Any) -> Any:
    """One of Python's own numbers for one of NumPy's; everything else as it is."""
    if type(value) in (int, float):  # nearly always, and faster to find out
        return value
    if isinstance(value, bool | str) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


#: A finite real number; whole numbers are allowed.
Real = Annotated[float, BeforeValidator(_plain)]
#: A whole number of at least 1.
Count = Annotated[int, Field(ge=1, le=MAX_COUNT), BeforeValidator(_plain)]
#: A whole number of at least 0.
Index = Annotated[int, Field(ge=0, le=MAX_COUNT), BeforeValidator(_plain)]
#: Seed of random numbers.
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), BeforeValidator(_plain)]
#: Radius of perturbations; outside this range the square underflows or overflows.
Radius = Annotated[float, Field(ge=1.0e-100, le=1.0e100), BeforeValidator(_plain)]


def _plain_row(values: Any) -> Any:
    """The same for a list; matrices may have a million numbers."""
    is_plain = not isinstance(values, list) or set(map(type, values)) <= {int, float}
    return values if is_plain else [_plain(value) for value in values]


def _tag(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<other>"


#: One type for text, another for anything else.
TextOr = Annotated[Annotated[T, Tag("<text>")] | Annotated[U, Tag("<other>")], Discriminator(_tag)]
#: A number of tasks, or ``"all"`` of them.
TaskBatch = TextOr[Literal["all"], Count]


def list_or_text(value: Any) -> Any:
    """Refuse what is neither, before either type is tried."""
    if not isinstance(value, list | tuple | str):
        raise refuse("", f"{short_repr(value)} is neither a list nor text")
    return value


def no_twins(values: tuple[T, ...]) -> tuple[T, ...]:
    """Refuse a list that names a value twice."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise refuse("", f"{short_repr(value)} is listed twice")
    return values


#: A list in a config, converted to a tuple.
Listed = Annotated[tuple[T, ...], Strict(False)]
#: A list with at least one entry, none of them twice.
Distinct = Annotated[tuple[T, ...], Strict(False), Field(min_length=1), AfterValidator(no_twins)]


def _only_all(value: str) -> str:
    if value != "all":
        raise refuse("", f"{short_repr(value)} is not allowed; write all, or a list of names")
    return value


#: A list of names, none of them twice, or ``"all"``.
AllOrListed = Annotated[
    TextOr[
        Annotated[str, AfterValidator(_only_all), WithJsonSchema({"const": "all"})],
        Annotated[Listed[str], AfterValidator(no_twins)],
    ],
    BeforeValidator(list_or_text),
]
#: Numbers.
Row = Annotated[list[float], Field(min_length=1), BeforeValidator(_plain_row)]
#: Rows of numbers.
Matrix = Annotated[list[Row], Field(min_length=1)]


class Declaration(NamedTuple):
    """The declaration of a setting, as :func:`setting` makes it, beside its type and its range.

    Without a symbol or a unit these are empty; the default of a required setting is None.
    """

    name: str
    label: str
    symbol: str
    unit: str
    about: str
    is_size: bool
    is_required: bool
    default: Any

    @property
    def axis_label(self) -> str:
        """Label and symbol, for an axis."""
        return f"{self.label} ${self.symbol}$" if self.symbol else self.label


def setting(
    default: Any = ...,
    *,
    about: str,
    label: str | None = None,
    symbol: str = "",
    unit: str = "",
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    size: bool = False,
    derived: bool = False,
) -> Any:
    r"""Declare a setting: a field of a class of settings.

    Parameters
    ----------
    default : Any, optional
        Without one, the setting must be given.
    about : str
        What it is, in a sentence without its full stop.
    label : str, optional
        Words for an axis or a table, by default those of the name: ``"smoothing radius"``.
    symbol : str
        Of the paper, in LaTeX, such as ``r"\eta"``.
    unit : str
        Such as ``"steps"``.
    above, below, at_least, at_most : float, optional
        The range.
    size : bool
        Whether memory and time of a run grow with it.
    derived : bool
        Whether a validator of the class fills in what is not given, so that the default, None, is not checked.

    Returns
    -------
    pydantic.fields.FieldInfo

    Examples
    --------
    >>> class Mine(Settings):
    ...     clip: Real = setting(1.0, symbol="c", label="clip", about="largest norm of a step", above=0)
    >>> Mine(clip=0)
    Traceback (most recent call last):
    metalqr.config.problems.SettingsError: clip: 0 is not > 0
    """
    return Field(
        default,
        title=label,
        description=about,
        gt=above,
        lt=below,
        ge=at_least,
        le=at_most,
        validate_default=not derived,
        json_schema_extra={"symbol": symbol, "unit": unit, "size": size},
    )


class Settings(BaseModel):
    """Base of all classes of settings: frozen, with named values only, unknown names refused.

    Raises
    ------
    SettingsError
        If a value is impossible or a name unknown; the message names the setting, the value and what is allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            found = described(error, type(self))
            raise SettingsError("; ".join(f"{key_path(path)}: {text}" for path, text in found)) from None

    # pydantic then makes nested settings without this method, so that an error in one keeps its whole path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def as_dict(self) -> dict[str, Any]:
        """All values by name, in the order of the class."""
        return self.model_dump()

    def changed(self) -> dict[str, Any]:
        """The values that differ from their defaults, and those of settings without a default."""
        values = self.as_dict()
        return {
            each.name: values[each.name]
            for each in self._declared()
            if each.is_required or values[each.name] != each.default
        }

    def replace(self, **changes: Any) -> Self:
        """The same settings with some values changed, checked again."""
        return type(self)(**{**self.as_dict(), **changes})

    def sizes(self) -> list[str]:
        """The names of the settings that are sizes."""
        return [each.name for each in self._declared() if each.is_size]

    def _declared(self) -> Iterator[Declaration]:
        return self.declarations()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        # Of the range of a type and that of a setting, pydantic takes the last, which is not the narrower one.
        for name, field in cls.model_fields.items():
            field.metadata.sort(key=_tightness)
            field.title = field.title or name.replace("_", " ")
        cls.model_rebuild(force=True)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings, in order."""
        return tuple(cls.model_fields)

    @classmethod
    def declarations(cls) -> Iterator[Declaration]:
        """The declaration of each setting."""
        for name, field in cls.model_fields.items():
            yield declaration(name, field)


def _tightness(constraint: Any) -> float:
    """A key that sorts the bounds of a range, the tightest of a kind last, and validators after all of them."""
    for bound, sign in (("ge", 1), ("gt", 1), ("le", -1), ("lt", -1)):
        if hasattr(constraint, bound):
            return float(sign * getattr(constraint, bound))
    return math.inf


def declaration(name: str, field: FieldInfo) -> Declaration:
    """The declaration that :func:`setting` has made of a field."""
    extra: Any = field.json_schema_extra or {}
    return Declaration(
        name=name,
        label=field.title or name,
        symbol=extra.get("symbol", ""),
        unit=extra.get("unit", ""),
        about=field.description or "",
        is_size=extra.get("size", False),
        is_required=field.is_required(),
        default=None if field.is_required() else field.default,
    )


def type_of(field: FieldInfo) -> Any:
    """The type of a field with its range."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def refuse(key: str, reason: str) -> PydanticCustomError:
    """The error of a validator of several settings: it names the one to change.

    Examples
    --------
    ``raise refuse("smoothing_radius", "0.0001 is not >= 0.001 in single precision")`` inside a ``model_validator``.
    """
    return PydanticCustomError("refused", "{reason}", {"key": key, "reason": reason})

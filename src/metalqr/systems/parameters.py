"""Physical parameters of systems: a number, a range or a list, with a unit and the values that the model covers."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from metalqr.config.problems import nearest, short_repr, wrong_type
from metalqr.config.settings import refuse, setting

#: The value of a parameter: one for all tasks, the ends ``low`` and ``high`` of a range, or one for each task.
Parameter = float | dict[str, float] | list[float]

_ENDS = ("low", "high")


@dataclass(frozen=True)
class Physical:
    """The values that a parameter may have, from ``low`` to ``high``; whole numbers alone if it is a choice.

    ``typical`` are the ends of a range in which tasks differ noticeably and one gain can still serve them.
    """

    unit: str
    low: float
    high: float
    typical: tuple[float, float]
    is_choice: bool = False

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words."""
        if self.is_choice:
            return f"{self.low:g}, ..., {self.high:g}"
        return f"{self.low:g} to {self.high:g} {self.unit}".strip()

    def checked(self, value: Any) -> Parameter:
        """Check a value in any of its forms, and give it the form that is stored.

        Raises
        ------
        pydantic_core.PydanticCustomError
            If the value, an end of the range or an entry of the list is impossible.
        """
        if isinstance(value, Mapping):
            return self._range(value)
        if isinstance(value, list | tuple):
            if not value:
                raise refuse("", "empty; give at least one value")
            return [self.number(each, str(place)) for place, each in enumerate(value)]
        return self.number(value)

    def number(self, value: Any, key: str = "") -> float:
        """Check a single value; ``key`` is its place inside the parameter."""
        if isinstance(value, str):
            raise refuse(key, self._text(value))
        found = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
        if not math.isfinite(found):
            forms = "not a number" if key else "neither a number, nor a range {low: ..., high: ...}, nor a list"
            raise refuse(key, f"{short_repr(value)} is {forms}; give {self._example}")
        if not self.low <= found <= self.high or (self.is_choice and not found.is_integer()):
            raise refuse(key, f"{value!r} is not {self._wanted}; choose one of these values")
        return int(found) if self.is_choice else found

    @property
    def _wanted(self) -> str:
        return f"one of {self.allowed}" if self.is_choice else f"from {self.allowed}"

    @property
    def _example(self) -> str:
        return f"{'one of' if self.is_choice else 'a number from'} {self.allowed}"

    def _text(self, value: str) -> str:
        try:
            float(value)
        except ValueError:
            unit = f", in {self.unit}" if self.unit else ""
            return f"{short_repr(value)} is text, not a number; write the number alone{unit}"
        return wrong_type(value, "float_type")

    def _range(self, value: Mapping[Any, Any]) -> dict[str, float]:
        if self.is_choice:
            raise refuse("", f"a range, but there is nothing between {self.allowed}; list those to use, such as [1, 2]")
        for key in value:
            if key not in _ENDS:
                raise refuse(str(key), f"unknown key; {nearest(str(key), list(_ENDS))}")
        for key in _ENDS:
            if key not in value:
                raise refuse(key, "missing; add it")
        low, high = (self.number(value[key], key) for key in _ENDS)
        if not low < high:
            remedy = "exchange them" if low > high else "write a fixed value as a number alone"
            raise refuse("low", f"{low!r} is not < high, which is {high!r}; {remedy}")
        return {"low": low, "high": high}

    # The methods by which pydantic takes an annotation as a type.

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        kind = "integer" if self.is_choice else "number"
        number = {"type": kind, "minimum": self.low, "maximum": self.high}
        ends = {
            "type": "object",
            "properties": dict.fromkeys(_ENDS, number),
            "required": list(_ENDS),
            "additionalProperties": False,
        }
        values = {"type": "array", "items": number, "minItems": 1}
        return {"anyOf": [number, values] if self.is_choice else [number, ends, values]}


def parameter(
    default: float,
    *,
    about: str,
    low: float,
    high: float,
    unit: str = "",
    typical: tuple[float, float] | None = None,
    symbol: str = "",
    label: str | None = None,
    is_choice: bool = False,
) -> Any:
    r"""Declare a physical parameter of a system: a field of a class of :class:`metalqr.systems.system.SystemSettings`.

    Parameters
    ----------
    default : float
        Nominal value.
    about : str
        What it is, in a sentence without its full stop.
    low, high : float
        The values that the model covers; others are refused.
    unit : str
        Such as ``"m/s"``.
    typical : tuple of float, optional
        Ends of a range to vary it in, for the tables and the gallery; by default, ``low`` and ``high``.
    symbol, label : str, optional
        As in :func:`metalqr.config.settings.setting`.
    is_choice : bool
        Whether it is a number of a list, such as that of a ship, so that there is nothing between two values.

    Returns
    -------
    pydantic.fields.FieldInfo

    Examples
    --------
    >>> from metalqr.systems.system import SystemSettings
    >>> class Mine(SystemSettings):
    ...     speed: Parameter = parameter(10.0, unit="m/s", low=1.0, high=20.0, about="speed of the bus")
    >>> Mine(speed="5 m/s")
    Traceback (most recent call last):
    metalqr.config.problems.SettingsError: speed: '5 m/s' is text, not a number; write the number alone, in m/s
    """
    field = setting(default, about=about, unit=unit, symbol=symbol, label=label)
    field.metadata.append(Physical(unit, low, high, typical or (low, high), is_choice))
    return field


def physical(field: FieldInfo) -> Physical | None:
    """The values of a parameter; None for a setting that is none."""
    return next((each for each in field.metadata if isinstance(each, Physical)), None)

"""Messages for the problems of a config: one line each, which begins with the file or with the key's path."""

import difflib
import math
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

#: Maximum length of a value that a message shows in full.
MAX_SHOWN = 120
#: Maximum length of the list of names in a message.
MAX_LISTED = 250

_COMPARISONS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}
_KINDS = {
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "text",
    "bool_type": "true or false",
}
#: Parts of an error's place that pydantic adds: a key itself is wrong, or one of several types was chosen.
_KEY = "[key]"
_TAG = re.compile("<[^<>]+>")


class ConfigError(ValueError):
    """The config is unusable; the message has one line for each problem, which begins with the file or the key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        header = "The config has a problem:" if count == 1 else f"The config has {count} problems:"
        super().__init__("\n".join([header, *(f"  {problem}" for problem in self.problems)]))


class SettingsError(ValueError):
    """A setting has an impossible value; the message names the setting, the value and what is allowed."""


def described(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """The path of each problem that pydantic found in a model, and what is wrong there, in words."""
    for each in error.errors(include_url=False):
        kind, value, context = each["type"], each["input"], each.get("ctx", {})
        path = _keys_of(each["loc"], kind)
        if kind == "missing":
            text = "missing; add it"
        elif kind == "invalid_key":  # a number, say
            path, text = (*path[:-1], value), "unknown key; keys are text"
        elif kind == "extra_forbidden":
            text = f"unknown key; {nearest(str(path[-1]), _keys(model, each['loc'][:-1]))}"
        elif kind in _COMPARISONS:
            text = _out_of_range(value, kind, context)
        elif kind == "literal_error":
            choices = re.findall(r"'([^']*)'", str(context["expected"]))
            text = f"{short_repr(value)} is not allowed; {nearest(str(value), choices)}"
        elif kind == "too_short":
            if value:
                continue  # only entries that are impossible, which is said of each
            text = "empty; give at least one entry"
        elif kind == "refused":
            inner = [int(key) if key.isdigit() else key for key in str(context["key"]).split(".")]
            path, text = (*path, *inner) if context["key"] else path, context["reason"]
        elif kind in _KINDS:
            text = wrong_type(value, kind)
        else:
            text = f"{short_repr(value)}: {each['msg']}"
        yield path, text


def _keys_of(place: tuple[int | str, ...], kind: str) -> tuple[int | str, ...]:
    """The path of keys in a place of pydantic's, which also has tags, such as ``<text>``, and marks wrong keys."""
    is_key_wrong = kind in ("extra_forbidden", "invalid_key")
    if place[-1:] == (_KEY,) and not is_key_wrong:
        place, is_key_wrong = place[:-1], True
    # A wrong key may look like a tag.
    last = len(place) - 1 if is_key_wrong else -1
    return tuple(part for index, part in enumerate(place) if index == last or not _TAG.fullmatch(str(part)))


def _keys(kind: Any, place: Sequence[int | str]) -> list[str]:
    """The keys that are possible at a place inside a type, which is given as pydantic gives it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _keys(arguments[0], place)
    if not place:
        # Its own first, then those that it inherits.
        declared = [vars(each).get("__annotations__", {}) for each in kind.__mro__]
        return sorted(kind.model_fields, key=lambda name: [name in names for names in declared].index(True))
    if origin in (Union, types.UnionType):
        inner = next(each for each in arguments if Tag(str(place[0])) in getattr(each, "__metadata__", ()))
    elif origin is None:
        inner = kind.model_fields[place[0]].annotation
    else:
        inner = arguments[1] if origin is dict else arguments[0]
    return _keys(inner, place[1:])


def _out_of_range(value: Any, kind: str, context: dict[str, Any]) -> str:
    sign, key = _COMPARISONS[kind]
    bound = context[key]
    # A bound such as 1e-100 exists only so that the square does not vanish: a number <= 0 is simply not positive.
    if sign == ">=" and 0 < bound < 1 and value <= 0:
        sign, bound = ">", 0
    return f"{short_repr(value)} is not {sign} {bound if isinstance(bound, int) else format(bound, 'g')}"


def wrong_type(value: Any, kind: str) -> str:
    """The problem with a value of the wrong type, with the correct spelling if it can be guessed."""
    found, wanted = short_repr(value), _KINDS[kind]
    if wanted not in ("a number", "a whole number"):
        return f"{found} is not {wanted}"
    whole = wanted == "a whole number"
    if whole and isinstance(value, float) and value.is_integer():
        return f"{found} is not {wanted}; write {short_repr(int(value))}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{found} exceeds the range of double precision"
    if not isinstance(value, str):
        return f"{found} is not {wanted if whole else 'a finite number'}"
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if whole and number.is_integer():
        return f"{found} is text, not {wanted}; write {short_repr(int(number))}"
    if whole or not math.isfinite(number):
        return f"{found} is text, not {wanted}"
    remedy = f"write {_yaml_number(number)} (YAML reads 1e-3 as text, 1.0e-3 as a number)"
    return f"{found} is text, not {wanted}; {remedy}"


def _yaml_number(number: float) -> str:
    """The number so that YAML 1.1 reads it as one: with a point before the exponent, and a sign in it."""
    mantissa, exponent, power = repr(number).partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{exponent}{power}"


def short_repr(value: Any) -> str:
    """The value as Python writes it, cut to a length that fits into a line."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """The text, cut to a length that fits into a line."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN // 2]}..."


def key_path(path: Iterable[Any]) -> str:
    """The path of a key as a reader would write it: `cases.d1k1.tasks.A[0]`; a key that is not a word is quoted."""
    text = ""
    for key in path:
        word = shortened(str(key) if re.fullmatch(r"[\w-]+", str(key)) else repr(key))
        text += f"[{key}]" if isinstance(key, int) else f".{word}" if text else word
    return text or "config"


def nearest(word: str, known: list[str]) -> str:
    """The known word that was probably meant, or a list of all."""
    close = difflib.get_close_matches(word, known, n=1)
    close = close or sorted((name for name in known if len(word) > 2 and word in name), key=len)
    if close:
        return f"did you mean {close[0]}?"
    listed = ", ".join(known)
    return f"use one of: {listed if len(listed) <= MAX_LISTED else listed[:MAX_LISTED].rpartition(', ')[0] + ', ...'}"


def shape_problem(matrix: Sequence[Sequence[float]], shape: tuple[int, int], words: str) -> str | None:
    """The problem with the shape of a matrix, where `words` names the dimensions wanted; None if nothing is."""
    if len(matrix) == shape[0] and all(len(row) == shape[1] for row in matrix):
        return None
    lengths = sorted({len(row) for row in matrix})
    found = f"{len(matrix)} x {' or '.join(map(str, lengths))}"
    return f"the matrix is {found}, not {words} = {shape[0]} x {shape[1]}"

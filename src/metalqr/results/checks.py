"""Comparison of a dataset with its layout."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.results.layout import Attribute, Kind, Layout, NonFinite, Variable

#: Maximum length of a value in a message.
_MAX_SHOWN = 60

_FITS: dict[Kind, Callable[[np.dtype[Any]], bool]] = {
    Kind.REAL: lambda dtype: dtype == np.float64,
    Kind.WHOLE: lambda dtype: dtype.kind in "iu",
    Kind.TEXT: lambda dtype: dtype.kind in "OTU",
    Kind.SETTING: lambda dtype: dtype.kind in "bfiuOTU",
}


def first_violation(layout: Layout, dataset: xr.Dataset) -> str | None:
    """Name the first thing in which a dataset differs from its layout; None if there is none."""
    return next(_violations(layout, dataset), None)


def wrong_size(dataset: xr.Dataset, sizes: Mapping[str, int], place: str) -> str | None:
    """Name the first dimension whose size differs from that in another place; None if there is none."""
    for dim, size in sizes.items():
        if dataset.sizes[dim] != size:
            return f"its dimension {dim} is {dataset.sizes[dim]}, but {size} in {place}"
    return None


def _violations(layout: Layout, dataset: xr.Dataset) -> Iterator[str]:
    declared = {**layout.variables, **layout.coordinates}
    missing = [f"variable {name}" for name in declared if name not in dataset.variables]
    missing += [f"attribute {name}" for name in layout.attributes if name not in dataset.attrs]
    if missing:
        yield f"it lacks {', '.join(missing)}"
        return
    declared |= {name: spec for name, spec in layout.optional.items() if name in dataset.variables}
    declared = {name: spec.fitted(dataset[name].dims) for name, spec in declared.items()}
    for name, spec in declared.items():
        yield from _of_shape(name, spec, dataset)
    for name, attribute in layout.attributes.items():
        yield from _of_attribute(name, attribute, dataset.attrs[name])
    for name, spec in declared.items():
        yield from _of_values(name, spec, dataset[name])
    for name in ("state_dim", "action_dim"):
        dim = name.removesuffix("_dim")
        if name in layout.attributes and dataset.sizes.get(dim, dataset.attrs[name]) != dataset.attrs[name]:
            yield f"its dimension {dim} is {dataset.sizes[dim]}, but its attribute {name} is {dataset.attrs[name]}"
    if found := layout.violation(dataset):
        yield found


def _of_shape(name: str, spec: Variable, dataset: xr.Dataset) -> Iterator[str]:
    found = tuple(map(str, dataset[name].dims))
    if found != spec.dims:
        yield f"its variable {name} has the dimensions {found}, not {spec.dims}"
    for dim in spec.dims:
        size, twin = dataset.sizes[dim], dim.removesuffix("_2")
        if not size:
            yield f"its dimension {dim} is empty"
        elif size != dataset.sizes.get(twin, size):
            yield f"its dimension {dim} is {size}, but {twin} is {dataset.sizes[twin]}"


def _of_values(name: str, spec: Variable, array: xr.DataArray) -> Iterator[str]:
    values = array.values
    if not _FITS[spec.kind](values.dtype):
        held = "text or objects" if values.dtype.kind in "OSTU" else values.dtype
        yield f"its variable {name} holds {held}, not {spec.kind}"
    elif values.dtype.kind == "f":
        yield from _not_finite(name, spec, values)
    elif values.dtype.kind in "OTU":
        for value in values.flat:
            if not _is_text(value, spec.choices):
                yield f"its variable {name} holds {_shown(value)}, not {_words(spec.choices) or spec.kind}"
                return
        if spec.has_all and tuple(values) != spec.choices:
            yield f"its variable {name} is {', '.join(values)}, not {', '.join(spec.choices)}"


def _not_finite(name: str, spec: Variable, values: NDArray[np.float64]) -> Iterator[str]:
    for special, where, words in (
        (NonFinite.NAN, np.isnan(values), "NaN"),
        (NonFinite.INFINITE, np.isinf(values), "infinite"),
    ):
        wrong = where & (values < 0) if special in spec.may_be else where
        if special in spec.may_end_as:
            wrong[-1] &= values[-1] < 0
        if wrong.any():
            place = zip(spec.dims, np.argwhere(wrong)[0].tolist(), strict=True)
            named = ", ".join(f"{dim} {index}" for dim, index in place)
            yield f"its variable {name} is {words}" + (f" at {named}" if named else "")


def _of_attribute(name: str, spec: Attribute, value: Any) -> Iterator[str]:
    if spec.kind is Kind.WHOLE:
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < spec.at_least:
            yield f"its attribute {name} is {_shown(value)}, not a whole number >= {spec.at_least}"
    elif not _is_text(value, spec.choices) or (spec.kind is Kind.JSON and not _is_mapping(value)):
        wanted = _words(spec.choices) or spec.kind
        yield f"its attribute {name} is {_shown(value)}, not {wanted}"


def _is_text(value: Any, choices: tuple[str, ...]) -> bool:
    return isinstance(value, str) and (not choices or value in choices)


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _words(choices: tuple[str, ...]) -> str:
    return " or ".join(filter(None, [", ".join(choices[:-1]), *choices[-1:]]))


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."

"""Comparing the content of a file with its layout: the first thing that is wrong with it, in words."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from metalqr.results.layout import ATTRIBUTES, Attribute, Kind, Layout, Special, Variable

#: Characters of a value that a message shows.
_LONGEST_VALUE = 60

_FITS: dict[Kind, Callable[[np.dtype[Any]], bool]] = {
    Kind.REAL: lambda dtype: dtype == np.float64,
    Kind.WHOLE: lambda dtype: dtype.kind in "iu",
    Kind.TEXT: lambda dtype: dtype.kind in "OTU",
    Kind.SETTING: lambda dtype: dtype.kind in "bfiuOTU",
}


def fault(layout: Layout, dataset: xr.Dataset) -> str | None:
    """Why a dataset is not what its layout says, or None."""
    return next(_faults(layout, dataset), None)


def _faults(layout: Layout, dataset: xr.Dataset) -> Iterator[str]:
    declared = {**layout.variables, **layout.coordinates}
    missing = [f"variable {name}" for name in declared if name not in dataset.variables]
    missing += [f"attribute {name}" for name in layout.attributes if name not in dataset.attrs]
    if missing:
        yield f"it lacks {', '.join(missing)}"
        return
    for name, spec in declared.items():
        yield from _shape_faults(name, spec, dataset)
    for name in layout.attributes:
        if name in ATTRIBUTES:
            yield from _attribute_faults(name, ATTRIBUTES[name], dataset.attrs[name])
    for name, spec in declared.items():
        yield from _value_faults(name, spec, dataset[name])


def _shape_faults(name: str, spec: Variable, dataset: xr.Dataset) -> Iterator[str]:
    found = tuple(map(str, dataset[name].dims))
    if found != spec.dims:
        yield f"its variable {name} has the dimensions {found}, not {spec.dims}"
    for dim in spec.dims:
        size, twin = dataset.sizes[dim], dim.removesuffix("_2")
        if not size:
            yield f"its dimension {dim} is empty"
        elif size != dataset.sizes.get(twin, size):
            yield f"its dimension {dim} is {size}, but {twin} is {dataset.sizes[twin]}"


def _value_faults(name: str, spec: Variable, array: xr.DataArray) -> Iterator[str]:
    values = array.values
    if not _FITS[spec.kind](values.dtype):
        held = "text or objects" if values.dtype.kind in "OSTU" else values.dtype
        yield f"its variable {name} holds {held}, not {spec.kind}"
    elif values.dtype.kind == "f":
        yield from _special_faults(name, spec, values)
    elif values.dtype.kind in "OTU":
        for value in values.flat:
            if not isinstance(value, str) or (spec.choices and value not in spec.choices):
                yield f"its variable {name} holds {_shown(value)}, not {_words(spec.choices) or spec.kind}"
                return


def _special_faults(name: str, spec: Variable, values: NDArray[np.float64]) -> Iterator[str]:
    for special, where in ((Special.NAN, np.isnan(values)), (Special.INFINITE, np.isinf(values))):
        # Nothing that may be infinite may be minus infinity.
        wrong = where if special not in spec.may_be else where & (values < 0)
        if special in spec.may_end_as:
            wrong[-1] &= values[-1] < 0
        if wrong.any():
            place = zip(spec.dims, np.argwhere(wrong)[0].tolist(), strict=True)
            named = ", ".join(f"{dim} {index}" for dim, index in place)
            yield f"its variable {name} is {special}" + (f" at {named}" if named else "")


def _attribute_faults(name: str, spec: Attribute, value: Any) -> Iterator[str]:
    if spec.kind is Kind.WHOLE:
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < spec.least:
            yield f"its attribute {name} is {_shown(value)}, not a whole number >= {spec.least}"
    elif not isinstance(value, str) or (spec.choices and value not in spec.choices):
        yield f"its attribute {name} is {_shown(value)}, not {_words(spec.choices) or 'text'}"
    elif spec.kind is Kind.JSON and not _is_mapping(value):
        yield f"its attribute {name} is {_shown(value)}, not {spec.kind}"


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _words(choices: tuple[str, ...]) -> str:
    return " or ".join(filter(None, [", ".join(choices[:-1]), *choices[-1:]]))


def _shown(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."

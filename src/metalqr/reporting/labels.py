"""Labels of cases, and labels and symbols of the axes of datasets; those of a setting come from its declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metalqr.config.algorithm import setting_declaration
from metalqr.config.settings import Declaration
from metalqr.reporting.summaries import is_gap, is_measured

if TYPE_CHECKING:
    import xarray as xr

#: After the label of a case whose optima cost nothing.
GAP = " (absolute gap)"
#: After the label of a case with a simulator, among others.
MEASURED = " (measured cost)"


def declared(axis: str) -> Declaration:
    """The declaration of the setting that an axis is named after; of another axis, such as ``variant``, its name."""
    words = axis.removeprefix("tasks.").replace("_", " ")
    other = Declaration(axis, words, symbol="", unit="", about="", is_size=False, is_required=False, default=None)
    return setting_declaration(axis) or other


def spaced(name: str) -> str:
    """A name of a config as words: ``two_point`` is ``two point``."""
    return name.replace("_", " ")


def dimensions(case: xr.Dataset) -> str:
    """A case's dimensions in the words of the paper's legend."""
    return f"state dim: {case.attrs['state_dim']}, action dim: {case.attrs['action_dim']}"


def titled(name: str, case: xr.Dataset) -> str:
    """The name of a case with its dimensions."""
    return f"{name}: d = {case.attrs['state_dim']}, k = {case.attrs['action_dim']}"


def case_labels(cases: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """The labels of the cases that a figure shows together, by their names.

    If every name only repeats the dimensions, as the paper's d1k1, d2k2 and d20k10 do, they are labelled as in the
    paper, ``state dim: 2, action dim: 2``. Otherwise the name comes first, ``slow: d = 2, k = 2``: cases may share
    their dimensions. A case that has no ratio says what is shown.
    """
    sizes = {name: (case.attrs["state_dim"], case.attrs["action_dim"]) for name, case in cases.items()}
    if all(name == f"d{d}k{k}" for name, (d, k) in sizes.items()):
        labels = {name: dimensions(case) for name, case in cases.items()}
    else:
        labels = {name: titled(name, case) for name, case in cases.items()}
    return {name: f"{label}{_kind(cases[name])}" for name, label in labels.items()}


def _kind(case: xr.Dataset) -> str:
    """What is shown of a case that has no ratio."""
    if is_measured(case):
        return MEASURED
    return GAP if is_gap(case) else ""

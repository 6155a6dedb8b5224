"""The files of the theory: the audit of every inequality, the constants, and what the theorems ask for."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from metalqr.results.files import PathLike, load, save
from metalqr.results.layout import Kind, Layout, Special, Variable
from metalqr.results.runs import dataset_of

if TYPE_CHECKING:  # for annotations only, as in runs.py
    from metalqr.theory import Audit, Form, Quantities

_ANYTHING = frozenset(Special)
_PER_FORM = ("inequality", "form")

#: What the theorems ask for, and what a run uses: by the names of the config.
THEOREM_SETTINGS = {
    "learning_rate": "learning rate alpha",
    "adaptation_rate": "adaptation rate eta",
    "smoothing_radius": "smoothing radius r",
    "rollout_length": "roll-out length",
    "perturbations": "perturbations M",
    "task_batch": "task batch",
    "iterations": "iterations N",
}

THEORY = Layout(
    "theory",
    "Audit of the theory, its constants, and what its theorems ask for",
    {
        "worst_ratio": Variable(_PER_FORM, "largest left side over right side", "1", may_be=_ANYTHING),
        "checked": Variable(_PER_FORM, "gains and tasks at which the inequality was checked", kind=Kind.WHOLE),
        "broken": Variable(_PER_FORM, "gains and tasks at which it does not hold", kind=Kind.WHOLE),
        "left": Variable(_PER_FORM, "left side at the worst ratio", may_be=_ANYTHING),
        "right": Variable(_PER_FORM, "right side at the worst ratio", may_be=_ANYTHING),
        "origin": Variable(
            _PER_FORM, "tasks at the worst ratio: -1 those of the case, otherwise the number of a random set",
            kind=Kind.WHOLE,
        ),
        "eta": Variable(_PER_FORM, "adaptation rate at the worst ratio", may_be=_ANYTHING),
        "K": Variable((*_PER_FORM, "action", "state"), "gain at the worst ratio", may_be=_ANYTHING),
        "change": Variable((*_PER_FORM, "action", "state"), "its perturbation there", may_be=_ANYTHING),
        "statement": Variable(("inequality",), "the inequality, in LaTeX", kind=Kind.TEXT),
        "source": Variable(("inequality",), "where the paper states it", kind=Kind.TEXT),
        "erratum": Variable(("inequality",), "entry of docs/errata.md", kind=Kind.WHOLE),
        "bound": Variable(
            ("constant", "form"), "bound of the constant over the sub-level set of Definition 2", may_be=_ANYTHING
        ),
        "symbol": Variable(("constant",), "symbol of the constant, in LaTeX", kind=Kind.TEXT),
        "required": Variable(("setting", "form"), "what Theorems 1 and 2 ask for", may_be=_ANYTHING),
        "used": Variable(("setting",), "what the case uses"),
    },
    ("case", "settings"),
    {
        "inequality": Variable(("inequality",), "name of the inequality", kind=Kind.TEXT),
        "form": Variable(("form",), "as printed or as corrected", kind=Kind.TEXT, choices=("printed", "corrected")),
        "constant": Variable(("constant",), "name of the constant", kind=Kind.TEXT),
        "setting": Variable(("setting",), "name of the setting", kind=Kind.TEXT, choices=tuple(THEOREM_SETTINGS)),
    },
)  # fmt: skip


def save_theory(
    path: PathLike,
    audit: "Audit",
    bounds: Mapping["Form", "Quantities"],
    requirements: Mapping["Form", "Quantities"],
    used: Mapping[str, float],
    settings: Mapping[str, Any],
    *,
    case: str,
) -> None:
    """Write what the theory says about a case.

    Parameters
    ----------
    path : path
    audit : metalqr.theory.Audit
    bounds, requirements : mapping of metalqr.theory.Form to metalqr.theory.Quantities
        The constants over the sub-level set, and what the theorems ask for, in both forms.
    used : mapping of str to float
        What the case uses, by the names of ``THEOREM_SETTINGS``.
    settings : mapping
        Kept as JSON in the attribute ``settings``.
    case : str
        Name of the case.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    forms = list(bounds)
    constants = [name for name in bounds[forms[0]] if all(name in bounds[form] for form in forms)]
    arrays = {
        **{field.name: getattr(audit, field.name) for field in fields(audit) if field.name in THEORY.variables},
        "statement": np.array(audit.statements, dtype=object),
        "source": np.array(audit.sources, dtype=object),
        "erratum": np.array(audit.errata),
        "bound": [[float(bounds[form][name].value) for form in forms] for name in constants],
        "symbol": np.array([bounds[forms[0]][name].symbol for name in constants], dtype=object),
        "required": [[float(requirements[form][name].value) for form in forms] for name in THEOREM_SETTINGS],
        "used": [float(used[name]) for name in THEOREM_SETTINGS],
    }
    dataset = dataset_of(THEORY, arrays, {"case": case, "settings": json.dumps(settings)})
    names = {
        "inequality": audit.inequalities,
        "form": [str(form) for form in forms],
        "constant": constants,
        "setting": list(THEOREM_SETTINGS),
    }
    coordinates = {
        name: (name, np.array(values, dtype=object), THEORY.coordinates[name].attributes)
        for name, values in names.items()
    }
    save(path, dataset.assign_coords(coordinates))


def load_theory(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read a file of :func:`save_theory`; with `case`, check that it is of this case.

    Raises
    ------
    StorageError
        If the file is missing, unreadable, foreign, wrong or of another case.
    """
    return load(path, THEORY, case)

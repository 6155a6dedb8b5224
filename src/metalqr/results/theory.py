"""Files of the theory: the audit of every inequality, the constants, and the requirements of the theorems."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from metalqr.results.files import PathLike, dataset_of, load
from metalqr.results.layout import OF_CASE, Kind, Layout, NonFinite, Variable
from metalqr.theory import Audit, Form, Quantities

#: The settings that the theorems bound, with the names of the config.
THEOREM_SETTINGS = (
    "learning_rate",
    "adaptation_rate",
    "smoothing_radius",
    "rollout_length",
    "perturbations",
    "task_batch",
    "iterations",
)

#: What the corrected Theorem 2 promises about the gap, by the names of the requirements.
PROMISE = (
    "initial_gap",
    "epsilon_0",
    "least_heterogeneity_bias",
    "heterogeneity_bias",
    "true_at_start",
    "iterations_for_gap",
    "gradient_norm",
    "gradient_target",
    "learning_rate_without_adaptation",
)
#: Why a case whose every task counts in each iteration has no task batch.
NO_BATCH = "not applicable: every task counts in each iteration, and no batch is drawn"

_PER_FORM = ("inequality", "form")
_ANY = NonFinite.ANY

#: Under the names of the audit.
_AUDIT = {
    "worst_ratio": Variable(_PER_FORM, "largest left side over right side", "1", may_be=_ANY),
    "checked": Variable(_PER_FORM, "gains and tasks at which the inequality was checked", kind=Kind.WHOLE),
    "broken": Variable(_PER_FORM, "gains and tasks at which it does not hold", kind=Kind.WHOLE),
    "checked_equal": Variable(
        _PER_FORM, "of checked, those with the covariance of the noise for the initial state", kind=Kind.WHOLE
    ),
    "broken_equal": Variable(
        _PER_FORM, "of broken, those with the covariance of the noise for the initial state", kind=Kind.WHOLE
    ),
    "left": Variable(_PER_FORM, "left side at the worst ratio", may_be=_ANY),
    "right": Variable(_PER_FORM, "right side at the worst ratio", may_be=_ANY),
    "origin": Variable(
        _PER_FORM,
        "tasks at the worst ratio: -1 those of the case, otherwise the number of a random set",
        kind=Kind.WHOLE,
    ),
    "eta": Variable(_PER_FORM, "adaptation rate at the worst ratio", may_be=_ANY),
    "K": Variable((*_PER_FORM, "action", "state"), "gain at the worst ratio", may_be=_ANY),
    "change": Variable((*_PER_FORM, "action", "state"), "its perturbation there", may_be=_ANY),
    "remark": Variable((), "what the audit left out, and why; empty if nothing", kind=Kind.TEXT),
}
THEORY = Layout(
    "theory",
    "Audit of the theory, its constants, and the requirements of its theorems",
    {
        **_AUDIT,
        "statement": Variable(("inequality",), "the inequality, in LaTeX", kind=Kind.TEXT),
        "source": Variable(("inequality",), "where the paper states it", kind=Kind.TEXT),
        "erratum": Variable(("inequality",), "entry of docs/errata.md", kind=Kind.WHOLE),
        "bound": Variable(
            ("constant", "form"), "bound of the constant over the sub-level set of Definition 2", may_be=_ANY
        ),
        "symbol": Variable(("constant",), "symbol of the constant, in LaTeX", kind=Kind.TEXT),
        "required": Variable(("setting", "form"), "value that Theorems 1 and 2 require", may_be=_ANY),
        "missing": Variable(("setting", "form"), "why there is no such value; empty if there is", kind=Kind.TEXT),
        "used": Variable(("setting",), "value that the case uses; NaN where it has none", may_be=NonFinite.NAN),
        "certified": Variable(
            ("setting",), "largest value that is certified at the initial gain", may_be=NonFinite.ANY
        ),
        "promise": Variable(("promised",), "quantities of the corrected Theorem 2, about the gap", may_be=_ANY),
    },
    OF_CASE,
    {
        "inequality": Variable(("inequality",), "name of the inequality", kind=Kind.TEXT),
        "form": Variable(("form",), "as printed or as corrected", kind=Kind.TEXT, choices=tuple(Form)),
        "constant": Variable(("constant",), "name of the constant", kind=Kind.TEXT),
        "promised": Variable(("promised",), "name of the quantity", kind=Kind.TEXT, choices=PROMISE),
        "setting": Variable(("setting",), "name of the setting", kind=Kind.TEXT, choices=THEOREM_SETTINGS),
    },
)


def theory_dataset(
    audit: Audit,
    bounds: Mapping[Form, Quantities],
    requirements: Mapping[Form, Quantities],
    certified: Mapping[str, float],
    used: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    case: str,
) -> xr.Dataset:
    """Return what the file of a case holds.

    ``bounds`` are the constants over the sub-level set, ``requirements`` those of the theorems, ``certified``
    values of some settings at the initial gain, and ``used`` the settings of the case, at least those of
    ``THEOREM_SETTINGS``; ``settings`` are what all of this was made from. A
    task batch ``all`` is not drawn, so that there is no number to compare.
    """
    first = bounds[Form.PRINTED]
    found = [[requirements[form][name] for form in Form] for name in THEOREM_SETTINGS]
    if used["task_batch"] == "all":
        place = THEOREM_SETTINGS.index("task_batch")
        missing = np.array(np.nan)
        found[place] = [
            each if np.isnan(each.value) else replace(each, value=missing, note=NO_BATCH) for each in found[place]
        ]
        used = {**used, "task_batch": np.nan}
    constants = [name for name in first if name in bounds[Form.CORRECTED]]
    promised = [requirements[Form.CORRECTED].get(name) for name in PROMISE]
    arrays = {
        **{name: getattr(audit, name) for name in _AUDIT},
        "inequality": audit.inequalities,
        "statement": audit.statements,
        "source": audit.sources,
        "erratum": audit.errata,
        "form": list(Form),
        "constant": constants,
        "symbol": [first[name].symbol for name in constants],
        "bound": [[float(bounds[form][name].value) for form in Form] for name in constants],
        "setting": THEOREM_SETTINGS,
        "required": [[float(each.value) for each in row] for row in found],
        "missing": [[each.note if np.isnan(each.value) else "" for each in row] for row in found],
        "certified": [float(certified.get(name, np.nan)) for name in THEOREM_SETTINGS],
        "promised": PROMISE,
        "promise": [np.nan if each is None else float(each.value) for each in promised],
        "used": [float(used[name]) for name in THEOREM_SETTINGS],
    }
    return dataset_of(THEORY, arrays, case=case, settings=settings)


def load_theory(path: PathLike, case: str | None = None) -> xr.Dataset:
    """Read the theory of a case; see :func:`metalqr.results.load`."""
    return load(path, THEORY, case)

"""The names of the files that one stage makes and another reads."""

from collections.abc import Mapping
from typing import Any

OPTIMA_FILE = "results/optima/{case}.nc"
META_OPTIMUM_FILE = "results/optima/{case}/adaptation_rate-{rate}.nc"
RUN_FILE = "results/runs/{case}/{setting}/seed-{seed}.nc"
#: Of a figure.
FIGURE_FORMATS = ("pdf", "svg", "png")
#: Of a table.
TABLE_FORMATS = ("md", "csv")

#: Figures of the stage `theory`, with the folder of the files that they show.
THEORY_FIGURES = {
    "estimation_error": "estimation_error",
    "exact_methods": "exact_methods",
    "theory_vs_practice": "theory",
}
#: Tables of the stage `theory`; that of the learnability shows the optima of the meta-objective.
THEORY_TABLES = {
    "theory_audit": "theory",
    "theory_vs_practice": "theory",
    "stability": "stability",
    "learnability": "optima",
}


def meta_optimum_file(case: str, settings: Mapping[str, Any]) -> str:
    """The optimum of a case's meta-objective at the adaptation rate of the settings."""
    return META_OPTIMUM_FILE.format(case=case, rate=repr(float(settings["adaptation_rate"])))

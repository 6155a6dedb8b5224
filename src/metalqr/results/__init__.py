"""The files of the pipeline: xarray objects in netCDF, written whole or not at all, that say what they hold.

The only module that knows file formats. Every file names its stage, its settings and the versions of the libraries, and
holds no time, host or path: building it again gives an identical dataset.
"""

from metalqr.results.datasets import DATASETS, combine_runs, load_experiment, save_experiment
from metalqr.results.estimation_error import ESTIMATION_ERROR, load_estimation_error, save_estimation_error
from metalqr.results.exact_methods import EXACT_METHODS, load_exact_methods, save_exact_methods
from metalqr.results.files import StorageError
from metalqr.results.guarantees import STABILITY, load_stability, save_stability
from metalqr.results.layout import CONVENTIONS, OPTIMA, RUNS, TASKS, Layout, Variable
from metalqr.results.meta_optima import META_OPTIMA, load_meta_optimum, save_meta_optimum
from metalqr.results.runs import (
    Problem,
    load_optima,
    load_problem,
    load_run,
    load_tasks,
    save_optima,
    save_run,
    save_tasks,
)
from metalqr.results.theory import THEOREM_SETTINGS, THEORY, load_theory, save_theory

__all__ = [
    "CONVENTIONS",
    "DATASETS",
    "ESTIMATION_ERROR",
    "EXACT_METHODS",
    "META_OPTIMA",
    "OPTIMA",
    "RUNS",
    "STABILITY",
    "TASKS",
    "THEOREM_SETTINGS",
    "THEORY",
    "Layout",
    "Problem",
    "StorageError",
    "Variable",
    "combine_runs",
    "load_estimation_error",
    "load_exact_methods",
    "load_experiment",
    "load_meta_optimum",
    "load_optima",
    "load_problem",
    "load_run",
    "load_stability",
    "load_tasks",
    "load_theory",
    "save_estimation_error",
    "save_exact_methods",
    "save_experiment",
    "save_meta_optimum",
    "save_optima",
    "save_run",
    "save_stability",
    "save_tasks",
    "save_theory",
]

"""The files of the pipeline: xarray objects in netCDF, written whole or not at all, that say what they hold.

The only module that knows file formats. Every file names its stage, its settings and the versions of the libraries, and
holds no time, host or path: building it again gives an identical dataset.
"""

from metalqr.storage.estimation_errors import ESTIMATION_ERROR, load_estimation_error, save_estimation_error
from metalqr.storage.exact_methods import EXACT_METHODS, load_exact_methods, save_exact_methods
from metalqr.storage.experiments import DATASETS, combine_runs, load_experiment, save_experiment
from metalqr.storage.files import StorageError
from metalqr.storage.layout import CONVENTIONS, OPTIMA, RUNS, TASKS, Layout, Variable
from metalqr.storage.meta_optima import META_OPTIMA, load_meta_optimum, save_meta_optimum
from metalqr.storage.runs import (
    Problem,
    load_optima,
    load_problem,
    load_run,
    load_tasks,
    save_optima,
    save_run,
    save_tasks,
)
from metalqr.storage.stability import STABILITY, load_stability, save_stability
from metalqr.storage.theory import THEOREM_SETTINGS, THEORY, load_theory, save_theory

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

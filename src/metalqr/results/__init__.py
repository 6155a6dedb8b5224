"""Files of the pipeline: xarray datasets in self-describing netCDF, written atomically.

Every file names its stage, its settings and the versions of the libraries, and holds no time, host or path: building it
again gives an identical dataset. Readers check that a file is whole, of its stage, and of the case, the tasks or the
settings that they are given; these and the writers raise a :class:`StorageError`. Results of `metalqr.evaluation` have
their layouts beside their classes.
"""

from metalqr.results.datasets import DATASETS, combine_runs, load_experiment, save_experiment
from metalqr.results.files import StorageError, dataset_of, load, save
from metalqr.results.layout import CONVENTIONS, Layout, Variable
from metalqr.results.meta_optima import META_OPTIMA, load_meta_optimum
from metalqr.results.optima import OPTIMA, load_optima
from metalqr.results.runs import RUNS, Status, load_run
from metalqr.results.tasks import TASKS, load_problem, load_tasks, save_tasks
from metalqr.results.theory import THEORY, load_theory, theory_dataset
from metalqr.results.tuned import TUNED, load_tuned

__all__ = [
    "CONVENTIONS",
    "DATASETS",
    "META_OPTIMA",
    "OPTIMA",
    "RUNS",
    "TASKS",
    "THEORY",
    "TUNED",
    "Layout",
    "Status",
    "StorageError",
    "Variable",
    "combine_runs",
    "dataset_of",
    "load",
    "load_experiment",
    "load_meta_optimum",
    "load_optima",
    "load_problem",
    "load_run",
    "load_tasks",
    "load_theory",
    "load_tuned",
    "save",
    "save_experiment",
    "save_tasks",
    "theory_dataset",
]

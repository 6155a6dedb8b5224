"""Run the exact first-order methods of a case from its initial gain, on each task and on the meta-objective."""

from stage import snakemake

import functools
import logging
from collections.abc import Callable

import numpy as np

from metalqr.evaluation.exact_methods.dataset import METHODS, ExactDescent, exact_methods_dataset
from metalqr.evaluation.exact_methods.meta_descent import descend_meta
from metalqr.evaluation.exact_methods.task_descent import descend_tasks
from metalqr.results import load_meta_optimum, load_problem, save

case, log = snakemake.wildcards.case, logging.getLogger("run_exact_methods")
iterations, adaptation_rate = snakemake.params.iterations, snakemake.params.settings["adaptation_rate"]
tasks, K0 = load_problem(snakemake.input.tasks, case)
optimum = load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values


def attempt(name: str, gains: int, descend: Callable[[], ExactDescent]) -> ExactDescent:
    """Descend, or say why not: a method that fails on a task leaves out itself alone."""
    try:
        return descend()
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        log.warning("no descent by %s: %s", name, error)
        return ExactDescent.absent(name, np.repeat(K0[np.newaxis], gains, axis=0), iterations, str(error))


descents = [
    attempt(method, tasks.count, functools.partial(descend_tasks, tasks, K0, method, iterations)) for method in METHODS
]
if np.isnan(optimum).any():
    reason = "the optimum of the meta-objective was not reached, see the log of solve_meta_optimum"
    meta = ExactDescent.absent("exact_maml", K0[np.newaxis], iterations, reason)
else:
    meta = attempt("exact_maml", 1, lambda: descend_meta(tasks, K0, adaptation_rate, optimum, iterations))
made_from = {"iterations": iterations, "adaptation_rate": adaptation_rate}
save(snakemake.output[0], exact_methods_dataset(descents, meta, made_from, case=case))

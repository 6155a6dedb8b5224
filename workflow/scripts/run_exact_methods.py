"""Run the exact first-order methods of a case from its initial gain, on each task and on the meta-objective."""

from stage import snakemake

from functools import partial

import numpy as np

from metalqr.common.attempt import attempt
from metalqr.evaluation.exact_methods.dataset import METHODS, ExactDescent, exact_methods_dataset
from metalqr.evaluation.exact_methods.meta_descent import descend_meta
from metalqr.evaluation.exact_methods.task_descent import descend_tasks
from metalqr.results import load_meta_optimum, load_problem, save

case = snakemake.wildcards.case
iterations, adaptation_rate = snakemake.params.iterations, snakemake.params.settings["adaptation_rate"]
tasks, K0 = load_problem(snakemake.input.tasks, case)
optimum = load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values


def on_tasks(method: str) -> ExactDescent:
    """The descents of one method, or none: a method that fails on a task leaves out itself alone."""
    gains = np.repeat(K0[np.newaxis], tasks.count, axis=0)
    descend = partial(descend_tasks, tasks, K0, method, iterations)
    return attempt(descend, partial(ExactDescent.absent, method, gains, iterations))


def on_meta_objective() -> ExactDescent:
    """The descent on the meta-objective, towards its optimum."""
    if np.isnan(optimum).any():
        raise ValueError("the optimum of the meta-objective was not reached, see the log of solve_meta_optimum")
    return descend_meta(tasks, K0, adaptation_rate, optimum, iterations)


descents = [on_tasks(method) for method in METHODS]
meta = attempt(on_meta_objective, partial(ExactDescent.absent, "exact_maml", K0[np.newaxis], iterations))
made_from = {"iterations": iterations, "adaptation_rate": adaptation_rate}
save(snakemake.output[0], exact_methods_dataset(descents, meta, made_from, case=case))

"""Run the exact first-order methods of a case from its initial gain, on each task and on the meta-objective."""

from stage import snakemake

import logging

import numpy as np

from metalqr.evaluation.exact_methods.dataset import METHODS, exact_methods_dataset
from metalqr.evaluation.exact_methods.meta_descent import descend_meta
from metalqr.evaluation.exact_methods.task_descent import descend_tasks
from metalqr.objectives.meta import is_maml_stabilising
from metalqr.results import load_meta_optimum, load_problem, save

case = snakemake.wildcards.case
iterations, adaptation_rate = snakemake.params.iterations, snakemake.params.settings["adaptation_rate"]
tasks, K0 = load_problem(snakemake.input.tasks, case)
optimum = load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values
descents = [descend_tasks(tasks, K0, method, iterations) for method in METHODS]
meta, log = None, logging.getLogger("run_exact_methods")
if not is_maml_stabilising(tasks, K0, adaptation_rate):
    log.warning(
        "no descent on the meta-objective: K0 is not MAML-stabilising at the adaptation rate %r", adaptation_rate
    )
elif np.isnan(optimum).any():
    log.warning("no descent on the meta-objective: its optimum was not reached, see the log of solve_meta_optimum")
else:
    meta = descend_meta(tasks, K0, adaptation_rate, optimum, iterations)
made_from = {"iterations": iterations, "adaptation_rate": adaptation_rate}
save(snakemake.output[0], exact_methods_dataset(descents, meta, made_from, case=case))

"""The exact first-order methods of a case, on every task by itself and on the meta-objective, from its initial gain."""

from stage import snakemake

import logging

import numpy as np

from metalqr.evaluation import exact_methods
from metalqr.objectives.meta import is_maml_stabilising
from metalqr.results import load_meta_optimum, load_problem, save_exact_methods

case = snakemake.wildcards.case
iterations, adaptation_rate = snakemake.params.iterations, snakemake.params.settings["adaptation_rate"]
tasks, K0 = load_problem(snakemake.input.tasks, case)
optimum = load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values
descents = [exact_methods.descend(tasks, K0, method, iterations) for method in exact_methods.Method]
meta, log = None, logging.getLogger("run_exact_methods")
if not is_maml_stabilising(tasks, K0, adaptation_rate):
    log.warning("no descent on the meta-objective: K0 is not MAML-stabilising with the rate %r", adaptation_rate)
elif np.isnan(optimum).any():
    log.warning("no descent on the meta-objective: its optimum was not reached, see the log of solve_meta_optimum")
else:
    meta = exact_methods.descend_meta(tasks, K0, adaptation_rate, optimum, iterations)
save_exact_methods(
    snakemake.output[0], descents, meta, {"iterations": iterations, "adaptation_rate": adaptation_rate}, case=case
)

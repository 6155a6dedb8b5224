"""The exact first-order methods of a case, on every task by itself and on the meta-objective, from its initial gain."""

from stage import snakemake

# isort: split
import logging

import numpy as np

from metalqr import first_order, storage
from metalqr.objective import is_maml_stabilising

case = snakemake.wildcards.case
iterations, adaptation_rate = snakemake.params.iterations, snakemake.params.settings["adaptation_rate"]
tasks, K0 = storage.load_problem(snakemake.input.tasks, case)
optimum = storage.load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values
descents = [first_order.descend(tasks, K0, method, iterations) for method in first_order.Method]
meta, log = None, logging.getLogger("run_exact_methods")
if not is_maml_stabilising(tasks, K0, adaptation_rate):
    log.warning("no descent on the meta-objective: K0 is not MAML-stabilising with the rate %r", adaptation_rate)
elif np.isnan(optimum).any():
    log.warning("no descent on the meta-objective: its optimum was not reached, see the log of solve_meta_optimum")
else:
    meta = first_order.descend_meta(tasks, K0, adaptation_rate, optimum, iterations)
storage.save_exact_methods(
    snakemake.output[0], descents, meta, {"iterations": iterations, "adaptation_rate": adaptation_rate}, case=case
)

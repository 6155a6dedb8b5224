"""Exact reference values of a case: every task's optimum, the best single gain, and the cost of the initial gain."""

from stage import snakemake

from metalqr import lqr, optimal
from metalqr.results import OPTIMA, dataset_of, load_problem, save

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
best = optimal.optimal_gains(tasks)
shared = optimal.shared_gain(tasks)
arrays = {
    "K_star": best.K,
    "P_star": best.P,
    "J_star": best.cost,
    "J0": lqr.evaluate(tasks, K0).cost(),
    "K_shared": shared.K,
    "J_shared": shared.cost,
}
save(snakemake.output[0], dataset_of(OPTIMA, arrays, case=case, settings={}))

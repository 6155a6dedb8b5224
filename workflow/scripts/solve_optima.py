"""Exact reference values of a case: every task's optimum, the best single gain, and the cost of the initial gain."""

from stage import snakemake

from metalqr import lqr, optimal
from metalqr.results import load_problem, save_optima

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
best = optimal.optimal_gains(tasks)
shared = optimal.shared_gain(tasks)
save_optima(
    snakemake.output[0],
    {},
    case=case,
    K_star=best.K,
    P_star=best.P,
    J_star=best.cost,
    J0=lqr.evaluate(tasks, K0).cost(),
    K_shared=shared.K,
    J_shared=shared.cost,
)

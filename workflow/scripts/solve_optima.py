"""Exact reference values of a case: every task's optimum, the best single gain, and the cost of the initial gain."""

from stage import snakemake

# isort: split
import numpy as np

from metalqr import optimal, storage
from metalqr.lqr import PolicyEvaluation

tasks = storage.load_tasks(snakemake.input.tasks)
initial_gain = snakemake.params.initial_gain
best = optimal.optimal_gains(tasks)
shared = optimal.shared_gain(tasks)
K0 = np.zeros((tasks.action_dim, tasks.state_dim)) if initial_gain == "zero" else np.array(initial_gain, dtype=float)
storage.save_optima(
    snakemake.output[0],
    {"initial_gain": initial_gain},
    K_star=best.K,
    P_star=best.P,
    J_star=best.cost,
    K0=K0,
    J0=PolicyEvaluation(tasks, K0, policy="the initial gain (initial_gain of the case)").cost(),
    K_shared=shared.K,
    J_shared=shared.cost,
)

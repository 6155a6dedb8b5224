"""Exact reference values of a case: every task's optimum, the best single gain, and the cost of the initial gain."""

from stage import snakemake

# isort: split
import logging

import numpy as np

from metalqr import optimal, storage
from metalqr.lqr import LQRTasks, PolicyEvaluation, UnstablePolicyError

#: A larger gain is shown in the log file only.
MOST_ENTRIES_IN_A_LINE = 16


class InitialGainError(ValueError):
    """The initial gain of the config does not stabilise every task; the message gives one that does."""


def remedy(tasks: LQRTasks) -> str:
    """What to write into the config instead of an initial gain that does not stabilise every task."""
    gain = optimal.stabilising_gain(tasks)
    if not gain.any():
        return "write zero, which stabilises every task"
    rows = gain.tolist()
    if gain.size <= MOST_ENTRIES_IN_A_LINE:
        return f"write {rows}, which stabilises every task"
    logging.getLogger("solve_optima").info("this initial_gain stabilises every task: %s", rows)
    return "choose another; the log file has one that stabilises every task"


case = snakemake.wildcards.case
tasks = storage.load_tasks(snakemake.input.tasks, case)
initial_gain = snakemake.params.initial_gain
K0 = np.zeros((tasks.action_dim, tasks.state_dim)) if initial_gain == "zero" else np.array(initial_gain, dtype=float)
best = optimal.optimal_gains(tasks)
shared = optimal.shared_gain(tasks)
try:
    initial_cost = PolicyEvaluation(tasks, K0).cost()
except UnstablePolicyError as error:
    named = ", ".join(
        f"task {task} (spectral radius {radius:.9g})"
        for task, radius in zip(error.task_indices, error.radii, strict=True)
    )
    raise InitialGainError(f"cases.{case}.initial_gain does not stabilise {named}; {remedy(tasks)}") from error
storage.save_optima(
    snakemake.output[0],
    {"initial_gain": initial_gain},
    case=case,
    K_star=best.K,
    P_star=best.P,
    J_star=best.cost,
    K0=K0,
    J0=initial_cost,
    K_shared=shared.K,
    J_shared=shared.cost,
)

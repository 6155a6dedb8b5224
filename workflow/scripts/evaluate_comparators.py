"""Adapt what trained gains are compared with to unseen tasks: K_0 and gains that the model gives."""

from stage import snakemake

from collections.abc import Callable

import numpy as np

from evaluating import protocol, settings, unseen_tasks, warn_of_edges
from metalqr.evaluation.adaptation.assessment import assess
from metalqr.evaluation.adaptation.dataset import Start, Started, evaluation_dataset
from metalqr.evaluation.adaptation.on_training import training_costs
from metalqr.lqr import FloatArray
from metalqr.results import load_meta_optimum, load_optima, load_problem, save

case, own_rate = snakemake.wildcards.case, float(snakemake.wildcards.rate)
tasks, K0 = load_problem(snakemake.input.tasks, case)
gains: dict[str, Callable[[], FloatArray]] = {
    "initial_gain": lambda: K0,
    "best_single_gain": lambda: load_optima(snakemake.input.optima, case, tasks)["K_shared"].values,
    "meta_optimum": lambda: load_meta_optimum(snakemake.input.meta_optimum[0], case, tasks, own_rate)["K_meta"].values,
}
found = {Start(name): gains[name]() for name in snakemake.params.comparators if name in gains}
remark = ""
if np.isnan(found.get(Start.META_OPTIMUM, 0.0)).any():
    del found[Start.META_OPTIMUM]
    remark = (
        f"meta_optimum is left out: at the adaptation rate {own_rate:g}, no optimum of the meta-objective was found"
    )
starts = np.stack(list(found.values()))
validation, test = unseen_tasks(tasks, K0)
assessment = assess(starts, own_rate, validation, test, protocol)
warn_of_edges(assessment.adaptation_rate, list(found))
objective, mean_cost = training_costs(tasks, starts, own_rate)
one = (len(starts), 1)
started = Started(
    list(found), case, own_rate, [0], np.zeros(one, dtype=int), objective.reshape(one), mean_cost.reshape(one)
)
dataset = evaluation_dataset(started, assessment, test, protocol, settings, case=case, remark=remark)
save(snakemake.output[0], dataset)

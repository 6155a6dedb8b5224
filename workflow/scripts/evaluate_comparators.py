"""Adapt what trained gains are compared with to unseen tasks: K_0, gains from the model, certainty equivalence."""

from stage import snakemake

from collections.abc import Callable

import numpy as np

from evaluating import protocol, settings, unseen_tasks, warn_of_edges
from metalqr.evaluation.adaptation.assessment import assess
from metalqr.evaluation.adaptation.dataset import Start, Started, evaluation_dataset
from metalqr.evaluation.adaptation.identification import assess_certainty_equivalence
from metalqr.evaluation.adaptation.on_training import training_costs
from metalqr.evaluation.adaptation.protocol import Assessment
from metalqr.lqr import FloatArray
from metalqr.results import load_meta_optimum, load_optima, load_problem, save

case, own_rate = snakemake.wildcards.case, float(snakemake.wildcards.rate)
tasks, K0 = load_problem(snakemake.input.tasks, case)
makers: dict[str, Callable[[], FloatArray]] = {
    Start.INITIAL_GAIN: lambda: K0,
    Start.BEST_SINGLE_GAIN: lambda: load_optima(snakemake.input.optima, case, tasks)["K_shared"].values,
    Start.META_OPTIMUM: lambda: (
        load_meta_optimum(snakemake.input.meta_optimum[0], case, tasks, own_rate)["K_meta"].values
    ),
}
gains = {Start(name): makers[name]() for name in snakemake.params.comparators if name in makers}
remark = ""
if np.isnan(gains.get(Start.META_OPTIMUM, np.zeros(1))).any():
    del gains[Start.META_OPTIMUM]
    remark = f"no meta_optimum: at the adaptation rate {own_rate:g}, no optimum of the meta-objective was found"
validation, test = unseen_tasks(tasks, K0)
found: list[Assessment] = []
if gains:
    found.append(assess(np.stack(list(gains.values())), own_rate, validation, test, protocol))
    warn_of_edges(found[0].adaptation_rate, list(gains))
if Start.CERTAINTY_EQUIVALENCE in snakemake.params.comparators:
    found.append(assess_certainty_equivalence(K0, snakemake.params.exploration, test, protocol))
    gains[Start.CERTAINTY_EQUIVALENCE] = K0
if not gains:
    raise ValueError(f"nothing to compare with: {remark}; add to evaluation.comparators, or leave it empty")
objective, mean_cost = training_costs(tasks, np.stack(list(gains.values())), own_rate)
one = (len(gains), 1)
started = Started(
    list(gains), case, own_rate, [0], np.zeros(one, dtype=int), objective.reshape(one), mean_cost.reshape(one)
)
together = Assessment.together(found)
save(snakemake.output[0], evaluation_dataset(started, together, test, protocol, settings, case=case, remark=remark))

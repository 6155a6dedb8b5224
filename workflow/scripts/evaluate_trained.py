"""Adapt the gains of all runs of a configuration to unseen tasks."""

from stage import snakemake

import numpy as np

from evaluating import protocol, settings, unseen_tasks, warn_of_edges
from metalqr.evaluation.adaptation.assessment import assess
from metalqr.evaluation.adaptation.dataset import Start, Started, evaluation_dataset
from metalqr.evaluation.adaptation.on_training import training_costs
from metalqr.results import load_problem, load_run, save

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
runs = [load_run(path, case, snakemake.params.run) for path in snakemake.input.runs]
gains = np.stack([run["K"].values[-1] for run in runs])
own_rate = snakemake.params.run["adaptation_rate"]
validation, test = unseen_tasks(tasks, K0)
found = assess(gains, own_rate, validation, test, protocol, share_rate=True)
warn_of_edges(found.adaptation_rate[:1], ["trained"])
objective, mean_cost = training_costs(tasks, gains, own_rate)
started = Started(
    [Start.TRAINED],
    case,
    own_rate,
    [run.attrs["seed"] for run in runs],
    [[int(run["rollout_steps"].values[-1]) for run in runs]],
    objective[np.newaxis],
    mean_cost[np.newaxis],
)
save(snakemake.output[0], evaluation_dataset(started, found, test, protocol, settings, case=case))

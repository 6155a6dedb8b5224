"""Adapt the gains of all runs of a configuration to unseen tasks."""

from stage import snakemake

import numpy as np

from evaluating import protocol, settings, unseen_tasks, warn_of_edges
from metalqr.evaluation.adaptation.assessment import assess
from metalqr.evaluation.adaptation.dataset import Start, Started, evaluation_dataset
from metalqr.evaluation.adaptation.on_training import training_costs
from metalqr.evaluation.adaptation.protocol import Assessment
from metalqr.results import load_problem, load_run, save

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
runs = [load_run(path, case, snakemake.params.run) for path in snakemake.input.runs]
gains = {Start.TRAINED: np.stack([run["K"].values[-1] for run in runs])}
if all("K_average" in run for run in runs):
    gains[Start.AVERAGED] = np.stack([run["K_average"].values for run in runs])
own_rate = snakemake.params.run["adaptation_rate"]
validation, test = unseen_tasks(tasks, K0)
# The runs of a configuration share a step size, which their averages need not share.
found = Assessment.together(
    [assess(each, own_rate, validation, test, protocol, share_rate=True) for each in gains.values()]
)
warn_of_edges(found.adaptation_rate[:: len(runs)], list(gains))
known = [training_costs(tasks, each, own_rate) for each in gains.values()]
started = Started(
    list(gains),
    case,
    own_rate,
    [run.attrs["seed"] for run in runs],
    [[int(run["rollout_steps"].values[-1]) for run in runs]] * len(gains),
    np.stack([objective for objective, _ in known]),
    np.stack([mean_cost for _, mean_cost in known]),
)
save(snakemake.output[0], evaluation_dataset(started, found, test, protocol, settings, case=case))

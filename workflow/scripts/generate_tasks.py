"""Generate a set of tasks, drawn from a family or given in the config, with its initial gain."""

from stage import snakemake

from pathlib import Path

from metalqr.config.experiments import family_of
from metalqr.config.folders import relative_to
from metalqr.lqr import LQRTasks
from metalqr.results import save_tasks
from metalqr.results.tasks import save_simulated
from metalqr.training.case_problem import case_problem

name, case, output = snakemake.wildcards.case, snakemake.params.case, snakemake.output[0]
with relative_to(Path(snakemake.config["folder"])):
    family = family_of(case["tasks"])
    tasks, K0, _ = case_problem(name, case)
made_from = {**case, "tasks": {"family": family.name, **family.settings.as_dict()}}
if isinstance(tasks, LQRTasks):
    save_tasks(output, tasks, K0, made_from, case=name)
else:
    save_simulated(output, K0, tasks.p, made_from, case=name)

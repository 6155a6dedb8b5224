"""Train one policy: a run."""

from stage import snakemake

import logging
from pathlib import Path

import numpy as np

from metalqr.config.folders import relative_to
from metalqr.config.tuning import stated
from metalqr.results import save
from metalqr.results.tuned import settings_of_run
from metalqr.training.loop import train
from metalqr.training.method import tried_policies
from metalqr.training.problem import run_problem
from metalqr.training.progress import Progress
from metalqr.training.resampling import resampling_of
from metalqr.training.saved_state import SavedState, StateSaver

case, seed = snakemake.wildcards.case, int(snakemake.wildcards.seed)
settings, block = settings_of_run(snakemake.params.settings, snakemake.input.tuned, case)
with relative_to(Path(snakemake.config["folder"])):
    tasks, K0, of_simulator = run_problem(snakemake.input.tasks, case)
    resampling = resampling_of(snakemake.input.tasks, case)
code = {**snakemake.params.sources, **snakemake.params.versions, **resampling.origin, **of_simulator}
saved = SavedState(snakemake.params.saved_state, tasks, K0, settings, seed, code)
log = logging.getLogger("train_policy")
log.info("case %s, seed %d, threads %d, settings %s", case, seed, snakemake.threads, settings.as_dict())
# What may make the run fail is also for the terminal.
terminal = logging.StreamHandler()
terminal.setFormatter(logging.Formatter(f"train_policy(case={case}, seed={seed}): %(message)s"))
terminal.setLevel(logging.WARNING)
logging.getLogger("metalqr.training.loop").addHandler(terminal)
seconds = snakemake.config["execution"]["checkpoint_seconds"]
with Progress(settings.iterations, f"{case}, seed {seed}", log) as progress, StateSaver(saved, seconds) as saver:
    history = train(tasks, K0, settings, seed, [progress, saver], resume=saved.load(), resampled=resampling.tasks)
    saver.require_end(history, settings.iterations)
log.info("%s at iteration %d", history.status, history.status_iteration)
tried = tried_policies(tasks.count, settings, max(1, int((~np.isnan(history.gradient_norm)).sum())))
dataset = history.to_dataset(
    stated(settings.as_dict(), block), seed, case=case, perturbed_policies=round(float(tried.mean()))
)
save(snakemake.output[0], dataset)
saved.remove()

"""One run of Algorithm 3."""

from stage import snakemake

# isort: split
import logging

import numpy as np

from metalqr import MetaSettings, checkpointing, storage
from metalqr.progress import Progress

case = snakemake.wildcards.case
tasks = storage.load_tasks(snakemake.input.tasks, case)
initial_gain = storage.load_optima(snakemake.input.optima, case, tasks)["K0"].values
settings = MetaSettings(**snakemake.params.settings)
rate = settings.adaptation_rate
known = storage.load_meta_optimum(snakemake.input.meta_optimum, case, tasks, rate)
seed = int(snakemake.wildcards.seed)
code = {**snakemake.params.sources, **snakemake.params.versions}
checkpoint = storage.Checkpoint(snakemake.params.checkpoint, tasks, initial_gain, settings, seed, code)
log = logging.getLogger("train_policy")
log.info("case %s, seed %d, threads %d, settings %s", case, seed, snakemake.threads, settings.as_dict())
if known["verdict"].item() != "learnable":
    certificate = known["certificate"].item()
    log.warning("the tasks are not known to be learnable at the adaptation rate %g: %s", rate, certificate)
if not np.isfinite(known["J0_adapted"]).all():
    largest = known["largest_adaptation_rate"].item()
    log.warning("the initial gain is not MAML-stabilising at the adaptation rate %g, but below %.6g", rate, largest)
with Progress(settings.iterations, f"{case}, seed {seed}", log) as progress:
    history = checkpointing.train(
        tasks,
        initial_gain,
        settings,
        seed,
        progress,
        checkpoint=checkpoint,
        seconds=snakemake.config["execution"]["checkpoint_seconds"],
    )
log.info("%s at iteration %d", history.status, history.status_iteration)
storage.save_run(snakemake.output[0], history, settings.as_dict(), seed, case=case)
checkpoint.remove()

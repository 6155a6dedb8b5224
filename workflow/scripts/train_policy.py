"""One run of Algorithm 3."""

from stage import snakemake

# isort: split
import logging

from metalqr import MetaSettings, meta, storage
from metalqr.progress import Progress

tasks = storage.load_tasks(snakemake.input.tasks, snakemake.wildcards.case)
initial_gain = storage.load_optima(snakemake.input.optima, snakemake.wildcards.case)["K0"].values
settings = MetaSettings(**snakemake.params.settings)
seed = int(snakemake.wildcards.seed)
log = logging.getLogger("train_policy")
log.info(
    "case %s, seed %d, threads %d, settings %s", snakemake.wildcards.case, seed, snakemake.threads, settings.as_dict()
)
with Progress(settings.iterations, f"{snakemake.wildcards.case}, seed {seed}", log) as progress:
    history = meta.train(tasks, initial_gain, settings, seed, progress)
log.info("%s at iteration %d", history.status, history.status_iteration)
storage.save_run(snakemake.output[0], history, settings.as_dict(), seed, case=snakemake.wildcards.case)

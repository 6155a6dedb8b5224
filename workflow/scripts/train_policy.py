"""One run of Algorithm 3."""

from stage import snakemake

# isort: split
import logging

from metalqr import MetaSettings, checkpointing, storage
from metalqr.progress import Progress

case = snakemake.wildcards.case
tasks = storage.load_tasks(snakemake.input.tasks, case)
initial_gain = storage.load_optima(snakemake.input.optima, case, tasks)["K0"].values
settings = MetaSettings(**snakemake.params.settings)
seed = int(snakemake.wildcards.seed)
code = {**snakemake.params.sources, **snakemake.params.versions}
checkpoint = storage.Checkpoint(snakemake.params.checkpoint, tasks, initial_gain, settings, seed, code)
log = logging.getLogger("train_policy")
log.info("case %s, seed %d, threads %d, settings %s", case, seed, snakemake.threads, settings.as_dict())
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

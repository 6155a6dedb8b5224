"""Train one policy: a run."""

from stage import snakemake

import logging
from pathlib import Path

from metalqr.config.folders import relative_to
from metalqr.results.tuned import settings_of_run
from metalqr.training.problem import run_problem
from metalqr.training.resampling import resampling_of
from metalqr.training.run_file import RunFiles, make_run

case, seed = snakemake.wildcards.case, int(snakemake.wildcards.seed)
settings, block = settings_of_run(snakemake.params.settings, snakemake.input.tuned, case)
with relative_to(Path(snakemake.config["folder"])):
    problem = run_problem(snakemake.input.tasks, case)
    resampling = resampling_of(snakemake.input.tasks, case)
log = logging.getLogger("train_policy")
log.info("case %s, seed %d, threads %d, settings %s", case, seed, snakemake.threads, settings.as_dict())
# What may make the run fail is also for the terminal.
terminal = logging.StreamHandler()
terminal.setFormatter(logging.Formatter(f"train_policy(case={case}, seed={seed}): %(message)s"))
terminal.setLevel(logging.WARNING)
logging.getLogger("metalqr.training.loop").addHandler(terminal)
make_run(
    case,
    problem,
    resampling,
    settings,
    seed,
    # The state is no output: Snakemake removes the outputs of a job before it reruns it.
    RunFiles(
        Path(snakemake.output[0]),
        Path(snakemake.params.saved_state),
        snakemake.config["execution"]["checkpoint_seconds"],
    ),
    code={**snakemake.params.sources, **snakemake.params.versions},
    tuned=block,
    log=log,
)

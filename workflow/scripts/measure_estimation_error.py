"""Measure the true error of Algorithms 1 and 2 at the initial gain of a case."""

from stage import snakemake

from metalqr import MetaSettings
from metalqr.config.theory import ErrorSweeps
from metalqr.evaluation.estimation_error.measurement import measure
from metalqr.results import load_problem, save

case, seed = snakemake.wildcards.case, snakemake.params.seed
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**snakemake.params.settings)
found = measure(tasks, K0, settings, ErrorSweeps(**snakemake.params.estimation_error), seed)
save(snakemake.output[0], found.to_dataset(settings.as_dict(), seed, case=case))

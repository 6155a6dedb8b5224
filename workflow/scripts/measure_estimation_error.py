"""Measure the true error of Algorithms 1 and 2 at the initial gain of a case."""

from stage import snakemake

# isort: split
from metalqr import MetaSettings, results
from metalqr.evaluation import estimation_error

case = snakemake.wildcards.case
tasks, K0 = results.load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**snakemake.params.settings)
sweeps = estimation_error.ErrorSweeps(**snakemake.params.estimation_error)
found = estimation_error.measure(tasks, K0, settings, sweeps, snakemake.params.seed)
results.save_estimation_error(snakemake.output[0], found, settings.as_dict(), snakemake.params.seed, case=case)

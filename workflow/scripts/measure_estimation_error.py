"""Measure the true error of Algorithms 1 and 2 at the initial gain of a case."""

from stage import snakemake

from metalqr import MetaSettings
from metalqr.evaluation import estimation_error
from metalqr.results import load_problem, save_estimation_error

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**snakemake.params.settings)
sweeps = estimation_error.ErrorSweeps(**snakemake.params.estimation_error)
found = estimation_error.measure(tasks, K0, settings, sweeps, snakemake.params.seed)
save_estimation_error(snakemake.output[0], found, settings.as_dict(), snakemake.params.seed, case=case)

"""Gather the runs of an experiment into one dataset."""

from stage import snakemake

# isort: split
from metalqr import storage

experiment = snakemake.params.experiment
runs_per_case = len(snakemake.input.runs) // len(experiment["cases"])
cases = {}
for place, (case, common) in enumerate(experiment["cases"].items()):
    cases[case] = storage.combine_runs(
        snakemake.input.runs[place * runs_per_case : (place + 1) * runs_per_case],
        snakemake.input.optima[place],
        case=case,
        common=common,
        sweep=experiment["sweep"],
        linked=experiment["linked"],
        seeds=experiment["seeds"],
    )
storage.save_experiment(snakemake.output[0], snakemake.wildcards.experiment, cases)

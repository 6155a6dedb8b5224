"""Put the predictions of an experiment beside its runs."""

from stage import snakemake

from metalqr.config.experiments import Experiment
from metalqr.reporting.predictions import compare, save_compared
from metalqr.results import load_experiment

name = snakemake.wildcards.experiment
experiment = Experiment.from_block(name, snakemake.params.experiment)
runs = load_experiment(snakemake.input.dataset, name)
files = iter(snakemake.input.predictions)
cases = {}
for case, places in snakemake.params.places.items():
    found = {place: next(files) for place in places}
    cases[case] = compare(experiment, case, runs[case].to_dataset(), found)
save_compared(snakemake.output[0], name, cases, snakemake.params.left_out)

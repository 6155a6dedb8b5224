"""Collect the runs of an experiment in one dataset."""

from stage import snakemake

from pathlib import Path

from metalqr.config.experiments import Experiment
from metalqr.config.folders import relative_to
from metalqr.results import combine_runs, save_experiment

name = snakemake.wildcards.experiment
experiment = Experiment.from_block(name, snakemake.params.experiment)
optima = {Path(path).stem: path for path in snakemake.input.optima}
tuned = {(Path(path).parent.name, Path(path).stem): path for path in snakemake.input.tuned}
runs = iter(snakemake.input.runs)
count = experiment.size * len(experiment.seeds)
with relative_to(Path(snakemake.config["folder"])):
    cases = {
        case: combine_runs([next(runs) for _ in range(count)], optima, experiment, case, tuned)
        for case in experiment.bases
    }
save_experiment(snakemake.output[0], name, cases)

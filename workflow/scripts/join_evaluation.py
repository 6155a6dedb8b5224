"""Join the evaluations of a case of an experiment: those of its configurations, and what they are compared with."""

from stage import snakemake

from metalqr.evaluation.adaptation.dataset import joined, load_part
from metalqr.results import save

experiment, case = snakemake.wildcards.experiment, snakemake.wildcards.case
parts = zip(snakemake.params.names, snakemake.input.trained, strict=True)
trained = {name: load_part(path) for name, path in parts}
others = [load_part(path) for path in snakemake.input.comparators]
save(snakemake.output[0], joined(trained, others, experiment=experiment, case=case))

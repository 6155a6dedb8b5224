"""Draw the learning curves of an experiment without a sweep, such as Figure 1."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

figures.save(
    figures.figure1(storage.load_experiment(snakemake.input[0], snakemake.wildcards.experiment)), snakemake.output
)

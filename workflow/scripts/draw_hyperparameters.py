"""Draw the experiments that sweep one setting each, together."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

experiments = zip(snakemake.params.experiments, snakemake.input, strict=True)
datasets = {name: storage.load_experiment(path, name) for name, path in experiments}
figures.save(figures.hyperparameters(datasets), snakemake.output)

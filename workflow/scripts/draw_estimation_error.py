"""Draw the true errors of Algorithms 1 and 2 beside the slopes that theory predicts."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

cases = zip(snakemake.params.cases, snakemake.input, strict=True)
datasets = {case: storage.load_estimation_error(path, case) for case, path in cases}
figures.save(figures.estimation_error(datasets), snakemake.output)

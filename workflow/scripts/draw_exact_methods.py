"""Draw the convergence of the exact first-order methods beside their predicted rates."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

cases = zip(snakemake.params.cases, snakemake.input, strict=True)
datasets = {case: storage.load_exact_methods(path, case) for case, path in cases}
figures.save(figures.exact_methods(datasets), snakemake.output)

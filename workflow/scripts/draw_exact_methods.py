"""Draw the convergence of the exact first-order methods beside their predicted rates."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

cases = zip(snakemake.params.cases, snakemake.input, strict=True)
figures.save(figures.exact_methods({case: storage.load_exact_methods(path, case) for case, path in cases}), snakemake.output)

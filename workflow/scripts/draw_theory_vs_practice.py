"""Draw what Theorems 1 and 2 ask for beside the settings of the cases."""

from stage import snakemake

# isort: split
from metalqr import figures, storage

cases = zip(snakemake.params.cases, snakemake.input, strict=True)
datasets = {case: storage.load_theory(path, case) for case, path in cases}
figures.save(figures.theory_vs_practice(datasets), snakemake.output)

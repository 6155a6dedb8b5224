"""Draw a figure, in all its formats."""

from stage import snakemake

from pkgutil import resolve_name

from metalqr.config.registries import figures
from metalqr.reporting.figures.style import save

load = resolve_name(snakemake.params.reader)
names = zip(snakemake.params.names, snakemake.input, strict=True)
datasets = {name: load(path, name) for name, path in names}
save(figures.get(snakemake.params.plugin)().make(datasets), snakemake.output)

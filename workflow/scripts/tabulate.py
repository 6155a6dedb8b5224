"""Write a table: Markdown to read, CSV to compute with."""

from stage import snakemake

from pkgutil import resolve_name

from metalqr.config.registries import tables
from metalqr.reporting.tables.markdown import save

load = resolve_name(snakemake.params.reader)
names = zip(snakemake.params.names, snakemake.input, strict=True)
datasets = {name: load(path, name) for name, path in names}
table = tables.get(snakemake.params.plugin)()
save(table.make(datasets), columns=table.columns, **snakemake.output)

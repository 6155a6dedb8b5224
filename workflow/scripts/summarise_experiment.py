"""Put the numbers of an experiment into a table: Markdown to read, CSV to compute with."""

from stage import snakemake

# isort: split
from metalqr import storage, tables

summary = tables.summary(storage.load_experiment(snakemake.input[0], snakemake.wildcards.experiment))
tables.save(summary, markdown=snakemake.output.markdown, csv=snakemake.output.csv)

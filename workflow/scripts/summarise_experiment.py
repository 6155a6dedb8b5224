"""Put the numbers of an experiment into a table: Markdown to read, CSV to compute with."""

from stage import snakemake

# isort: split
from pathlib import Path

from metalqr import storage, tables

summary = tables.summary(storage.load_experiment(snakemake.input[0]))
Path(snakemake.output.markdown).write_text(tables.to_markdown(summary), encoding="utf-8")
summary.to_csv(snakemake.output.csv, index=False)

"""Put the outcome of the stage `theory` into a table: Markdown to read, CSV to compute with."""

from stage import snakemake

# isort: split
from metalqr import storage, tables, theory_tables

#: By the name of the table: what reads the file of a case, and what makes the table of all cases.
TABLES = {
    "theory_audit": (storage.load_theory, theory_tables.theory_audit),
    "theory_vs_practice": (storage.load_theory, theory_tables.theory_vs_practice),
    "stability": (storage.load_stability, theory_tables.stability),
    "learnability": (storage.load_meta_optimum, theory_tables.learnability),
}

load, tabulate = TABLES[snakemake.wildcards.table]
cases = zip(snakemake.params.cases, snakemake.input, strict=True)
table = tabulate({case: load(path, case) for case, path in cases})
outputs = snakemake.output
tables.save(table, markdown=outputs.markdown, csv=outputs.csv, columns=theory_tables.COLUMNS)

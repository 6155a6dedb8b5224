"""Put the page together: sections, figures and tables in one file."""

from stage import snakemake

from pathlib import Path

from metalqr.common import atomic
from metalqr.reporting.pages.document import page

atomic.write(snakemake.output[0], page(Path("results"), snakemake.params.entries, snakemake.params.changes).encode())

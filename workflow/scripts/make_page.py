"""Put the page together: sections, figures and tables in one file."""

from stage import snakemake

from pathlib import Path

from metalqr.common import atomic
from metalqr.reporting.pages.document import page

output = Path(snakemake.output[0])
atomic.write(output, page(output.parent, snakemake.params.entries, snakemake.params.changes).encode())

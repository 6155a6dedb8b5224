"""Make a section of the page: its charts with their data."""

from stage import snakemake

import json
from pkgutil import resolve_name

from metalqr.common import atomic
from metalqr.config.registries import sections

load = resolve_name(snakemake.params.reader)
names = zip(snakemake.params.names, snakemake.input, strict=True)
datasets = {name: load(path, name) for name, path in names}
section = sections.get(snakemake.params.plugin)().make(datasets)
atomic.write(snakemake.output[0], json.dumps(section, allow_nan=False, ensure_ascii=False).encode())

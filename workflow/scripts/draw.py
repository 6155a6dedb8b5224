"""Draw a figure, in all its formats."""

from stage import snakemake

import logging
from pkgutil import resolve_name

from metalqr.config.registries import figures
from metalqr.reporting.figures.style import save

load = resolve_name(snakemake.params.reader)
names = zip(snakemake.params.names, snakemake.input.results, strict=True)
datasets = {name: load(path, name) for name, path in names}
for name, path in zip(snakemake.params.predicted, snakemake.input.predictions, strict=True):
    # By name, since figures without predictions do not depend on it.
    with_predicted = resolve_name("metalqr.reporting.predictions:with_predicted")
    datasets[name], left_out = with_predicted(datasets[name], path, name)
    for case, reasons in left_out.items():
        for configuration, reason in reasons.items():
            message = "%s, %s: no predicted curve of %s (%s)"
            logging.getLogger("draw").info(message, name, case, configuration, reason)
save(figures.get(snakemake.params.plugin)().make(datasets), snakemake.output)

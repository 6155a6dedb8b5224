"""Predict the learning curve of a configuration."""

from stage import snakemake

import logging

from metalqr.config.tuning import stated
from metalqr.prediction import predict
from metalqr.results import load_problem, save
from metalqr.results.tuned import settings_of_run

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings, block = settings_of_run(snakemake.params.settings, snakemake.input.tuned, case)
found = predict(tasks, K0, settings)
for limit in found.limits:
    logging.getLogger("predict").info("%s", limit)
save(snakemake.output[0], found.to_dataset(stated(settings.as_dict(), block), case=case))

"""Choose settings of a run from a grid, by runs on seeds of their own."""

from stage import snakemake

import logging
from pathlib import Path

from metalqr import MetaSettings
from metalqr.config.folders import relative_to
from metalqr.config.tuning import TUNE, grid, stated
from metalqr.results import load_optima, load_problem, save
from metalqr.results.runs import ratio_or_gap
from metalqr.training.resampling import resampling_of
from metalqr.training.tuning import tune

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
optima = load_optima(snakemake.input.optima, case, tasks)
J_star, J0, J_shared = (optima[name].values for name in ("J_star", "J0", "J_shared"))
given = dict(snakemake.params.settings)
block = given.pop(TUNE)
candidates = grid(block)
settings = [MetaSettings(**given, **values) for values in candidates]
target_ratio = block["target"] * float(ratio_or_gap(J_shared, J_star, J0))
with relative_to(Path(snakemake.config["folder"])):
    resampling = resampling_of(snakemake.input.tasks, case)
found = tune(tasks, K0, settings, block["seeds"], J_star, target_ratio, resampling.tasks)
log = logging.getLogger("tune")
for values, steps, ratios in zip(candidates, found.steps_to_target, found.final_ratio, strict=True):
    log.info("%s: steps to the ratio %.4g %s, final ratios %s", values, target_ratio, steps, ratios)
log.info("chosen: %s", candidates[found.chosen])
if not found.target_reached:
    log.warning("no candidate reached the target; the one with the lowest final ratio is chosen")
everything = stated(settings[0].as_dict(), block)
save(snakemake.output[0], found.to_dataset(candidates, block["seeds"], target_ratio, everything, case=case))

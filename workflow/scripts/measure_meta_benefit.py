"""Compare one step from the optimum of L with one from the best single gain, as the tasks of a family differ more."""

from stage import snakemake

import logging
from pathlib import Path

from metalqr.config.experiments import family_of
from metalqr.config.folders import relative_to
from metalqr.evaluation.benefit.comparison import Comparison, compare
from metalqr.evaluation.benefit.dataset import meta_benefit_dataset
from metalqr.results import save

name, case = snakemake.wildcards.case, snakemake.params.case
comparison = Comparison(**snakemake.params.comparison)
with relative_to(Path(snakemake.config["folder"])):
    family = family_of(case["tasks"])
sizes = {"state_dim": case["state_dim"], "action_dim": case["action_dim"]}
found = compare(family, **sizes, seed=case.get("seed", 0), comparison=comparison)
made_from = {**case, "tasks": {"family": family.name, **family.settings.as_dict()}}
settings = {**made_from, "comparison": snakemake.params.comparison}
dataset = meta_benefit_dataset(found, comparison, settings, case=name, **sizes)
for reason in dict.fromkeys(str(reason) for reason in found["failure"].flat if reason):
    logging.getLogger("measure_meta_benefit").warning("some draws or rates are without a result: %s", reason)
save(snakemake.output[0], dataset)

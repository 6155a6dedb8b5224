"""Draw tasks that no training has seen, to choose step sizes with or to report."""

from stage import snakemake

import logging
from pathlib import Path

from metalqr.config.experiments import family_of
from metalqr.config.folders import relative_to
from metalqr.results import load_problem, load_tasks, save_tasks
from metalqr.systems.addresses import Pool
from metalqr.systems.further import further_tasks

name, pool = snakemake.wildcards.case, snakemake.wildcards.pool
case, wanted = snakemake.params.case, snakemake.params.unseen
training, K0 = load_problem(snakemake.input[0], name)
made_from = {"pool": pool, **wanted}
log = logging.getLogger("draw_unseen_tasks")


with relative_to(Path(snakemake.config["folder"])):
    if "case" in wanted:
        tasks = load_tasks(snakemake.input[1], wanted["case"])
    elif "path" in wanted:
        tasks = family_of({"family": "file", "path": wanted["path"]}).tasks(training.state_dim, training.action_dim, 0)
    else:
        sizes = training.state_dim, training.action_dim
        drawn = further_tasks(
            family_of(case["tasks"]), *sizes, case.get("seed", 0), Pool[pool.upper()], wanted["count"]
        )
        tasks = drawn.tasks
        made_from |= {"family": case["tasks"], "redrawn": drawn.redrawn}
        if drawn.redrawn:
            log.warning("%d tasks that no gain stabilises were drawn again", drawn.redrawn)
save_tasks(snakemake.output[0], tasks, K0, made_from, case=name)

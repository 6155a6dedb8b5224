"""Generate a set of tasks, drawn from a family or given in the config, with its initial gain."""

from stage import snakemake

from pathlib import Path

from metalqr.config.experiments import family_of
from metalqr.config.folders import relative_to
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.existence import require_optimum
from metalqr.results import save_tasks
from metalqr.systems.initial_gain import InitialGainError, read_gain

name, case = snakemake.wildcards.case, snakemake.params.case
with relative_to(Path(snakemake.config["folder"])):
    family, seed = family_of(case["tasks"]), case.get("seed", 0)
tasks = family.tasks(case["state_dim"], case["action_dim"], seed)
require_optimum(tasks)
try:
    K0 = read_gain(tasks, case["initial_gain"], family, seed)
except UnstablePolicyError as error:
    # Imported in the handler: it only makes a message, so an edit of it must not make the tasks stale.
    from metalqr.optimal import starting_gain

    start = starting_gain(tasks)
    raise InitialGainError(name, error, case["initial_gain"], start.K, start.ratio, start.excess.min()) from error
made_from = {**case, "tasks": {"family": family.name, **family.settings.as_dict()}}
save_tasks(snakemake.output[0], tasks, K0, made_from, case=name)

"""Generate a set of tasks, drawn from a family or given in the config, with its initial gain."""

from stage import snakemake

from pathlib import Path

from metalqr.config.experiments import family_of
from metalqr.config.folders import relative_to
from metalqr.lqr import UnstablePolicyError
from metalqr.lqr.existence import require_optimum
from metalqr.results import save_tasks
from metalqr.results.tasks import save_simulated
from metalqr.systems.initial_gain import InitialGainError, gain_of, read_gain
from metalqr.training.costs import checked_gain

name, case, output = snakemake.wildcards.case, snakemake.params.case, snakemake.output[0]
with relative_to(Path(snakemake.config["folder"])):
    family, seed = family_of(case["tasks"]), case.get("seed", 0)
    simulated = None if family.has_model else family.simulated()
made_from = {**case, "tasks": {"family": family.name, **family.settings.as_dict()}}
if simulated is not None:
    K0 = checked_gain(simulated, gain_of(simulated, case["initial_gain"], family, seed))
    save_simulated(output, K0, simulated.p, made_from, case=name)
else:
    tasks = family.tasks(case["state_dim"], case["action_dim"], seed)
    require_optimum(tasks)
    try:
        K0 = read_gain(tasks, case["initial_gain"], family, seed)
    except UnstablePolicyError as error:
        # Imported in the handler: it only makes a message, so an edit of it must not make the tasks stale.
        from metalqr.optimal import starting_gain

        start = starting_gain(tasks)
        raise InitialGainError(name, error, case["initial_gain"], start.K, start.ratio, start.excess.min()) from error
    save_tasks(output, tasks, K0, made_from, case=name)

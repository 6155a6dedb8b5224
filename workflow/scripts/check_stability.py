"""Check what the theory promises of a run, at every iteration of the runs at a case's own settings."""

from stage import snakemake

from metalqr import MetaSettings
from metalqr.evaluation import guarantees
from metalqr.results import load_problem, load_run, save_stability

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**snakemake.params.settings)
found = {}
for path in snakemake.input.runs:
    run = load_run(path, case, settings.as_dict())
    found[run.attrs["seed"]] = guarantees.check(
        tasks,
        K0,
        run["K"].values,
        run["unstable_perturbations"].values,
        run["gradient_norm"].values,
        settings,
        run.attrs["seed"],
    )
save_stability(snakemake.output[0], found, settings.as_dict(), case=case)

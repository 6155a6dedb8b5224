"""Check the guarantees of the theory at every iteration of the runs at a case's own settings."""

from stage import snakemake

from metalqr import MetaSettings
from metalqr.evaluation import guarantees
from metalqr.evaluation.stability import stability_dataset
from metalqr.results import load_problem, load_run, save

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**snakemake.params.settings)
found = {}
for path in snakemake.input.runs:
    run = load_run(path, case, settings.as_dict())
    K, unstable, norms = (run[name].values for name in ("K", "unstable_perturbations", "gradient_norm"))
    found[run.attrs["seed"]] = guarantees.check(tasks, K0, K, unstable, norms, settings, run.attrs["seed"])
save(snakemake.output[0], stability_dataset(found, settings.as_dict(), case=case))

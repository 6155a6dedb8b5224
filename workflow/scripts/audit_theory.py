"""Check every inequality of the theory for a case, and compute the requirements of its theorems."""

from stage import snakemake

import logging

from metalqr import MetaSettings, theory
from metalqr.results import load_problem, save, theory_dataset

log = logging.getLogger("audit_theory")
params, case = snakemake.params, snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**params.settings)
factor = params.audit["sublevel_factor"]
audit = theory.audit(tasks, K0, settings.adaptation_rate, **params.audit, seed=params.seed)
for form in theory.Form:
    log.info("%s: %d inequalities, violated at %d of %d places", form, *audit.count(form))
sublevel = theory.SublevelSet.around(tasks, K0, factor)
bounds = {
    form: theory.sublevel_constants(sublevel, form, adaptation_rate=settings.adaptation_rate) for form in theory.Form
}
requirements = {
    form: theory.requirements(tasks, K0, form, **params.requirements, factor=factor) for form in theory.Form
}
used = {**settings.as_dict(), "task_batch": tasks.count if settings.task_batch == "all" else settings.task_batch}
made_from = {
    "settings": settings.as_dict(),
    "audit": params.audit,
    "requirements": params.requirements,
    "seed": params.seed,
}
save(snakemake.output[0], theory_dataset(audit, bounds, requirements, used, made_from, case=case))

"""Check every inequality of the theory for a case, and compute the requirements of its theorems."""

from stage import snakemake

import logging
from functools import partial

from metalqr import MetaSettings, theory
from metalqr.common.attempt import attempt
from metalqr.results import load_problem, save, theory_dataset

log = logging.getLogger("audit_theory")
params, case = snakemake.params, snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
settings = MetaSettings(**params.settings)
factor, rate = params.audit["sublevel_factor"], settings.adaptation_rate


def bounds_of(form: theory.Form) -> theory.Quantities:
    """The constants over the sub-level set."""
    sublevel = theory.SublevelSet.around(tasks, K0, factor)
    return theory.sublevel_constants(sublevel, form, adaptation_rate=rate)


def requirements_of(form: theory.Form) -> theory.Quantities:
    """The requirements of Theorems 1 and 2; none of the task batch where every task counts in each iteration."""
    every = settings.task_batch == "all"
    return theory.requirements(tasks, K0, form, **params.requirements, factor=factor, every_task=every)


audit = attempt(
    lambda: theory.audit(tasks, K0, rate, **params.audit, seed=params.seed), partial(theory.Audit.empty, tasks)
)
for form in theory.Form:
    log.info("%s: %d inequalities, violated at %d of %d places", form, *audit.count(form))
bounds = {form: attempt(partial(bounds_of, form), partial(theory.absent_constants, form)) for form in theory.Form}
requirements = {
    form: attempt(partial(requirements_of, form), partial(theory.absent_requirements, form)) for form in theory.Form
}
certified: dict[str, float] = attempt(lambda: theory.certificates.largest_settings(tasks, K0, rate), lambda _: {})
used = settings.as_dict()
made_from = {
    "settings": settings.as_dict(),
    "audit": params.audit,
    "requirements": params.requirements,
    "seed": params.seed,
}
save(snakemake.output[0], theory_dataset(audit, bounds, requirements, certified, used, made_from, case=case))

"""Certify the runs of a case: step sizes along the first, and stability for all perturbations along each."""

from stage import snakemake

import numpy as np

from metalqr import MetaSettings
from metalqr.evaluation.certificates import RunCertificates, certificates_dataset, certify_run, theorem_step
from metalqr.results import load_meta_optimum, load_problem, load_run, save
from metalqr.theory.certificates.convexity import strong_convexity
from metalqr.theory.result import Form

case = snakemake.wildcards.case
tasks, K0 = load_problem(snakemake.input.tasks, case)
best = load_meta_optimum(snakemake.input.meta_optimum, case)["K_meta"].values
settings = MetaSettings(**snakemake.params.settings)
rate, radius, every = settings.adaptation_rate, settings.smoothing_radius, snakemake.params.every
found: dict[int, RunCertificates] = {}
for path in snakemake.input.runs:
    run = load_run(path, case, settings.as_dict())
    found[run.attrs["seed"]] = certify_run(tasks, run["K"].values, rate, radius, every, steps=not found)
theorem = {form: theorem_step(tasks, K0, form) for form in Form}
optimum = None if np.isnan(best).any() else strong_convexity(tasks, best, rate)
save(snakemake.output[0], certificates_dataset(found, theorem, optimum, settings.as_dict(), tasks, case=case))

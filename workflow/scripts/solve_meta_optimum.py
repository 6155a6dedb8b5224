"""The optimum of a case's meta-objective at an adaptation rate, and the learnability of its tasks there."""

from stage import snakemake

import logging

import numpy as np

from metalqr import optimal
from metalqr.objectives import meta
from metalqr.objectives.adaptation import BIASED, biases
from metalqr.optimal.learnability import assess, largest_adaptation_rate
from metalqr.results import META_OPTIMA, dataset_of, load_optima, load_problem, save
from metalqr.results.meta_optima import COMPARED_GAINS

case, rate = snakemake.wildcards.case, float(snakemake.wildcards.rate)
tasks, K0 = load_problem(snakemake.input.tasks, case)
K_shared = load_optima(snakemake.input.optima, case, tasks)["K_shared"].values
known = assess(tasks, rate, K0)
log = logging.getLogger("solve_meta_optimum")
log.info("%s", known.summary)

# A rate that is too large is not an error: a run that diverges there is a result.
certificate, K_meta = known.certificate, np.full_like(K0, np.nan)
J_meta, objective_meta = np.full(tasks.count, np.nan), np.nan
if known.gain is not None:
    try:
        best = optimal.meta_gain(tasks, rate)
        K_meta, J_meta, objective_meta = best.K, best.cost, best.objective
    except optimal.DescentError as error:
        log.warning("no optimum of the meta-objective: %s", error)
        certificate += f"; no optimum of the meta-objective was reached: {error}"
compared = [biases(tasks, gain, rate) for gain in (K0, K_shared)]
bias, cosine = (
    [[getattr(each, name) if each else np.nan for each in row] for row in compared] for name in ("norm", "cosine")
)
arrays = {
    "K_meta": K_meta,
    "J_meta": J_meta,
    "objective_meta": objective_meta,
    "J0_adapted": meta.adapted_cost(tasks, K0, rate),
    "objective_K0": meta.objective(tasks, K0, rate),
    "objective_shared": meta.objective(tasks, K_shared, rate),
    "largest_adaptation_rate": largest_adaptation_rate(tasks, K0),
    "verdict": known.verdict,
    "certificate": certificate,
    "bias": bias,
    "bias_cosine": cosine,
    "gain": list(COMPARED_GAINS),
    "method": list(BIASED),
}
save(snakemake.output[0], dataset_of(META_OPTIMA, arrays, case=case, settings={"adaptation_rate": rate}))

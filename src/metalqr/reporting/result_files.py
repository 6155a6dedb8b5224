"""The files under results/, in the order of the stages: what makes each, what it is, and what reads it.

A test fails when a rule makes a file that is not here; :mod:`metalqr.reporting.results_page` makes a page of them.
"""

from typing import NamedTuple

from metalqr.evaluation.adaptation.dataset import EVALUATION
from metalqr.evaluation.benefit.dataset import META_BENEFIT
from metalqr.evaluation.certificates import CERTIFICATES
from metalqr.evaluation.estimation_error.curves import ESTIMATION_ERROR
from metalqr.evaluation.exact_methods.dataset import EXACT_METHODS
from metalqr.evaluation.stability import STABILITY
from metalqr.prediction import PREDICTIONS
from metalqr.reporting.predictions import COMPARED
from metalqr.results import DATASETS, META_OPTIMA, OPTIMA, RUNS, TASKS, THEORY, TUNED
from metalqr.results.layout import Layout
from metalqr.training.saved_state import SAVED_STATES


class ResultFile(NamedTuple):
    """A kind of file: its path as in the rules, the target that makes it, what it is, and what reads it.

    The layout of a dataset says what is in it; files of the same layout are described together.
    """

    path: str
    stage: str
    contents: str
    layout: Layout | None = None
    reader: str = ""


FILES = (
    ResultFile(
        "tasks/{case}.nc",
        "tasks",
        "the matrices of a set of tasks, the initial gain",
        TASKS,
        "metalqr.results.load_tasks",
    ),
    ResultFile(
        "optima/{case}.nc",
        "optima",
        "optimal gains and costs of the tasks, the best single gain, the cost of the initial gain",
        OPTIMA,
        "metalqr.results.load_optima",
    ),
    ResultFile(
        "optima/{case}/adaptation_rate-{rate}.nc",
        "optima",
        "the optimum of the meta-objective at an adaptation rate; learnability of the tasks there, with a "
        "certificate; the largest rate at which the initial gain can adapt",
        META_OPTIMA,
        "metalqr.results.load_meta_optimum",
    ),
    ResultFile(
        "tuned/{case}/{configuration}.nc",
        "runs",
        "a tuning: the values tried, steps to the target and final ratio of each on every tuning seed, the choice",
        TUNED,
        "metalqr.results.load_tuned",
    ),
    ResultFile(
        "runs/{case}/{configuration}/seed-{seed}.nc",
        "runs",
        "a training run: gain, exact costs, gradient norm and counts at every iteration; how it ended; with "
        "`average_last`, the average of the last gains with its exact costs",
        RUNS,
        "metalqr.results.load_run",
    ),
    ResultFile(
        "datasets/{experiment}.nc",
        "datasets",
        "all runs of an experiment: a group for each case, with its axes (`variant`, swept settings) and the seed "
        "as dimensions",
        DATASETS,
        "metalqr.results.load_experiment",
    ),
    ResultFile(
        "theory/{case}.nc",
        "theory",
        "every inequality of the lemmas, as printed and as corrected, against exact values; what Theorems 1 and 2 "
        "require",
        THEORY,
        "metalqr.results.load_theory",
    ),
    ResultFile(
        "estimation_error/{case}.nc",
        "theory",
        "the true errors of Algorithms 1 and 2 against M, r and ℓ",
        ESTIMATION_ERROR,
        "metalqr.evaluation.estimation_error.curves.load_estimation_error",
    ),
    ResultFile(
        "exact_methods/{case}.nc",
        "theory",
        "gaps of the exact first-order methods at every iteration, with their predicted rates",
        EXACT_METHODS,
        "metalqr.evaluation.exact_methods.dataset.load_exact_methods",
    ),
    ResultFile(
        "stability/{case}.nc",
        "theory",
        "along the runs of a case: which gains are stabilising, and how the objective decreases",
        STABILITY,
        "metalqr.evaluation.stability.load_stability",
    ),
    ResultFile(
        "certificates/{case}.nc",
        "theory",
        "along the runs of a case: learning rates that certainly decrease L, and perturbations that cannot destabilise",
        CERTIFICATES,
        "metalqr.evaluation.certificates.load_certificates",
    ),
    ResultFile(
        "evaluation/{case}/{pool}.nc",
        "evaluation",
        "unseen tasks: those by which step sizes are chosen (`validation`), and those that are reported (`test`)",
        TASKS,
        "metalqr.results.load_tasks",
    ),
    ResultFile(
        "evaluation/{experiment}/{case}/{configuration}.nc",
        "evaluation",
        "trained gains of one configuration of an experiment, adapted to the unseen tasks: a part of the whole",
        EVALUATION,
        "metalqr.evaluation.adaptation.dataset.load_part",
    ),
    ResultFile(
        "evaluation/{case}/comparators-{rate}.nc",
        "evaluation",
        "what trained gains with that adaptation rate are compared with: a part of the whole",
        EVALUATION,
        "metalqr.evaluation.adaptation.dataset.load_part",
    ),
    ResultFile(
        "evaluation/{experiment}.{case}.nc",
        "evaluation",
        "the whole: gaps, excess costs and regret of trained gains, and of what they are compared with, after each "
        "adaptation step on unseen tasks, by estimator and step size",
        EVALUATION,
        "metalqr.evaluation.adaptation.dataset.load_evaluation",
    ),
    ResultFile(
        "meta_benefit/{case}.nc",
        "evaluation",
        "exact gaps of training and unseen tasks before and after one step, from the optimum of L and from the best "
        "single gain, by what differs between tasks, heterogeneity, draw of training tasks and adaptation rate; "
        "distances between the tasks",
        META_BENEFIT,
        "metalqr.evaluation.benefit.dataset.load_meta_benefit",
    ),
    ResultFile(
        "predictions/{case}/{configuration}.nc",
        "predictions",
        "the learning curve of a configuration, predicted without simulation: expected ratio, median, band, "
        "chances, mean gains, limits",
        PREDICTIONS,
        "metalqr.results.load",
    ),
    ResultFile(
        "predictions/{experiment}.nc",
        "predictions",
        "by case and configuration, at most 200 iterations: predicted ratios beside median and range of the runs",
        COMPARED,
        "metalqr.reporting.predictions.load_compared",
    ),
    ResultFile(
        "checkpoints/{case}.{configuration}.seed-{seed}.nc",
        "runs",
        "saved states of unfinished runs, [removed at their end](../docs/bad-days.md)",
        SAVED_STATES,
        "metalqr.training.saved_state.StateSaver",
    ),
    ResultFile("figures/{figure}.pdf", "figures", "a figure, for print; also `.svg` and `.png`"),
    ResultFile("tables/{table}.md", "tables", "a table, to read; `.csv` to compute with"),
    ResultFile("sections/{section}.json", "pages", "a section of the page: its charts with thinned data"),
    ResultFile(
        "page.html",
        "pages",
        "all results on one page, under 10 MB and without a network: interactive charts, figures, tables, captions, "
        "settings, commands and downloads",
    ),
    ResultFile("logs/", "all", "a job's log, with the traceback if it failed"),
    ResultFile("timings/", "all", "a job's wall time and memory"),
    ResultFile("quick/results/", "", "the same at small numbers, by `make quick`"),
    ResultFile(
        "papers/NAME/results/",
        "",
        "the same of a neighbouring paper, by `make NAME`, see [docs/papers.md](../docs/papers.md)",
    ),
    ResultFile(
        "report.html",
        "",
        "figures, captions and settings on one page, written by `snakemake --report results/report.html`",
    ),
)

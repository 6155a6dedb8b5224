"""Names of the files that one stage writes and another reads."""

TASKS_FILE = "results/tasks/{case}.nc"
OPTIMA_FILE = "results/optima/{case}.nc"
META_OPTIMUM_FILE = "results/optima/{case}/adaptation_rate-{rate}.nc"
TUNED_FILE = "results/tuned/{case}/{configuration}.nc"
RUN_FILE = "results/runs/{case}/{configuration}/seed-{seed}.nc"
#: Of the stage `evaluation`: unseen tasks, the parts of an evaluation, and the whole.
UNSEEN_FILE = "results/evaluation/{case}/{pool}.nc"
COMPARATORS_FILE = "results/evaluation/{case}/comparators-{rate}.nc"
TRAINED_FILE = "results/evaluation/{experiment}/{case}/{configuration}.nc"
EVALUATION_FILE = "results/evaluation/{experiment}.{case}.nc"
META_BENEFIT_FILE = "results/meta_benefit/{case}.nc"
#: Of the stage `predictions`: of a configuration, and of an experiment beside its runs.
PREDICTION_FILE = "results/predictions/{case}/{configuration}.nc"
COMPARED_FILE = "results/predictions/{experiment}.nc"


def meta_optimum_file(case: str, adaptation_rate: float) -> str:
    """The optimum of the meta-objective of a set of tasks at an adaptation rate."""
    return META_OPTIMUM_FILE.format(case=case, rate=repr(adaptation_rate))

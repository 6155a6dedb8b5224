"""What the scripts of the stage `evaluation` share: the rules of the evaluation, and the unseen tasks."""

from stage import snakemake

import logging

from metalqr import MetaSettings
from metalqr.config.evaluation import EXACT
from metalqr.evaluation.adaptation.assessment import with_optima
from metalqr.evaluation.adaptation.protocol import Protocol, UnseenTasks
from metalqr.evaluation.adaptation.unseen import require_disjoint
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.results import load_tasks

_case = snakemake.wildcards.case
_estimates = {name: MetaSettings(**given) for name, given in snakemake.params.estimates.items()}
protocol = Protocol({EXACT: None, **_estimates}, **snakemake.params.protocol)
#: Of the file.
settings = {**snakemake.params.protocol, "estimators": {name: each.as_dict() for name, each in _estimates.items()}}


def unseen_tasks(training: LQRTasks, K0: FloatArray) -> tuple[UnseenTasks, UnseenTasks]:
    """The validation and the test tasks, none of which is one of training or of the other set."""
    pools = {name: load_tasks(snakemake.input[name], _case) for name in ("validation", "test")}
    require_disjoint({"training": training, **pools})
    return with_optima(pools["validation"], K0), with_optima(pools["test"], K0)


def warn_of_edges(adaptation_rate: FloatArray, names: list[str]) -> None:
    """Log where the best step size is the largest or the smallest that was tried."""
    rates = sorted(protocol.learning_rates)
    for start, name in enumerate(names):
        for place, estimator in enumerate(protocol.estimators):
            if (chosen := adaptation_rate[start, place, 1]) in (rates[0], rates[-1]) and len(rates) > 1:
                logging.getLogger("evaluation").warning(
                    "%s, %s: the best step size, %g, is at an end of evaluation.learning_rates; widen it",
                    name, estimator, chosen,
                )  # fmt: skip

"""Jobs that need more memory than a config allows, in words."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.job_sizes import (
    benefit_sizes,
    dataset_sizes,
    evaluation_sizes,
    run_sizes,
    theory_sizes,
    unseen_counts,
)
from metalqr.config.needs import EVALUATION, META_BENEFIT, largest_first, megabytes
from metalqr.config.prediction import LARGEST_GAIN
from metalqr.config.sizes import Sizes

if TYPE_CHECKING:
    from metalqr.config.model import Config

#: Minimum share of a job's memory that depends on a size for a message to name it.
_NOTABLE_SHARE = 0.1
_UNITS = ("MB", "GB", "TB", "PB", "EB")


def memory_problems(config: "Config") -> Iterator[str]:
    """A job of each case that needs more memory than ``execution.largest_memory_mb``, in words."""
    limit = config.execution.largest_memory_mb
    refused = set()
    for block, rule, parts in _jobs(config):
        needed, part = megabytes(rule, parts), parts[0]
        if needed <= limit or part.case in refused:
            continue
        refused.add(part.case)
        needs = f"the job {rule} of {part.case} would need about {readable(needed)} of memory"
        values = part.values()
        without = {name: megabytes(rule, [each.with_one(name) for each in parts]) for name in values}
        name = min(values, key=without.__getitem__)
        if without[name] > (1 - _NOTABLE_SHARE) * needed:
            yield f"execution.largest_memory_mb: {limit} is too little: {needs}; raise it"
            return
        case = f"cases.{part.case}"
        keys = {
            "state_dim": f"{case}.state_dim",
            "action_dim": f"{case}.action_dim",
            "tasks": f"{case}.tasks.{config.cases[part.case].family.count_setting}",
            "threads": "execution.threads",
            "runs": "the number of runs",
            "iterations": "repeats" if rule == "measure_estimation_error" else "iterations",
        }
        leave = f", leave {part.case} out of theory.cases" if block == "theory" else ""
        keys |= {"tasks": "evaluation.tasks", "runs": "evaluation.repeats"} if block == "evaluation" else {}
        keys |= {"runs": "the number of levels of heterogeneity"} if rule == META_BENEFIT else {}
        lower = f"lower {keys.get(name, name)}, which is {values[name]}{leave}"
        yield f"{block}: {needs}, more than execution.largest_memory_mb: {limit}; {lower}, or raise the limit"


def _jobs(config: "Config") -> Iterator[tuple[str, str, list[Sizes]]]:
    """The block of the config, the rule and the parts of each job; of many for a case the largest."""
    for name, experiment in config.resolved.items():
        for case in experiment.bases:
            runs = run_sizes(config, experiment, case)
            for rule in ("train_policy", "solve_meta_optimum", "solve_optima", "generate_tasks"):
                yield f"experiments.{name}", rule, largest_first(rule, runs)[:1]
        datasets = largest_first("collect_dataset", dataset_sizes(config, experiment))
        yield f"experiments.{name}", "collect_dataset", datasets
    for case in {case: None for name in config.evaluated for case in config.resolved[name].bases}:
        for rule in EVALUATION:
            configurations = max(config.resolved[name].size for name in config.evaluated)
            parts = evaluation_sizes(config, rule, case, unseen_counts(config), configurations)
            yield "evaluation", rule, largest_first(rule, parts)[:1]
    for name in config.predicted:
        for case in config.resolved[name].bases:
            runs = [each for each in run_sizes(config, config.resolved[name], case) if each.gain <= LARGEST_GAIN]
            yield from (("prediction", "predict", [each]) for each in largest_first("predict", runs)[:1])
    for case in config.benefit_cases:
        yield "evaluation.benefit", META_BENEFIT, [benefit_sizes(config, case)]
    # Last, since it can be left out.
    for case in config.theory_cases:
        for rule, parts in theory_sizes(config, case).items():
            yield "theory", rule, largest_first(rule, parts)


def readable(memory: float) -> str:
    """Megabytes in the unit that a reader would choose, with two digits."""
    power = min(len(_UNITS) - 1, math.floor(math.log10(memory) / 3))
    value = memory / 1000**power
    return f"{format(value, '.2g' if value < 100 else '.0f')} {_UNITS[power]}"

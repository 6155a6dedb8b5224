"""Checks of the block ``evaluation``: its experiments, its tasks and its estimates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from metalqr.config.evaluation import EXACT, POOLS, estimate_settings, tasks_of_file
from metalqr.config.problems import SettingsError, key_path, nearest
from metalqr.config.registries import estimators, methods

if TYPE_CHECKING:
    from metalqr.config.model import Config
    from metalqr.systems.family import Family


def evaluation_problems(config: "Config") -> Iterator[str]:
    """All other problems of a config whose runs can be listed."""
    yield from _estimate_problems(config)
    for name in config.evaluated:
        experiment = config.resolved[name]
        for case in experiment.bases:
            for point in experiment.points(case):
                method = methods.get(point.settings.method)
                if method.gain_per_task:
                    yield (
                        f"experiments.{name}.evaluated: true is not possible with the method {method.name}, which "
                        "trains a gain for each task, and none of these is meant for other tasks; leave it out"
                    )
            if not config.cases[case].family.has_model:
                yield (
                    f"experiments.{name}.evaluated: true needs exact costs on unseen tasks, and {case} has a simulator "
                    "and no model; leave it out"
                )
                continue
            for family in experiment.families(case).values():
                for key in POOLS.values():
                    yield from _task_problems(config, key, case, family)


def _task_problems(config: "Config", key: str, case: str, family: "Family") -> Iterator[str]:
    """Unseen tasks that a case cannot have."""
    wanted, block = getattr(config.evaluation, key), config.cases[case]
    sizes = block.state_dim, block.action_dim
    place = f"evaluation.{key}"
    if isinstance(wanted, int):
        if reason := family.why_fixed:
            yield f"{place}: {wanted} further tasks of {case}: {reason}"
    elif wanted == case:
        yield f"{place}: {wanted} are the tasks of training; write a number of further tasks, or another case"
    elif wanted in config.cases:
        other = config.cases[wanted]
        if (found := (other.state_dim, other.action_dim)) != sizes:
            yield (
                f"{place}: {wanted} has state_dim: {found[0]} and action_dim: {found[1]}, and {case} {sizes[0]} and "
                f"{sizes[1]}; choose a case of the same dimensions, or write a number of further tasks"
            )
    elif "." not in wanted:
        known = nearest(wanted, list(config.cases))
        yield f"{place}: there is no case {wanted!r}; {known} (a file has a suffix, such as .npz)"
    else:
        try:
            problems = list(tasks_of_file(wanted).problems(*sizes))
        except SettingsError as error:
            problems = [("", str(error).removeprefix("path: "))]
        yield from (f"{place}: {text}" for _, text in problems)


def _estimate_problems(config: "Config") -> Iterator[str]:
    """Estimates that are impossible, for one of the cases that are evaluated."""
    block = config.evaluation
    names = config.evaluated or list(config.experiments)[:1]
    cases = dict.fromkeys(case for name in names for case in config.resolved[name].bases)
    for name, chosen in block.estimators.items():
        key = key_path(["evaluation", "estimators", name])
        if name == EXACT:
            yield f"{key}: this name is that of the exact gradient, which is always evaluated; choose another"
        if estimators.get(chosen.get("estimator", "one_point")).is_outer_only:
            estimator = estimators.get(chosen["estimator"])
            yield (
                f"{key}.estimator: {estimator.name} needs {estimator.needs}, which adaptation does not keep; choose "
                f"another, such as {estimator.inner_default}"
            )
            continue
        for case in cases:
            try:
                estimate_settings(config.given(case), chosen)
            except SettingsError as error:
                yield f"{key}: {str(error).replace(': ', ' ', 1)}"
                break
    if isinstance(block.tasks, str) and block.tasks == block.validation_tasks:
        yield (
            f"evaluation.validation_tasks: {block.tasks} are the tasks that are reported, which the choice of a step "
            "size must not see; choose other tasks"
        )

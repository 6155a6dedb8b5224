"""The sizes of a config's jobs, with those of the parts of each: cases, runs, datasets, theory and evaluation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metalqr.config.estimation import estimation_points
from metalqr.config.evaluation import tasks_of_file
from metalqr.config.experiments import Experiment
from metalqr.config.needs import largest_first
from metalqr.config.sizes import Sizes

if TYPE_CHECKING:
    from metalqr.config.model import Config
    from metalqr.systems.family import Family


def case_sizes(config: "Config", case: str) -> Sizes:
    """The sizes of a case's own tasks."""
    block = config.cases[case]
    own = {"threads": config.execution.threads, "finder": block.gain_finder, **of_family(block.family)}
    return Sizes(case, block.state_dim, block.action_dim, **own)


def of_family(family: "Family") -> dict[str, Any]:
    """The sizes that a family of tasks determines."""
    found = {"tasks": family.count, "resamples": family.resamples}
    if not family.has_model:
        chosen = family.settings
        found["measured_steps"] = chosen.evaluation_rollouts * chosen.evaluation_length
        found["own_step_seconds"] = chosen.step_seconds
    return found


def run_sizes(config: "Config", experiment: Experiment, case: str) -> list[Sizes]:
    """The sizes of a run at each point of an experiment; ``runs`` are those of all points and seeds."""
    shared = replace(case_sizes(config, case), runs=experiment.size * len(experiment.seeds))
    sets = [(point, experiment.families(case)[point.tasks]) for point in experiment.points(case)]
    return [replace(shared, settings=point.settings, **of_family(family)) for point, family in sets]


def dataset_sizes(config: "Config", experiment: Experiment) -> list[Sizes]:
    """The parts of an experiment's dataset: for each case, the sizes of its largest run."""
    return [largest_first("collect_dataset", run_sizes(config, experiment, case))[0] for case in experiment.bases]


def theory_sizes(config: "Config", case: str) -> dict[str, list[Sizes]]:
    """The parts of a case's jobs of the stage `theory`; errors are measured at several values."""
    sizes, theory, own = case_sizes(config, case), config.theory, config.own_settings[case]
    swept = estimation_points(theory.estimation_error, own, sizes.tasks, sizes.state_dim, sizes.action_dim)
    # Of Algorithms 1 and 2, whatever the method, and never without an adaptation.
    own = own.model_copy(update={"method": "zeroth_order_maml", "warm_up": 0})
    estimates = [
        replace(
            sizes,
            settings=point.settings.model_copy(
                update={"method": own.method, "warm_up": 0, "iterations": point.meta_repeats}
            ),
            # Along the perturbations there is one.
            has_bias=point.bias_steps > 0 and (axis != "perturbations" or point is measured[0]),
        )
        for axis, points in swept.items()
        for measured in [[point for point in points if point.is_measured]]
        for point in measured
    ]
    nothing = replace(sizes, settings=own.model_copy(update={"iterations": 0}), has_bias=False)
    return {
        "audit_theory": [replace(sizes, settings=theory.audit)],
        "measure_estimation_error": estimates or [nothing],
        "run_exact_methods": [replace(sizes, settings=theory.exact_methods)],
        "check_stability": [replace(sizes, settings=own, runs=len(config.seeds_without_axes(case)))],
        "certify_runs": [
            replace(sizes, settings=own, runs=len(config.seeds_without_axes(case)), steps=theory.certificates.every)
        ],
    }


def evaluation_sizes(config: "Config", rule: str, case: str, counts: Sequence[int], configurations: int) -> list[Sizes]:
    """The parts of a job of the stage `evaluation`; gains are adapted with one estimate after the other.

    ``counts`` are those of :func:`unseen_counts`. The runs are the number of paths; of a joined file, those on a task
    that it holds.
    """
    block, own = config.evaluation, config.own_settings[case]
    evaluated = [config.resolved[name] for name in config.evaluated]
    # With the average of each run beside its last gain, where any run has one.
    points = [point for each in evaluated for base in each.bases for point in each.points(base)]
    averaged = any(point.settings.average_last for point in points)
    seeds = (1 + averaged) * max((len(each.seeds) for each in evaluated), default=1)
    shared = replace(case_sizes(config, case), tasks=max(counts), settings=own, finder=None, steps=block.steps)
    if rule == "draw_unseen_tasks":
        return [shared]
    if rule == "join_evaluation":
        paths = 2 * configurations * (1 + len(block.comparators)) * seeds * block.repeats
        return [replace(shared, runs=paths * (1 + len(block.estimators)))]
    starts = seeds if rule == "evaluate_trained" else max(1, len(block.comparators))
    paths = starts * block.repeats * (len(block.learning_rates) + 2)
    exact = own.model_copy(update={"perturbations": 1, "rollout_length": 1})
    return [replace(shared, settings=each, runs=paths) for each in (exact, *config.estimates(case).values())]


def benefit_sizes(config: "Config", case: str) -> Sizes:
    """The sizes of the comparison of a case; the runs are its levels, the steps its adaptation rates."""
    block, family = config.evaluation.benefit, config.cases[case].family
    levels = len(block.heterogeneity) * len(set(block.differences) & set(family.differences))
    sizes = replace(case_sizes(config, case), finder=None, settings=block)
    return replace(sizes, runs=levels, steps=len(block.adaptation_rates))


def unseen_counts(config: "Config") -> list[int]:
    """The numbers of the unseen tasks, of either pool."""
    block = config.evaluation
    return [_count_of(config, wanted) for wanted in (block.validation_tasks, block.tasks)] if config.evaluated else [0]


def _count_of(config: "Config", wanted: int | str) -> int:
    """A number of tasks, or that of a case or of a file."""
    if isinstance(wanted, int):
        return wanted
    family = config.cases[wanted].family if wanted in config.cases else tasks_of_file(wanted)
    return int(family.count)

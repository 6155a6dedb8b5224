"""The jobs of the stage `theory` for a case: their sizes, the key of the config behind each, their time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metalqr.config import demands
from metalqr.config.demands import Sizes
from metalqr.config.jobs import Job, case_keys, case_sizes, case_values, run_sizes, setting_key
from metalqr.config.registries import methods

if TYPE_CHECKING:
    from metalqr.config.model import Config

#: The lists of `estimation_error`, each with the settings that take its values.
SWEPT = {
    "perturbations": ("perturbations", "inner_perturbations"),
    "smoothing_radius": ("smoothing_radius",),
    "rollout_length": ("rollout_length",),
}


def theory_jobs(config: "Config", case: str) -> dict[str, Job]:
    """The jobs of a case by rule."""
    audit = config.theory.audit.as_dict()
    counts = {name: audit[name] for name in ("gains", "perturbations", "random_tasks")}
    jobs = [
        _job(config, "audit_theory", case, "audit", counts),
        _estimation_error(config, case),
        _job(config, "run_exact_methods", case, "exact_methods", config.theory.exact_methods.as_dict()),
    ]
    if curve_seeds(config, case):
        jobs.append(_stability(config, case))
    return {job.rule: replace(job, remedy=f"leave {case} out of theory.cases") for job in jobs}


def curve_seeds(config: "Config", case: str) -> list[int]:
    """The seeds of a case in experiments without an axis, each once: of its runs with its own settings.

    None where its method has a gain for each task: Definitions 1 and 2 are about one gain for all.
    """
    if methods.get(config.own_settings[case].method).gain_per_task:
        return []
    blocks = [each for each in config.resolved.values() if not each.axes and case in each.bases]
    return list(dict.fromkeys(seed for block in blocks for seed in block.seeds))


def _job(config: "Config", rule: str, case: str, block: str, counts: Mapping[str, int]) -> Job:
    """A job whose sizes are those of the tasks and of a block of the config."""
    memory_of, seconds_of = demands.THEORY[rule]
    values = {**case_values(config, case), **counts}
    keys = case_keys(config, case) | {name: f"theory.{block}.{name}" for name in counts}

    def sizes_of(values: Mapping[str, Any]) -> Sizes:
        return replace(case_sizes(values), **{name: values[name] for name in counts})

    return Job(rule, case, values, keys, lambda values: memory_of(sizes_of(values)), seconds_of(sizes_of(values)))


def estimate_values(config: "Config", case: str) -> dict[str, Any]:
    """The values behind an estimate of Algorithms 1 and 2 at the case's own settings, whatever its method."""
    settings = {**config.own_settings[case].as_dict(), "method": "zeroth_order_maml"}
    return {**case_values(config, case), **settings, "threads": config.execution.threads}


def _estimation_error(config: "Config", case: str) -> Job:
    """`measure_estimation_error`: the sizes of its largest estimate, and the time of all of them."""
    block = config.theory.estimation_error
    own = {**estimate_values(config, case), "iterations": block.repeats}
    points = [{**own, **dict.fromkeys(names, value)} for axis, names in SWEPT.items() for value in getattr(block, axis)]
    biases = len(block.smoothing_radius) + 1  # the other lists share one
    values = {**own, **{name: max(point[name] for point in points) for name in ("perturbations", "rollout_length")}}
    keys = {"iterations": "theory.estimation_error.repeats", "threads": "execution.threads"}
    for name in ("perturbations", "rollout_length"):
        listed = getattr(block, name)
        keys[name] = setting_key(config, case, name)
        if values[name] in listed:
            keys[name] = f"theory.estimation_error.{name}[{listed.index(values[name])}]"
    if own["task_batch"] != "all":
        keys["task_batch"] = setting_key(config, case, "task_batch")
    return Job(
        "measure_estimation_error",
        case,
        values,
        case_keys(config, case) | keys,
        lambda values: demands.estimation_error_memory(run_sizes(values)),
        sum(demands.run_seconds(run_sizes(point)) for point in points)
        + biases * demands.bias_seconds(run_sizes(points[0])),
    )


def _stability(config: "Config", case: str) -> Job:
    """`check_stability`: with all runs of the case at its own settings."""
    longest = max(
        (each for each in config.resolved.values() if not each.axes and case in each.bases),
        key=lambda each: len(each.seeds),
    )
    values = {**estimate_values(config, case), "runs": len(curve_seeds(config, case))}
    keys = {"runs": f"experiments.{longest.name}.seeds", "iterations": setting_key(config, case, "iterations")}
    keys |= {**case_keys(config, case), "threads": "execution.threads"}
    memory_of: Callable[[Sizes], float] = demands.stability_memory
    return Job(
        "check_stability",
        case,
        values,
        keys,
        lambda values: memory_of(run_sizes(values)),
        demands.stability_seconds(run_sizes(values)),
    )

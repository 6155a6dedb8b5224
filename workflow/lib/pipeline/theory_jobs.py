"""The jobs of the stage `theory` for a case: their sizes, the key of the config behind each, their time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline import demands
from pipeline.canonical import complete_settings, theory_block
from pipeline.demands import Sizes
from pipeline.jobs import Job, case_keys, setting_key, sizes_of

#: The lists of `estimation_error`, each with the settings that take its values.
SWEPT = {
    "perturbations": ("perturbations", "inner_perturbations"),
    "smoothing_radius": ("smoothing_radius",),
    "rollout_length": ("rollout_length",),
}


def theory_jobs(config: Mapping[str, Any], case: str) -> dict[str, Job]:
    """The jobs of a case by rule."""
    sizes, keys = sizes_of(config["cases"][case]), case_keys(config, case)
    audit = theory_block(config, "audit")
    counts = {name: audit[name] for name in ("gains", "perturbations", "random_tasks")}
    methods = theory_block(config, "exact_methods")
    jobs = [
        _job("audit_theory", case, replace(sizes, **counts), keys | _keys("audit", counts)),
        _estimation_error(config, case),
        _job("run_exact_methods", case, replace(sizes, **methods), keys | _keys("exact_methods", methods)),
    ]
    if curve_seeds(config, case):
        jobs.append(_stability(config, case))
    return {job.rule: replace(job, remedy=f"leave {case} out of theory.cases") for job in jobs}


def curve_seeds(config: Mapping[str, Any], case: str) -> list[int]:
    """The seeds of a case in experiments without a sweep, each once: of its runs with its own settings."""
    blocks = [block for block in config["experiments"].values() if not block["sweep"] and case in block["cases"]]
    return list(dict.fromkeys(seed for block in blocks for seed in block["seeds"]))


def _job(rule: str, case: str, sizes: Sizes, keys: Mapping[str, str]) -> Job:
    memory_of, seconds_of = demands.THEORY[rule]
    return Job(rule, case, sizes, keys, memory_of, seconds_of(sizes))


def _keys(block: str, sizes: Mapping[str, int]) -> dict[str, str]:
    return {name: f"theory.{block}.{name}" for name in sizes}


def _estimation_error(config: Mapping[str, Any], case: str) -> Job:
    """`measure_estimation_error`: the sizes of its largest estimate, and the time of all of them."""
    block, settings = theory_block(config, "estimation_error"), complete_settings(config, case)
    settings["iterations"] = block["repeats"]
    points = [{**settings, **dict.fromkeys(names, value)} for axis, names in SWEPT.items() for value in block[axis]]
    threads = config["execution"]["threads"]
    sizes = [sizes_of(config["cases"][case], point, threads) for point in points]
    biases = len(block["smoothing_radius"]) + 1  # the other lists share one
    largest = {name: max(getattr(point, name) for point in sizes) for name in ("perturbations", "rollout_length")}
    keys = {"iterations": "theory.estimation_error.repeats", "threads": "execution.threads"}
    for name, value in largest.items():
        listed = value in block[name]
        place = f"theory.estimation_error.{name}[{block[name].index(value)}]" if listed else ""
        keys[name] = place or setting_key(config, case, name)
    if sizes[0].task_batch is not None:
        keys["task_batch"] = setting_key(config, case, "task_batch")
    return Job(
        "measure_estimation_error",
        case,
        replace(sizes[0], **largest),
        case_keys(config, case) | keys,
        demands.estimation_error_memory,
        sum(map(demands.run_seconds, sizes)) + biases * demands.bias_seconds(sizes[0]),
    )


def _stability(config: Mapping[str, Any], case: str) -> Job:
    """`check_stability`: with all runs of the case at its own settings."""
    sizes = sizes_of(config["cases"][case], complete_settings(config, case), config["execution"]["threads"])
    blocks = config["experiments"]
    longest = max(
        (name for name, block in blocks.items() if not block["sweep"] and case in block["cases"]),
        key=lambda name: len(blocks[name]["seeds"]),
    )
    keys = {"runs": f"experiments.{longest}.seeds", "iterations": setting_key(config, case, "iterations")}
    keys |= {"threads": "execution.threads"}
    sizes = replace(sizes, runs=len(curve_seeds(config, case)))
    return _job("check_stability", case, sizes, case_keys(config, case) | keys)

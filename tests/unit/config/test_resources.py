"""What jobs ask for: enough for what was measured, not absurdly more, and refused before anything is allocated."""

import copy
import math
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from metalqr.config import ConfigError, Plan, check_config, demands, read_config
from metalqr.config.demands import Sizes
from metalqr.config.limits import readable

DEFAULT = read_config(ROOT / "config.yaml")


def run(state_dim: int, action_dim: int, tasks: int, perturbations: int, inner: int = 1, **more: int) -> Sizes:
    """A run of the paper's method and estimator with all tasks."""
    policies = tasks * perturbations
    return Sizes(state_dim, action_dim, tasks, policies, policies * (inner + 1), **more)


# Largest memory in MiB and seconds of jobs as in the scripts, on a Xeon with AVX-512 that others used too: they took up
# to ten times as long as alone, and some of the trainings compiled first.
MEASURED = [
    ("generate_tasks", Sizes(1, 1, 5), 164, 2.4),
    ("generate_tasks", Sizes(100, 50, 50), 232, 2.5),
    ("generate_tasks", Sizes(300, 150, 5), 226, 1.9),
    ("solve_optima", Sizes(1, 1, 5), 183, 1.8),
    ("solve_optima", Sizes(1, 1, 1000), 183, 5.9),
    ("solve_optima", Sizes(100, 50, 5), 193, 15.1),
    ("solve_optima", Sizes(100, 50, 50), 271, 97.2),
    ("solve_optima", Sizes(300, 150, 5), 267, 47.3),
    ("train_policy", run(1, 1, 5, 10, iterations=10), 328, 48.1),
    ("train_policy", run(1, 1, 5, 10, iterations=10, threads=2), 231, 5.1),
    ("train_policy", run(1, 1, 5, 10, iterations=100_000), 261, 207.4),
    ("train_policy", run(1, 1, 5, 100_000, iterations=3), 253, 21.7),
    ("train_policy", run(1, 1, 1000, 100, iterations=10), 235, 4.4),
    ("train_policy", run(20, 10, 5, 100, iterations=10), 337, 70.1),
    ("train_policy", run(20, 10, 5, 20_000, iterations=1), 1301, 13.3),
    ("train_policy", run(20, 10, 5, 2, iterations=30_000), 390, 43.8),
    ("train_policy", run(20, 10, 50, 100, iterations=3), 286, 2.2),
    ("train_policy", run(100, 50, 5, 1000, iterations=2), 1576, 15.5),
    ("train_policy", run(100, 50, 50, 10, iterations=3), 431, 20.9),
    ("train_policy", run(300, 150, 5, 1, iterations=1), 319, 10.1),
    ("train_policy", run(300, 150, 5, 30, iterations=1, threads=2), 670, 17.4),
    ("collect_dataset", Sizes(1, 1, 50, iterations=5000, runs=100), 456, 9.4),
    ("collect_dataset", Sizes(20, 10, 5, iterations=1200, runs=20), 179, 2.4),
    ("collect_dataset", Sizes(20, 10, 5, iterations=20_000, runs=10), 318, 4.7),
]
MEMORY = {
    "generate_tasks": demands.task_memory,
    "solve_optima": demands.optima_memory,
    "train_policy": demands.run_memory,
    "collect_dataset": lambda sizes: demands.PROCESS_MEGABYTES + demands.dataset_memory(sizes),
}
SECONDS = {
    "generate_tasks": demands.task_seconds,
    "solve_optima": demands.optima_seconds,
    "train_policy": demands.run_seconds,
    "collect_dataset": demands.dataset_seconds,
}


@pytest.mark.parametrize(("rule", "sizes", "mebibytes", "seconds"), MEASURED)
def test_estimates_exceed_what_was_measured_but_not_by_much(
    rule: str, sizes: Sizes, mebibytes: float, seconds: float
) -> None:
    assert 1.1 < MEMORY[rule](sizes) / (mebibytes * 2**20 / 1e6) < 2.5
    assert seconds < 60 * demands.minutes(SECONDS[rule](sizes)) < 100 * max(seconds, 30)


@pytest.mark.parametrize(("dimensions", "seconds"), [((1, 1), (8, 9)), ((2, 2), (14, 17)), ((20, 10), (240, 271))])
def test_time_of_the_papers_runs_on_one_core(dimensions: tuple[int, int], seconds: tuple[float, float]) -> None:
    """What `make paper` took, in the README: 3.03e9 steps, so the formula without its safety should be about right."""
    sizes = run(*dimensions, 5, perturbations=100, inner=100, rollout_length=50, iterations=1200)
    assert 0.8 * seconds[0] < demands.run_seconds(sizes) < 1.5 * seconds[1]


sizes = st.builds(Sizes, *[st.integers(1, 10**6)] * 7, st.integers(0, 10**6))


@given(sizes=sizes, name=st.sampled_from(["state_dim", "action_dim", "tasks", "policies", "iterations"]))
def test_more_of_anything_needs_more(sizes: Sizes, name: str) -> None:
    larger = replace(sizes, **{name: 2 * getattr(sizes, name) + 1})
    assert demands.run_memory(larger) > demands.run_memory(sizes)
    assert demands.run_seconds(larger) >= demands.run_seconds(sizes)


@pytest.mark.parametrize(
    ("memory", "text"), [(460, "460 MB"), (8000, "8 GB"), (88e6, "88 TB"), (1.4e9, "1.4 PB"), (3e15, "3000 EB")]
)
def test_readable_memory(memory: float, text: str) -> None:
    assert readable(memory) == text


def with_values(values: dict[str, Any]) -> dict[str, Any]:
    """The default config with values at dotted paths; without the stage `theory`, unless they ask for it."""
    config = copy.deepcopy(DEFAULT)
    config["theory"]["cases"] = []
    for key, value in values.items():
        *path, last = key.split(".")
        block = config
        for part in path:
            block = block[part]
        block[last] = value
    return config


HUGE = [
    ({"cases.d1k1.state_dim": 10**6}, "cases.d1k1.state_dim: 1000000 is too much: the job train_policy of d1k1"),
    (
        {"algorithm.perturbations": 10**9},
        "algorithm.perturbations: 1000000000 is too much: the job train_policy of d1k1",
    ),
    ({"cases.d2k2.action_dim": 10**6}, "cases.d2k2.action_dim: 1000000 is too much: the job generate_tasks of d2k2"),
    (
        {"cases.d2k2.tasks.count": 10**9},
        "cases.d2k2.tasks.count: 1000000000 is too much: the job draw of",
    ),
    ({"algorithm.iterations": 2 * 10**9}, "algorithm.iterations: 2000000000 is too much: the job train_policy of d1k1"),
    ({"algorithm.task_batch": 10**9}, "algorithm.task_batch: 1000000000 is too much: the job train_policy of d1k1"),
    (
        {"cases.d20k10.algorithm.perturbations": 10**9},
        "cases.d20k10.algorithm.perturbations: 1000000000 is too much: the job train_policy of d20k10",
    ),
    (
        {"experiments.perturbations.sweep.perturbations": [10, 10**9, 20]},
        "experiments.perturbations.sweep.perturbations[1]: 1000000000 is too much: the job train_policy of d2k2",
    ),
    (
        {
            "experiments.learning_rate.sweep": {
                "iterations": list(range(3000)),
                "tolerance": [n / 40 for n in range(40)],
            }
        },
        "experiments.learning_rate.sweep: 360000 runs are too many: the job tabulate of d2k2",
    ),
    (
        {"experiments.figure1.seeds": list(range(3000)), "execution.largest_memory_mb": 1000},
        "experiments.figure1.seeds: 3000 runs are too many: the job tabulate of d20k10",
    ),
    ({"execution.threads": 10**6}, "execution.threads: 1000000 is too much: the job train_policy of d1k1"),
    ({"execution.largest_memory_mb": 100}, "execution.largest_memory_mb: 100 is too little: the job train_policy of"),
]


@pytest.mark.parametrize(("values", "message"), HUGE)
def test_huge_values_are_refused_with_the_key_to_blame(values: dict[str, Any], message: str) -> None:
    config = with_values(values)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as caught:
            check_config(config)
        allocated = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.problems[0].startswith(f"{message}")
    assert all(" would need about " in problem for problem in caught.value.problems)
    assert allocated < 50e6


def test_the_figure_of_all_sweeps_counts_too() -> None:
    sweeps = ("smoothing_radius", "perturbations", "rollout_length", "adaptation_rate", "learning_rate")
    seeds: dict[str, Any] = {f"experiments.{name}.seeds": list(range(700)) for name in sweeps}
    with pytest.raises(ConfigError, match="the job draw of d2k2 would need about 3 GB of memory"):
        check_config(with_values({**seeds, "execution.largest_memory_mb": 1000}))


def test_a_case_that_no_experiment_uses_may_be_of_any_size() -> None:
    huge = {**DEFAULT["cases"]["d1k1"], "state_dim": 10**6}
    assert check_config(with_values({"cases.unused": huge}))


def test_a_larger_limit_allows_more() -> None:
    values = {"algorithm.perturbations": 10**6}
    with pytest.raises(ConfigError):
        check_config(with_values(values))
    assert check_config(with_values({**values, "execution.largest_memory_mb": 10**6}))


def configuration_of(plan: Plan, case: str, experiment: str = "figure1") -> str:
    """The configuration of an experiment's first run of a case."""
    return next(path.split("/")[3] for path in plan.run_files(experiment) if path.split("/")[2] == case)


def test_resources_grow_with_the_attempt() -> None:
    plan = Plan(DEFAULT)
    wildcards = SimpleNamespace(case="d20k10", experiment="figure1", configuration=configuration_of(plan, "d20k10"))
    for name in ("task", "optima", "meta_optimum", "run", "dataset"):
        for ask in filter(None, [getattr(plan, f"{name}_memory"), getattr(plan, f"{name}_minutes", None)]):
            assert isinstance(ask(wildcards, 1), int)
            assert 3 * ask(wildcards, 1) - 3 <= ask(wildcards, 3) <= 3 * ask(wildcards, 1)
    assert plan.run_memory(wildcards, 1) < 1000
    assert plan.run_minutes(wildcards, 1) < 60


def test_every_run_asks_for_what_it_needs() -> None:
    plan = Plan(with_values({"experiments.perturbations.sweep.perturbations": [20_000]}))
    for case, sizes in [
        ("d2k2", run(2, 2, 5, 20_000, 20_000, rollout_length=50, iterations=1200)),
        ("d1k1", run(1, 1, 5, 100, 100, rollout_length=50, iterations=1200)),
    ]:
        experiment = "perturbations" if case == "d2k2" else "figure1"
        wildcards = SimpleNamespace(case=case, configuration=configuration_of(plan, case, experiment))
        assert plan.run_memory(wildcards, 1) == math.ceil(350 + demands.run_memory(sizes))
        assert plan.run_minutes(wildcards, 1) == demands.minutes(demands.run_seconds(sizes))


def test_an_estimator_says_what_it_takes() -> None:
    """Two rollouts a direction hold twice as many policies, and their adaptations make four times as many rollouts."""
    variants = {"paper": {}, "pairs": {"estimator": "two_point"}}
    plan = Plan(with_values({"experiments.mine": {"cases": ["d1k1"], "seeds": [0], "variants": variants}}))
    paper, pairs = (SimpleNamespace(case="d1k1", configuration=path.split("/")[3]) for path in plan.run_files("mine"))
    assert plan._run_cost(pairs)[0] > plan._run_cost(paper)[0]
    assert 3.5 < plan._run_cost(pairs)[1] / plan._run_cost(paper)[1] < 4


def test_a_method_with_sizes_of_its_own_says_what_it_takes() -> None:
    """Also where only a variant or a value of the sweep names it."""
    methods = {"method": ["zeroth_order_maml", "reptile", "gradient_descent"]}
    plan = Plan(with_values({"experiments.mine": {"cases": ["d1k1"], "seeds": [0], "sweep": methods}}))
    files = plan.run_files("mine")
    runs = [SimpleNamespace(case="d1k1", configuration=file.split("/")[3]) for file in files]
    paper, reptile, exact = map(plan._run_cost, runs)
    assert paper[1] > max(reptile[1], exact[1])


def test_a_size_in_a_variant_is_blamed_there() -> None:
    variants = {"small": {}, "large": {"perturbations": 10**9}}
    with pytest.raises(
        ConfigError, match=r"^The config.*\n  experiments.mine.variants.large.perturbations: 1000000000 is"
    ):
        check_config(with_values({"experiments.mine": {"cases": ["d1k1"], "seeds": [0], "variants": variants}}))


def test_a_swept_number_of_tasks_is_blamed() -> None:
    mine = {"cases": ["d1k1"], "seeds": [0], "sweep": {"tasks.count": [5, 10**9]}}
    with pytest.raises(ConfigError, match=r"experiments.mine.sweep.'tasks.count'\[1\]: 1000000000 is too much"):
        check_config(with_values({"experiments.mine": mine}))

"""The contestants of the benchmarks against exact expectations, and what the benchmarks compute from timings.

JAX is checked by `make bench` itself, which fails where the means of its contestants differ.
"""

import functools
import itertools
import math
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from systems import scalar_tasks, similar_tasks
from twins import circle_average

from benchmarks import agreement, figures, machine, measure, requests, run, stages, tables
from benchmarks.contestants import Contestant, chunks_per_task
from benchmarks.contestants.compiled import Metalqr
from benchmarks.contestants.numpy_vectorised import VectorisedNumpy
from benchmarks.contestants.plain_loop import PlainLoop
from benchmarks.work import CASES, ESTIMATORS, Work, of_case
from metalqr import LQRTasks, MetaSettings, lqr

Array = NDArray[np.float64]
#: So well damped that neither a perturbation nor a noisy step of adaptation makes a policy much worse.
SCALAR_TASKS = scalar_tasks(
    [0.5, 0.3], [1.0, 0.7], [1.0, 0.5], [1.0, 2.0], [0.5, 1.0], Sigma0=[[[1.0]], [[0.4]]], p=[0.6, 0.4]
)
SETTINGS = MetaSettings(learning_rate=1.0e-3, adaptation_rate=0.0, perturbations=1, smoothing_radius=0.4)


def small_work(tasks: LQRTasks, gain: list[float], rate: float, inner: int, length: int) -> Work:
    settings = SETTINGS.replace(adaptation_rate=rate, inner_perturbations=inner, rollout_length=length)
    return Work("small", tasks, np.array([gain]), settings)


def noisy_cost(tasks: LQRTasks, gain: float, noise: Array) -> Array:
    """Of a single scalar task."""
    a, b, q, r, psi, sigma0 = (getattr(tasks, name).item() for name in ("A", "B", "Q", "R", "Psi", "Sigma0"))
    x, cost = math.sqrt(sigma0) * noise[0], np.zeros_like(noise[0])
    for w in noise[1:]:
        x = (a - b * gain) * x + math.sqrt(psi) * w
        cost = cost + (q + r * gain**2) * x**2
    return cost / (len(noise) - 1)


def exact_expectation(work: Work) -> float:
    """The mean of Algorithm 2 for scalar tasks: every cost is a polynomial in the noise, so Gauss-Hermite is exact."""
    settings, radius, tasks = work.settings, work.settings.smoothing_radius, work.tasks
    inner, length = settings.inner_perturbations, settings.rollout_length
    # J of the adapted gain has the degree 4 l + 4 in a normal number; n nodes are exact up to 2 n - 1.
    nodes, weights = np.polynomial.hermite_e.hermegauss(2 * length + 3)
    axes = np.meshgrid(*[nodes] * (inner * (length + 1)), indexing="ij")
    noise = np.reshape(axes, (inner, length + 1, -1))
    weight = functools.reduce(np.multiply.outer, [weights / weights.sum()] * len(axes)).ravel()
    signs = list(itertools.product((-radius, radius), repeat=inner))
    total = 0.0
    for i, U, directions in itertools.product(range(tasks.count), (-radius, radius), signs):
        task, gain = tasks.subset([i]), float(work.gain[0, 0]) + U
        costs = [noisy_cost(task, gain + V, z) * V for V, z in zip(directions, noise, strict=True)]
        adapted = gain - settings.adaptation_rate * np.sum(costs, axis=0) / radius**2 / inner
        means = lqr.finite_horizon_cost(lqr.tiled(task, len(adapted)), adapted.reshape(-1, 1, 1), length)
        total += tasks.p[i] * U / radius**2 * (weight @ means) / 2 / len(signs)
    return total


def estimates(contestant: Contestant, work: Work, perturbations: int, repeats: int = 40) -> Array:
    work = work.at(perturbations=perturbations)
    return np.array([contestant.estimate(work.tasks, work.gain, work.settings, seed) for seed in range(repeats)])


def within(values: Array, exact: Array | float, bound: float = 4.5) -> NDArray[np.bool_]:
    error = (values.mean(axis=0) - exact) / (values.std(axis=0, ddof=1) / math.sqrt(len(values)))
    return np.abs(error) < bound


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contestant", "perturbations", "gain", "rate", "inner", "length"),
    [
        (VectorisedNumpy(), 10_000, -0.5, 0.02, 2, 1),
        (VectorisedNumpy(), 10_000, 0.8, 0.005, 1, 3),
        (PlainLoop(), 150, -0.5, 0.02, 2, 1),
    ],
)
def test_contestants_estimate_the_exact_expectation_of_algorithm_2(
    contestant: Contestant, perturbations: int, gain: float, rate: float, inner: int, length: int
) -> None:
    """Scalar tasks, and the mean is not that without adaptation. 4.5 sigma."""
    work = small_work(SCALAR_TASKS, [gain], rate, inner, length)
    values = estimates(contestant, work, perturbations)
    assert np.all(within(values, exact_expectation(work)))
    assert not np.any(within(values, exact_expectation(work.at(adaptation_rate=0.0))))


@pytest.mark.slow
@pytest.mark.parametrize(("contestant", "perturbations"), [(VectorisedNumpy(), 10_000), (PlainLoop(), 60)])
def test_contestants_estimate_the_gradient_in_two_dimensions(contestant: Contestant, perturbations: int) -> None:
    """Without adaptation the mean is that of the smoothed cost: the trapezoidal rule on the circle. 4.5 sigma."""
    tasks = similar_tasks(7, count=2, state_dim=2, action_dim=1)
    work = small_work(tasks, [0.8, -0.6], 0.0, 1, 3)
    smoothed = circle_average(functools.partial(lqr.finite_horizon_cost, tasks, length=3), work.gain, 0.4)
    exact = np.tensordot(tasks.p, smoothed, 1)
    values = estimates(contestant, work, perturbations)
    assert np.all(within(values, exact))
    assert not np.any(within(values, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_numpy_estimates_what_metalqr_does_with_other_estimators(estimator: str) -> None:
    """Means of both, with adaptation, within 4.5 standard errors; and a baseline or common noise lowers the spread."""
    plain = agreement.checked_work(Work("small", SCALAR_TASKS, np.array([[0.5]]), SETTINGS)).at(perturbations=200)
    work, contestants = plain.at(**ESTIMATORS[estimator]), {"metalqr": Metalqr(1), "NumPy": VectorisedNumpy()}
    found = agreement.compare(work, contestants, "metalqr")
    assert found["NumPy"].agrees
    assert abs(found["NumPy"].mean) > 10 * found["NumPy"].standard_error
    (alone,) = agreement.compare(plain, {"NumPy": VectorisedNumpy()}, "NumPy").values()
    assert found["NumPy"].standard_error < 0.9 * alone.standard_error
    assert found["NumPy"].standard_error < 1.5 * found["metalqr"].standard_error


def test_the_plain_loop_is_timed_on_a_part_of_its_work() -> None:
    work = of_case("d1k1")
    part = work._replace(settings=PlainLoop().timed_part(work.settings))
    assert part.rollouts == 105
    assert work.rollouts == 50_500
    assert work.steps == 2_525_000


@pytest.mark.parametrize("name", CASES)
def test_the_work_is_that_of_the_config(name: str) -> None:
    work = of_case(name)
    assert name == f"d{work.tasks.state_dim}k{work.tasks.action_dim}"
    assert np.all(lqr.is_stabilising(work.tasks, work.gain))
    assert of_case(name, 4, 3).gain.shape == (3, 4)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize(("policies", "inner", "entries"), [(100, 100, 1), (100, 100, 200), (7, 2, 4), (1, 9000, 200)])
def test_chunks_are_small_and_equally_shared(policies: int, inner: int, entries: int, workers: int) -> None:
    chunks = chunks_per_task(5, policies, inner, entries, workers)
    size = math.ceil(policies / chunks)
    assert size == 1 or (size * inner <= 5000 and size * inner * entries <= 400_000)
    assert 5 * chunks % workers == 0
    if chunks > workers:  # fewer would be too large
        fewer = chunks - workers // math.gcd(5, workers)
        assert math.ceil(policies / fewer) * inner > 5000 or math.ceil(policies / fewer) * inner * entries > 400_000


@pytest.mark.slow
@pytest.mark.parametrize("policies", [1, 7, 1001])
def test_every_policy_of_every_chunk_counts_once(policies: int) -> None:
    """Without adaptation the inner rollouts only make chunks necessary, of unequal sizes for the largest number."""
    work = small_work(SCALAR_TASKS, [0.0], 0.0, 10, 1).at(perturbations=policies)
    values = [VectorisedNumpy().estimate(work.tasks, work.gain, work.settings, seed) for seed in range(400)]
    assert np.all(within(np.array(values), exact_expectation(work.at(inner_perturbations=1))))


class Noisy(Contestant):
    """A given mean with a standard deviation of one, whatever the work."""

    name = "noisy"

    def __init__(self, mean: float, seed: int) -> None:
        self.mean, self.seed = mean, seed

    def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
        return np.random.default_rng([self.seed, seed]).normal(self.mean, 1.0, K.shape)


@pytest.mark.parametrize(("mean", "agrees"), [(3.0, True), (4.5, False), (1.5, False), (math.nan, False)])
def test_another_mean_does_not_agree(mean: float, agrees: bool) -> None:
    work = agreement.checked_work(of_case("d1k1"))
    found = agreement.compare(work, {"metalqr": Noisy(3.0, 0), "other": Noisy(mean, 1)}, "metalqr")
    assert found["metalqr"].agrees
    assert found["other"].agrees is agrees


@pytest.mark.slow
def test_nothing_is_timed_while_the_means_differ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "OUTPUT", tmp_path)
    with pytest.raises(SystemExit, match=r"off at \(1, 1\), one_point, .*agreement\.md"):
        run.check({"metalqr": Noisy(3.0, 0), "fine": Noisy(3.0, 1), "off": Noisy(9.0, 2)})
    lines = (tmp_path / "agreement.md").read_text().splitlines()
    assert sum("| off" in line for line in lines) == len(CASES) * (1 + len(ESTIMATORS))


def test_times_of_a_part_are_scaled_by_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that a contestant moves by one second for each rollout makes the time of the whole exact."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Clocked(PlainLoop):
        def estimate(self, tasks: LQRTasks, K: Array, settings: MetaSettings, seed: int) -> Array:
            now[0] += tasks.count * settings.perturbations * (settings.inner_perturbations + 1)
            return K

    work = of_case("d1k1")
    assert measure.iteration_seconds(work, {"clocked": Clocked()}, rounds=2) == pytest.approx(
        {"clocked": work.rollouts}
    )


def test_the_arithmetic_limit_counts_products_and_normals() -> None:
    """(20, 10): 2 (200 + 400 + 200 + 210 + 55) = 2130 operations and 20 normals a step."""
    work = of_case("d20k10")
    assert_allclose(machine.arithmetic_limit(work, 1.0e10, 2), 2_525_000 * (213e-9 + 18e-9) / 2)
    assert machine.product_rate(0.01) > 1.0e7


def test_the_machine_is_named() -> None:
    assert machine.processor()
    assert machine.cores() >= 1


def write_timings(folder: Path, header: str, lines: dict[str, str]) -> None:
    for name, text in lines.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{header}\n{text}")


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n") if line.startswith("|")]


def test_stages_add_up_the_timings(tmp_path: Path) -> None:
    write_timings(
        tmp_path,
        "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time",
        {
            "tasks/d1k1.tsv": "3.0\t0:00:03\t-\t-\t-\t-\t-\t-\t0.0\t2.0\n",
            "runs/d1k1/abc/seed-0.tsv": "4.0\t0:00:04\t1\t1\t1\t1\t1\t1\t150\t6.0\n",
            "runs/d1k1/abc/seed-1.tsv": "9.0\t0:00:09\t-\t-\t-\t-\t-\t-\t0\t9.0\n"
            "5.0\t0:00:05\t-\t-\t-\t-\t-\t-\t0\t8.0\n",
        },
    )
    rows = cells(stages.summary(stages.read(tmp_path)))
    assert rows[2:5] == [
        ["tasks", "1", "3.0", "2.0", "25.0%"],
        ["runs, d1k1", "2", "9.0", "14.0", "75.0%"],
        ["all", "3", "12.0", "16.0", "100.0%"],
    ]


def test_jobs_against_their_requests(tmp_path: Path) -> None:
    write_timings(
        tmp_path,
        "s\th:m:s\tmax_rss\tmean_load\tcpu_time",
        {
            "tasks/d1k1.tsv": "0.4\t0:00:00\t-\t0.0\t0.4\n",
            "runs/d20k10/abc/seed-0.tsv": "240.0\t0:04:00\t200\t100\t240\n",
            "runs/d20k10/def/seed-1.tsv": "250.0\t0:04:10\t100\t100\t250\n",
            "datasets/figure1.tsv": "3.0\t0:00:03\t190\t100\t3\n",
            "datasets/of_another_config.tsv": "3.0\t0:00:03\t190\t100\t3\n",
            "optima/d2k2.tsv": "1.0\t0:00:01\t180\t100\t1\n",
            "optima/d2k2/adaptation_rate-0.0.tsv": "2.0\t0:00:02\t190\t100\t2\n",
            "optima/d2k2/adaptation_rate-1e-05.tsv": "1.0\t0:00:01\t190\t100\t1\n",
            "stability/d2k2.tsv": "5.0\t0:00:05\t200\t100\t5\n",
        },
    )
    plan = requests.default_plan()
    rows = cells(requests.summary(tmp_path, plan))[2:]
    assert [row[:5] for row in rows] == [
        ["generate_tasks", "d1k1", "1", "0.4", ""],
        ["solve_optima", "d2k2", "1", "1.0", "189"],
        ["solve_meta_optimum", "d2k2", "2", "2.0", "199"],
        ["train_policy", "d20k10", "2", "250.0", "210"],
        ["collect_dataset", "figure1", "1", "3.0", "199"],
        ["check_stability", "d2k2", "1", "5.0", "210"],
    ]
    configuration = next(path.split("/")[3] for path in plan.run_files("figure1") if "/d20k10/" in path)
    wildcards = SimpleNamespace(case="d20k10", experiment="figure1", configuration=configuration)
    for row, rule in ((rows[3], "train_policy"), (rows[4], "collect_dataset")):
        resources = plan.resources(rule)
        assert row[5:] == [str(resources[name](wildcards, 1)) for name in ("runtime", "mem_mb")]


def test_without_timings_the_tables_say_so(tmp_path: Path) -> None:
    assert "make paper" in requests.summary(tmp_path, requests.default_plan())
    assert "make paper" in stages.summary(stages.read(tmp_path))


def test_the_table_of_timings() -> None:
    seconds = np.array([0.1, 30.0])
    frame = pd.DataFrame({"state_dim": 20, "action_dim": 10, "contestant": ["metalqr", "plain loop"]}).assign(
        seconds=seconds, steps_per_second=2_525_000 / seconds, times_metalqr=seconds / 0.1, limit_share=0.05 / seconds
    )
    assert tables.timings(frame, "A processor", "Some work.").splitlines() == [
        "A processor.",
        "",
        "Some work.",
        "",
        "| (d, k)   | implementation | s per iteration | million steps/s | relative time | of the arithmetic limit |",
        "| -------- | -------------- | --------------: | --------------: | ------------: | ----------------------: |",
        "| (20, 10) | metalqr        |           0.100 |            25.2 |          1.00 |                     50% |",
        "| (20, 10) | plain loop     |            30.0 |          0.0842 |           300 |                         |",
    ]


@pytest.mark.slow
def test_the_figure_has_a_line_for_each_contestant_and_case() -> None:
    sweeps = pd.DataFrame(
        [
            {"axis": axis, "value": value, "contestant": name, "nanoseconds": value + speed, "limit": 0.5 * value}
            for axis in figures.TITLES
            for value in (1, 10, 100)
            for speed, name in ((1.0, "fast"), (20.0, "slow"))
        ]
    )
    scaling = pd.DataFrame(
        [{"case": case, "threads": n, "speed_up": 0.9 * n} for case in ("(1, 1)", "(20, 10)") for n in (1, 2)]
    )
    panels = figures.kernel(sweeps, scaling).axes
    for panel in panels[:3]:
        assert [line.get_label() for line in panel.lines] == ["fast", "slow", "arithmetic limit"]
        assert_allclose(np.asarray(panel.lines[0].get_ydata(), float), [2.0, 11.0, 101.0])
    assert [line.get_label() for line in panels[3].lines] == ["proportional", "(1, 1)", "(20, 10)"]

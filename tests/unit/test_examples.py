"""The examples: each is loaded as a user's plug-in and does what it says."""

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
import twins
import xarray as xr
import yaml
from configs import overlaid
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from pages import texts
from places import ROOT
from systems import similar_tasks

from benchmarks import plants
from metalqr import MetaSettings, Stream, lqr, optimal, training
from metalqr.config import check_config
from metalqr.config.folders import relative_to
from metalqr.config.problems import SettingsError
from metalqr.config.registries import estimators, families, methods, tables, update_rules
from metalqr.config.registry import load_plugins
from metalqr.estimators.estimator import Array, Memory
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.estimators.one_point import OnePoint
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.user import SimulatedTasks
from metalqr.simulation.user.family import simulated_tasks
from metalqr.systems.family import FamilyError
from metalqr.training import History, Observer, Status
from metalqr.training.saved_state import SavedState

EXAMPLES = ROOT / "examples"
TASKS = similar_tasks(seed=1, count=2, state_dim=2, action_dim=1)
K0 = np.array([[0.1, -0.05]])
COMMON: dict[str, Any] = {
    "learning_rate": 1.0e-4,
    "adaptation_rate": 1.0e-4,
    "perturbations": 5,
    "inner_perturbations": 4,
    "smoothing_radius": 0.1,
    "rollout_length": 7,
    "iterations": 6,
}


def with_common(**others: Any) -> MetaSettings:
    return MetaSettings(**{**COMMON, **others})


@pytest.fixture(autouse=True)
def plugins(forgotten: None) -> None:
    simulators = {EXAMPLES / "own_simulator.py", EXAMPLES / "own_step.py"}
    load_plugins(sorted(set(EXAMPLES.glob("own_*.py")) - simulators), EXAMPLES)


def of_docstring(name: str, case: str, folder: Path) -> tuple[Any, Any, MetaSettings]:
    """The simulated tasks of the config in an example's docstring, its case, and its settings."""
    path = EXAMPLES / name
    shutil.copy(path, folder)
    text = textwrap.dedent(re.findall(r"::?\n\n((?:    .*\n|\n)+)", path.read_text())[0])
    with relative_to(folder):
        checked = check_config(overlaid(text, f"only_experiments: [{case}]"), folder)
        return simulated_tasks(checked.cases[case].family), checked.cases[case], checked.own_settings[case]


class StopAfterEach(Observer):
    def stops(self, state: Callable[[], History]) -> bool:
        return True


@pytest.mark.slow
def test_baseline_changes_no_mean_and_lowers_the_variance() -> None:
    """At the second iteration, on a circle: the exact expectation by the trapezoidal rule. 4.5 sigma."""
    settings = with_common(estimator="running_baseline", perturbations=2000)
    plain, with_baseline = [], []
    for seed in range(40):
        first = estimate_mean_gradient(TASKS, K0, settings, Stream(seed))
        second = estimate_mean_gradient(TASKS, K0, settings, Stream(seed, 1), first.memory)
        plain.append(first.gradient)
        with_baseline.append(second.gradient)
    smoothed = twins.circle_average(partial(lqr.finite_horizon_cost, TASKS, length=7), K0, 0.1)
    twins.within(np.array(with_baseline), np.tensordot(TASKS.p, smoothed, 1))
    # Without it the variance has the square of the cost beside its variance, which is about as large here.
    assert np.var(with_baseline, axis=0).sum() < 0.75 * np.var(plain, axis=0).sum()


def test_memory_of_an_estimator_survives_a_run_in_parts(tmp_path: Path) -> None:
    """Every part goes through the file of the saved state, as after a kill."""
    settings = with_common(estimator="running_baseline", method="mean_cost", baseline_share=0.5)
    whole = training.train(TASKS, K0, settings, 3)
    assert whole.status is Status.COMPLETED
    assert whole.memory["baseline"].shape == (2,)
    saved, parts = SavedState(tmp_path / "run.nc", TASKS, K0, settings, 3, {}), 0
    history = training.train(TASKS, K0, settings, 3, [StopAfterEach()])
    while history.status is Status.INTERRUPTED:
        saved.save(history)
        history = training.train(TASKS, K0, settings, 3, [StopAfterEach()], resume=saved.load())
        parts += 1
    assert parts == 5
    assert_array_equal(history.K, whole.K)
    assert_array_equal(history.memory["baseline"], whole.memory["baseline"])
    without = training.train(TASKS, K0, settings.replace(baseline_share=0.9), 3)
    assert not np.array_equal(without.K, whole.K)


def test_perturbations_that_no_compiled_rollouts_draw_count_as_memory() -> None:
    settings = with_common()
    work = methods.get("zeroth_order_maml").work
    assert work(2, settings).inner == 0
    assert work(2, settings.replace(estimator="running_baseline")).inner == 2 * 5 * 4


def test_an_estimator_with_coefficients_of_its_own_has_them_in_both_layers() -> None:
    """Also where it leaves the weights as they are."""

    class Doubled(OnePoint):
        def coefficients(self, values: Array, memory: Memory, tasks: NDArray[np.int64]) -> tuple[Array, Memory]:
            return 2.0 * values[:, 0], memory

    class Plain(OnePoint):
        weights = None

        def coefficients(self, values: Array, memory: Memory, tasks: NDArray[np.int64]) -> tuple[Array, Memory]:
            return values[:, 0], memory

    simulator, every = LQRSimulator(TASKS), np.arange(2)
    gains, settings = np.broadcast_to(K0, (2, 1, 1, 2)), with_common()
    one, two = (each(settings).gradients(simulator, gains, Stream(1), every) for each in (Plain, Doubled))
    assert_allclose(two, 2.0 * one, rtol=1e-9)


def test_signs_have_the_moments_of_directions_and_are_used_in_both_layers() -> None:
    """Every entry is +-r / sqrt(dk); the estimate is a sum over such matrices, other than that over the sphere."""
    settings = with_common(directions="signs").replace(estimator="two_point")
    plugin: Any = settings.outer.estimator(settings).directions
    drawn = plugin.from_normals(np.random.default_rng(0).normal(size=(3, 5, 2, 4)))
    assert_allclose(np.abs(drawn), 1 / np.sqrt(8))
    found = estimate_mean_gradient(TASKS, K0, settings, Stream(1)).gradient
    assert not np.allclose(
        found, estimate_mean_gradient(TASKS, K0, settings.replace(directions="sphere"), Stream(1))[0]
    )
    simulator = LQRSimulator(TASKS)
    estimates = settings.inner.estimator(settings, settings.inner._replace(perturbations=1))
    inner = estimates.gradients(simulator, np.zeros((2, 1, *K0.shape)), Stream(1), np.arange(2))
    assert_allclose(np.abs(inner[..., :1, :1]) - np.abs(inner), 0.0, atol=1e-12 * np.abs(inner).max())


def test_no_step_of_the_clipped_method_is_too_long() -> None:
    settings = with_common(method="clipped_mean_cost").replace(learning_rate=1.0e-2, longest_step=1.0e-3)
    history = training.train(TASKS, K0, settings, 3)
    steps = np.linalg.norm(np.diff(history.K, axis=0), axis=(1, 2))
    assert_allclose(steps, 1.0e-3, rtol=1e-9)
    mild = settings.replace(learning_rate=1.0e-6)
    plain = with_common(method="mean_cost").replace(learning_rate=1.0e-6)
    assert_array_equal(training.train(TASKS, K0, mild, 3).K, training.train(TASKS, K0, plain, 3).K)


def test_adagrad_step_by_step_and_in_parts(tmp_path: Path) -> None:
    """Its memory is beside that of an estimator, and every part goes through the file of the saved state."""
    settings = with_common(method="mean_cost", estimator="running_baseline", update_rule="adagrad").replace(
        learning_rate=1.0e-3, adagrad_offset=0.5
    )
    K, squares = K0, np.zeros((1, 2))
    memory: Memory = {}
    for n in range(6):
        found = estimate_mean_gradient(TASKS, K, settings, Stream(3, n), memory)
        squares, memory = squares + found.gradient**2, found.memory
        K = K - 1.0e-3 * found.gradient / (np.sqrt(squares) + 0.5)
    whole = training.train(TASKS, K0, settings, 3)
    assert_allclose(whole.K[-1], K, rtol=1e-12)
    assert_array_equal(whole.memory["update_rule.squares"], squares)
    assert_array_equal(whole.memory["baseline"], memory["baseline"])
    saved, history = SavedState(tmp_path / "run.nc", TASKS, K0, settings, 3, {}), None
    while history is None or history.status is Status.INTERRUPTED:
        history = training.train(TASKS, K0, settings, 3, [StopAfterEach()], resume=saved.load())
        saved.save(history)
    assert_array_equal(history.K, whole.K)
    assert update_rules.get("adagrad").source == EXAMPLES / "own_update_rule.py"
    assert update_rules.get("adagrad").source in [plugin.source for plugin in settings.plugins()]


def test_the_clipped_method_takes_no_update_rule_that_would_undo_its_bound() -> None:
    with pytest.raises(
        SettingsError, match="update_rule: adagrad cannot change the steps of method: clipped_mean_cost"
    ):
        with_common(method="clipped_mean_cost", update_rule="adagrad")


def test_own_settings_are_checked_and_identify_a_run() -> None:
    settings = with_common(estimator="running_baseline")
    assert settings.changed().keys() == {*COMMON, "estimator"}
    assert settings.replace(baseline_share=0.5).changed()["baseline_share"] == 0.5
    with pytest.raises(SettingsError, match=r"baseline_share: 1\.0 is not < 1"):
        settings.replace(baseline_share=1.0)
    with pytest.raises(SettingsError, match="baseline_share: a setting of estimator: running_baseline, not of two_poi"):
        with_common(estimator="two_point", baseline_share=0.5)
    assert estimators.names()[-2:] == ("two_point", "running_baseline")


def test_oscillators_are_tasks_that_the_zero_gain_stabilises() -> None:
    family: Any = families.get("oscillators")
    tasks = family(family.Settings(count=3)).tasks(2, 1, seed=7)
    assert tasks.count == 3
    assert lqr.is_stabilising(tasks, np.zeros((1, 2))).all()
    stiffness = -tasks.A[:, 1, 0] / 0.2
    assert np.all((stiffness > 0.5) & (stiffness < 1.5))
    assert len(set(stiffness)) == 3
    with pytest.raises(FamilyError, match="oscillators have d = 2 and k = 1, not 3 and 1; correct the case"):
        family(family.Settings()).tasks(3, 1, seed=0)
    with pytest.raises(SettingsError, match=r"stiffness_high: 2.5 is not < 2"):
        family.Settings(stiffness_high=2.5)


def test_best_run_of_a_table() -> None:
    table = tables.get("best_runs")()
    frame = table.make({"figure1": synthetic.figure1_dataset(iterations=80, time_constant=20.0)})
    assert frame["case"].tolist() == ["d1k1", "d2k2", "d20k10"]
    assert (frame["best"] < 0.1).all()


@pytest.mark.slow
def test_a_function_for_one_step_trains_by_the_config_of_its_docstring(tmp_path: Path) -> None:
    """Without a controller the oscillator swings by itself, to about 2 on either side."""
    tasks, case, settings = of_docstring("own_step.py", "oscillator", tmp_path)
    assert case.initial_gain == "zero"
    history = training.train(tasks, np.zeros((1, 2)), settings, 0)
    assert history.status is Status.COMPLETED
    assert (history.cost[0] > 3.0).all()
    assert history.cost[-1].mean() < 0.25 * history.cost[0].mean()


@pytest.mark.slow  # finds a first gain and trains, without a model
@pytest.mark.parametrize("case", ["pendulum", "cart_pole"])
def test_plants_trained_from_their_simulators_alone_reach_the_linear_design(case: str) -> None:
    """Within 5 % of its cost, or better, on the same simulator; beyond 4.5 standard errors."""
    found = plants.compare(case, seed=0)
    assert found.last + 4.5 * found.error < 1.05
    assert found.first < 1.5


@pytest.mark.slow
def test_all_examples_together_make_a_config_that_can_be_used(tmp_path: Path) -> None:
    """The config of docs/extending.md and those of the examples; in a process of its own, which registers them anew."""
    (content,) = texts("docs/extending.md", "yaml")
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine.yaml").write_text(content.replace("[own_", "[own_family.py, own_table.py, own_"))
    family = re.search(r"    cases:\n(?:     .*\n)+", (EXAMPLES / "own_family.py").read_text(encoding="utf-8"))
    assert family
    (tmp_path / "cases.yaml").write_text(textwrap.dedent(family[0]))
    files = ["tests/workflow/tiny.yaml", str(tmp_path / "mine.yaml"), str(tmp_path / "cases.yaml")]
    command = [sys.executable, "-c", "import sys; from metalqr.cli import main; sys.exit(main())", "check", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("The config can be used.\n"), done.stderr


@pytest.mark.slow
def test_a_plugin_may_be_defined_in_a_notebook() -> None:
    """There no file is behind the module."""
    code = (
        "from metalqr.config.registries import estimators\n"
        "from metalqr.estimators.one_point import OnePoint\n"
        "for _ in range(2):\n"
        "    @estimators.register('mine')\n"
        "    class Mine(OnePoint): pass\n"
        "print(estimators.names())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('one_point', 'one_point_baseline', 'residual', 'two_point', 'mine')"


@pytest.mark.slow
def test_a_simulator_of_one_s_own_trains_by_the_config_of_its_docstring(tmp_path: Path) -> None:
    """The gain of the tanks ends near the best of a grid, as far as the evaluation rollouts tell."""
    tasks, case, settings = of_docstring("own_simulator.py", "tank", tmp_path)
    history = training.train(tasks, case.initial_gain, settings, 0)
    assert history.status is Status.COMPLETED
    grid = tasks.measured(np.linspace(0.2, 2.0, 19).reshape(-1, 1, 1)).cost.mean(axis=1)
    assert history.cost[-1].mean() < 1.02 * grid.min()
    assert history.cost[0].mean() > 1.2 * grid.min()


@pytest.mark.slow
def test_a_plant_that_is_asked_and_told_by_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped once on the way; it ends at the gain of a run in one process, near the best one for linear carts."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example: Any = __import__("ask_tell")
    told, calls = example.main, []

    def stopped(arguments: list[str]) -> int:
        calls.append(arguments[0])
        if len(calls) == 14:
            raise KeyboardInterrupt
        return int(told(arguments))

    monkeypatch.setattr(example, "main", stopped)
    with pytest.raises(KeyboardInterrupt):
        example.exchange(tmp_path)
    example.exchange(tmp_path)
    case = yaml.safe_load(example.CONFIG)["cases"]["carts"]
    parameters = case["simulator"]["tasks"]
    assert [each["mass"] for each in parameters] == example.MASSES
    simulated = SimulatedTasks(example.cost, parameters, state_dim=2, action_dim=1, evaluation_rollouts=0)
    expected = training.train(simulated, case["initial_gain"], MetaSettings(**case["algorithm"]), 0)
    with xr.open_dataset(tmp_path / "state.nc") as state:
        found = state["K"].values
    assert_array_equal(found, expected.K)
    inverse, one = 1.0 / np.array(example.MASSES), np.tile(np.eye(2), (2, 1, 1))
    B = np.stack([np.zeros(2), 0.2 * inverse], axis=1)[:, :, np.newaxis]
    A = np.tile([[1.0, 0.2], [0.0, 1.0]], (2, 1, 1))
    carts = lqr.LQRTasks(A=A, B=B, Q=one, R=np.full((2, 1, 1), 0.1), Psi=0.01 * one)
    first, last = (lqr.cost(carts, K).mean() for K in (found[0], found[-1]))
    best = optimal.shared_gain(carts).objective
    assert first > 5.0 * best
    assert last < 1.2 * best

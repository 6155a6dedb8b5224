"""What arXiv 2401.14534 prints and runs: the entries of docs/errata.md, and its numbers that need no run."""

from typing import Any

import numpy as np
import pytest
import yaml
from places import ROOT

from metalqr import LQRTasks, MetaSettings, lqr, meta, systems
from metalqr.config.registries import families, figures, methods
from metalqr.config.registry import load_plugins
from metalqr.lqr import FloatArray
from metalqr.simulation.streams import Stream
from metalqr.training.method import Problem, State

FOLDER = ROOT / "config" / "papers"
CASES = yaml.safe_load((FOLDER / "toso2024.yaml").read_text(encoding="utf-8"))["cases"]
K0 = np.array(CASES["toso2024_low"]["initial_gain"])
STEP = CASES["toso2024_low"]["algorithm"]["learning_rate"]


@pytest.fixture(autouse=True)
def plugins(forgotten: None) -> None:
    load_plugins([FOLDER / "toso2024.py"], FOLDER)


def tasks_of(case: str, **changes: Any) -> LQRTasks:
    plugin = families.get("perturbed")
    block = CASES[case]["tasks"]
    settings = {name: value for name, value in block.items() if name != "family"} | changes
    return plugin(plugin.Settings(**settings)).tasks(4, 2, CASES[case]["seed"])


def hessian(tasks: LQRTasks) -> FloatArray:
    """Of the first task, as a matrix of the entries of a gain."""
    units = np.eye(8).reshape(8, 2, 4)
    return np.array([lqr.hessian_vector_product(tasks, K0, unit)[0].ravel() for unit in units])


def test_printed_initial_gain_stabilises_the_codes_system_and_not_the_printed_one() -> None:
    radius = {
        form: float(np.abs(np.linalg.eigvals(system.A - system.B @ K0)).max())
        for form in ("code", "unstable")
        for system in [systems.named("boeing747", form=form)]
    }
    assert radius["code"] == pytest.approx(0.9502, abs=1e-4)
    assert radius["unstable"] == pytest.approx(3.073, abs=1e-3)


def test_gap_at_the_initial_gain_is_the_reported_one() -> None:
    """To all digits that their logs have, so system, gain, cost and initial state are theirs."""
    module = __import__(figures.get("toso2024").__module__)
    assert float(module.gap_on_task_one(K0)) == pytest.approx(19.83157578520511, rel=1e-9)
    assert {log.gaps[0] for log in module.LOGS} == {19.8316}


def test_printed_hessian_has_no_curvature() -> None:
    """On a cost with no curvature across K but one direction, its mean is a multiple of I all the same.

    Exact over the sphere for a quadratic cost x'Hx/2 with the entries x of U: the fourth moments of the sphere.
    """
    k, d, r = 2, 4, 0.01
    n = k * d
    H = np.diag([*[0.0] * 7, 1.0])  # curvature in the last entry of the second row alone
    # E[x_a x_b x_c x_e] = r^4 / (n (n + 2)) (three pairings), E[x_a x_b] = r^2 / n.
    moment = r**4 / (n * (n + 2))
    fourth = 0.5 * moment * (np.trace(H) * np.eye(n) + 2.0 * H)  # E[c x x'] with c = x'Hx/2
    product = np.einsum("kdld->kl", fourth.reshape(k, d, k, d))  # E[c U U']
    mean = k**2 / r**2 * (product - 0.5 * r**2 / n * np.trace(H) * np.eye(k))
    np.testing.assert_allclose(mean, -k / (2 * d) * np.trace(H) * np.eye(k), rtol=1e-3, atol=1e-4)
    assert abs(mean[0, 0] / mean[1, 1] - 1.0) < 1e-3, "the row without curvature has the same entry"


def test_reported_step_is_too_large_for_the_method_that_is_printed() -> None:
    """Along the true meta-gradient from K_0 it raises the cost of every task by a fifth; so does a quarter of it."""
    tasks = tasks_of("toso2024_low")
    assert STEP * np.linalg.eigvalsh(hessian(tasks)).max() == pytest.approx(7.2, abs=0.1)
    before = lqr.cost(tasks, K0)
    for step in (STEP, STEP / 4):
        after = lqr.cost(tasks, K0 - step * meta.gradient(tasks, K0, step))
        assert (after > 1.2 * before).all()
    smallest = CASES["toso2024_high"]["algorithm"]["learning_rate"]
    assert (lqr.cost(tasks, K0 - smallest * meta.gradient(tasks, K0, smallest)) < before).all()
    first_order = np.mean(lqr.gradient(tasks, K0 - STEP * lqr.gradient(tasks, K0)), axis=0)
    assert (lqr.cost(tasks, K0 - STEP * first_order) < before).all()


def test_reported_heterogeneity_moves_the_best_gain_less_than_the_runs_end_from_it() -> None:
    """The gap that the heterogeneity leaves to any one gain is a hundredth of the reported gaps."""
    from metalqr import optimal

    module = __import__(figures.get("toso2024").__module__)
    for case, reported in (("toso2024_low", 0.1196), ("toso2024_high", 0.8565)):
        shared = optimal.shared_gain(tasks_of(case)).K
        assert module.gap_on_task_one(shared) < 0.01 * reported


def test_one_initial_state_excites_few_directions_of_a_gain() -> None:
    """With x_0 nearly fixed, the curvatures at the optimum are 80 times as far apart as with x_0 ~ N(0, I/4)."""
    from metalqr import optimal

    spans = []
    for case in ("toso2024_low", "toso2024_isotropic"):
        tasks = tasks_of(case, count=1)
        gain = optimal.optimal_gains(tasks).K[0]
        units = np.eye(8).reshape(8, 2, 4)
        matrix = [lqr.hessian_vector_product(tasks, gain, unit)[0].ravel() for unit in units]
        values = np.linalg.eigvalsh(np.array(matrix))
        spans.append(values.max() / max(values.min(), 1e-12 * values.max()))
    assert spans[0] > 50 * spans[1]


def test_ten_steps_from_the_random_gain_reach_the_trained_one() -> None:
    """Exact steps at the size that the code has for it, from its gain, on task 1."""
    module = __import__(figures.get("toso2024").__module__)
    gain = np.array(
        [[0.44341518, -1.58018724, 0.39255762, 0.3951213], [0.91843109, 0.5854466, -0.09645058, -0.55326515]]
    )
    task = tasks_of("toso2024_middle").subset([0])
    for _ in range(10):
        gain = gain - 3.5e-4 * lqr.gradient(task, gain)[0]
    (trained,) = (log.gaps[200] for log in module.LOGS if log.place.startswith("Convergence"))
    assert module.gap_on_task_one(gain) < trained


def test_method_of_the_code_by_hand() -> None:
    """One direction, from exact costs: nearly no variance is left in x_0 where its deviation is 1e-9."""
    around = CASES["toso2024_low"]["tasks"]["around"] | {"noise_variance": 1.0e-18}
    tasks = tasks_of("toso2024_low", around=around, count=2)
    shared = CASES["toso2024_low"]["algorithm"] | {"perturbations": 3, "inner_perturbations": 3, "iterations": 1}
    method = methods.get("toso2024_code")(Problem(tasks, K0, MetaSettings(**shared)))
    drawn: dict[str, FloatArray] = {}
    plugin = __import__(methods.get("toso2024_code").__module__).directions.get("sphere")
    original = plugin.draw
    try:
        plugin.draw = lambda *arguments: drawn.setdefault("U", original(*arguments))
        found = method.direction(State(K0), Stream(3)).gradient
    finally:
        plugin.draw = original
    (U,) = drawn["U"]
    r, eta = 0.01, STEP

    def cost(task: int, gain: FloatArray) -> float:
        return float(lqr.finite_horizon_cost(tasks.subset([task]), gain, 500)[0])

    def gradient(task: int, gain: FloatArray) -> FloatArray:
        return np.asarray(sum(8 / (6 * r**2) * (cost(task, gain + V) - cost(task, gain - V)) * V for V in U))

    expected = np.zeros((2, 4))
    for task in range(2):
        outer = gradient(task, K0 - eta * gradient(task, K0))
        estimate = sum(4 / (3 * r**2) * (cost(task, K0 + V) - cost(task, K0)) * (V @ V.T - np.eye(2)) for V in U)
        expected += (np.eye(2) - eta * np.asarray(estimate)) @ outer / 2
    np.testing.assert_allclose(found, expected, rtol=1e-5)

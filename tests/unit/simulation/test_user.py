"""A user's own simulator: what it may be, what training gets from it, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twins
from bad_input import PAGE, rows, unescaped
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from systems import similar_tasks

from metalqr import MetaSettings, Stream, lqr
from metalqr.estimators.meta import Estimation
from metalqr.simulation.streams import Purpose
from metalqr.simulation.user import SimulatedTasks, SimulatorError, UserSimulator
from metalqr.simulation.user.objects import found, made
from metalqr.simulation.user.simulator import rollout_seeds
from metalqr.simulation.user.tasks import evaluation_seeds
from metalqr.simulation.user.worker import Worker
from metalqr.training import History, Observer, Status, train
from metalqr.training.saved_state import SavedState

Array = NDArray[np.float64]
TASKS = similar_tasks(seed=1, count=2, state_dim=2, action_dim=1)
K0 = np.array([[0.1, -0.05]])


class Linear:
    """Rollouts of one linear task, in NumPy."""

    def __init__(self, task: int) -> None:
        self.A, self.B, self.Q, self.R = (getattr(TASKS, name)[task] for name in "ABQR")
        self.noise, self.start = (np.linalg.cholesky(each[task]) for each in (TASKS.Psi, TASKS.Sigma0))

    def costs(self, gains: Array, length: int, seeds: NDArray[np.int64]) -> Array:
        normals = np.stack([np.random.default_rng(seed).normal(size=(length + 1, 2)) for seed in seeds], axis=1)
        x, total = normals[0] @ self.start.T, np.zeros(len(gains))
        for noise in normals[1:]:
            u = -np.einsum("nkd,nd->nk", gains, x)
            x = x @ self.A.T + u @ self.B.T + noise @ self.noise.T
            u = -np.einsum("nkd,nd->nk", gains, x)
            total += np.einsum("nd,de,ne->n", x, self.Q, x) + np.einsum("nk,kl,nl->n", u, self.R, u)
        return total / length


class Scalar:
    """x' = pole x + u, from x = 1, without noise: one rollout at a time."""

    def __init__(self, pole: float = 0.5) -> None:
        self.pole = pole

    def cost(self, gain: Array, length: int, seed: int) -> float:
        x, total = 1.0, 0.0
        for _ in range(length):
            total, x = total + x * x, (self.pole - gain[0, 0]) * x
        return total / length


def scalar_cost(gain: Array, length: int, seed: int, pole: float = 0.5) -> float:
    return Scalar(pole).cost(gain, length, seed)


def scalar_costs(gains: Array, length: int, seeds: NDArray[np.int64], pole: float = 0.5) -> list[float]:
    return [scalar_cost(gain, length, int(seed), pole) for gain, seed in zip(gains, seeds, strict=True)]


def linear(**options: Any) -> SimulatedTasks:
    return SimulatedTasks(Linear, [{"task": 0}, {"task": 1}], state_dim=2, action_dim=1, **options)


def scalar(thing: Any = Scalar, **options: Any) -> SimulatedTasks:
    return SimulatedTasks(thing, [{"pole": 0.5}, {"pole": 0.7}], state_dim=1, action_dim=1, **options)


@pytest.mark.parametrize("thing", [Scalar, scalar_cost, scalar_costs, lambda pole: Scalar(pole)])
def test_what_a_simulator_may_be(thing: Any) -> None:
    gains = np.array([[[0.1]], [[0.2]], [[-0.3]]])
    expected = [sum((0.7 - gain) ** (2 * step) for step in range(5)) / 5 for gain in gains.ravel()]
    assert_allclose(scalar(thing).costs(1, gains, 5, np.arange(3)), expected, rtol=1e-14)


NOISY = """
import numpy as np

def costs(gains, length, seeds, pole):
    print("what a simulator prints disturbs nothing")
    x = np.array([np.random.default_rng(seed).normal() for seed in seeds])
    return [(pole - gain[0, 0]) ** 2 * start for gain, start in zip(gains, x)]
"""


@pytest.mark.slow
def test_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(NOISY)
    gains, seeds = np.linspace(-0.2, 0.2, 6).reshape(6, 1, 1), np.arange(6)
    inside, outside = (scalar(f"{tmp_path / 'my.py'}:costs", timeout=timeout) for timeout in (None, 30.0))
    for task in (0, 1):
        expected = inside.costs(task, gains, 7, seeds)
        assert len(np.unique(expected)) == 6
        assert_array_equal(outside.costs(task, gains, 7, seeds), expected)


def test_seeds_are_those_of_the_address() -> None:
    seeds = [
        rollout_seeds(stream, purpose, (2, 3))
        for stream in (Stream(5), Stream(5, 1), Stream(6))
        for purpose in (Purpose.ROLLOUT, Purpose.INNER_ROLLOUT)
    ]
    assert len(np.unique(seeds)) == 36
    assert_array_equal(rollout_seeds(Stream(5), Purpose.ROLLOUT, (3, 3))[:2].ravel()[:6], seeds[0].ravel())
    # Of earlier versions, too: the numbers of a run follow from them.
    assert seeds[0][0].tolist() == [156905178091149, 6362319096111261, 4511626801463971]
    assert not np.isin(evaluation_seeds(100), seeds).any()


def test_gains_that_share_noise_get_the_same_seeds() -> None:
    simulator, gains = UserSimulator(linear()), np.broadcast_to(K0, (2, 6, 1, 2))
    shared = simulator.costs(gains, 5, Stream(1), sharing=2)
    assert_array_equal(shared[:, :3], shared[:, 3:])
    assert len(np.unique(shared)) == 6
    assert simulator.simulated_steps == 2 * 6 * 5
    apart = simulator.costs(gains, 5, Stream(1))
    assert len(np.unique(apart)) == 12
    # Slots of the same task have seeds of their own.
    assert len(np.unique(simulator.costs(gains, 5, Stream(1), tasks=np.array([1, 1])))) == 12


def test_measured_costs_are_the_exact_ones() -> None:
    """Within 4 standard errors as the simulator states them; the chance to fail is below 2e-4."""
    tasks = linear(evaluation_rollouts=400, evaluation_length=6)
    cost, error = tasks.measured(K0[np.newaxis])
    exact = lqr.finite_horizon_cost(TASKS, K0, 6)
    assert np.all(np.abs(cost[0] - exact) < 4.0 * error[0])
    assert np.all(error[0] < 0.1 * exact)
    per_task = tasks.measured(np.stack([[K0, 2.0 * K0]]))
    assert_array_equal(per_task.cost[0, 0], cost[0, 0])
    assert_array_equal(per_task.cost[0, 1], tasks.measured(2.0 * K0[np.newaxis]).cost[0, 1])


@pytest.mark.slow
def test_estimates_have_the_mean_that_the_costs_imply() -> None:
    """The exact gradient averaged over a circle, by the trapezoidal rule. 4.5 sigma."""
    settings = MetaSettings(
        learning_rate=1.0, adaptation_rate=0.0, estimator="two_point", common_noise=True, perturbations=4,
        smoothing_radius=0.1, rollout_length=6,
    )  # fmt: skip
    estimation = Estimation(linear(), settings)  # type: ignore[arg-type]
    found = np.array([estimation.mean_gradient(K0, Stream(seed)).gradient for seed in range(300)])
    exact = twins.circle_average(lambda K: lqr.finite_horizon_cost(TASKS, K, 6), K0, 0.1)
    twins.within(found, np.tensordot(TASKS.p, exact, 1))


SETTINGS = MetaSettings(
    learning_rate=0.02, adaptation_rate=0.01, estimator="two_point", common_noise=True, perturbations=4,
    inner_perturbations=2, rollout_length=10, iterations=6, update_rule="momentum",
)  # fmt: skip


def test_a_run_has_measured_costs_and_the_same_numbers_again() -> None:
    tasks = linear(evaluation_rollouts=8, evaluation_length=20)
    history = train(tasks, K0, SETTINGS, 3)
    assert history.status is Status.COMPLETED
    # Eight policies for each task, each after four rollouts of its adaptation; the evaluation does not count.
    assert history.rollout_steps[-1] == 6 * 2 * 8 * (4 + 1) * 10
    measured = tasks.measured(history.K)
    assert_array_equal(history.cost, measured.cost)
    assert_array_equal(history.cost_error, measured.error)
    again = train(linear(evaluation_rollouts=8, evaluation_length=20), K0, SETTINGS, 3)
    assert_array_equal(again.K, history.K)


@pytest.mark.slow
def test_a_run_goes_on_from_its_saved_state(tmp_path: Path) -> None:
    class StopAfterEach(Observer):
        def stops(self, state: Callable[[], History]) -> bool:
            return True

    tasks = linear(evaluation_rollouts=4, evaluation_length=20)
    whole = train(tasks, K0, SETTINGS, 3)
    saved = SavedState(tmp_path / "run.nc", tasks, K0, SETTINGS, 3, {})
    history = train(tasks, K0, SETTINGS, 3, [StopAfterEach()])
    while history.status is Status.INTERRUPTED:
        saved.save(history)
        history = train(tasks, K0, SETTINGS, 3, [StopAfterEach()], resume=saved.load())
    for name in ("K", "cost", "cost_error", "rollout_steps"):
        assert_array_equal(getattr(history, name), getattr(whole, name))
    other = SimulatedTasks(Linear, [{"task": 0}, {"task": 0}], state_dim=2, action_dim=1)
    saved.save(train(tasks, K0, SETTINGS, 3, [StopAfterEach()]))
    assert SavedState(tmp_path / "run.nc", other, K0, SETTINGS, 3, {}).load() is None


def test_a_lost_rollout_ends_a_run_unless_it_has_a_cost() -> None:
    """The cost is infinite outside of the interval around zero that a large step leaves."""

    def costs(gains: Array, length: int, seeds: NDArray[np.int64]) -> Array:
        K = gains[:, 0, 0]
        return np.where(np.abs(K) < 0.3, (K - 1.0) ** 2, np.inf)

    settings = MetaSettings(
        learning_rate=0.5, adaptation_rate=0.0, method="mean_cost", estimator="two_point", perturbations=2,
        smoothing_radius=0.05, rollout_length=1, iterations=5,
    )  # fmt: skip
    lost = train(SimulatedTasks(costs, [{}], state_dim=1, action_dim=1), [[0.1]], settings, 0)
    assert lost.status is Status.DIVERGED
    assert np.isinf(lost.cost[-1]).all()
    priced = SimulatedTasks(costs, [{}], state_dim=1, action_dim=1, unstable_cost=9.0)
    history = train(priced, [[0.1]], settings, 0)
    # All rollouts then cost the same, so that the estimate is zero, and they are counted.
    assert history.status is Status.TOLERANCE
    assert history.cost[-1] == 9.0
    assert history.unstable_perturbations[-1] == 4


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"method": "exact_maml"}, "method"),
        ({"update_rule": "certified"}, "update_rule"),
        ({"precision": "float32", "smoothing_radius": 0.1}, "precision"),
    ],
)
def test_settings_that_need_the_model_are_refused(change: dict[str, Any], name: str) -> None:
    settings = MetaSettings(learning_rate=0.1, adaptation_rate=0.0, **change)
    with pytest.raises(ValueError, match=f"^{name}: "):
        train(scalar(), [[0.1]], settings, 0)


def test_common_noise_needs_a_simulator_that_replays_it(caplog: pytest.LogCaptureFixture) -> None:
    generator = np.random.default_rng(0)

    def costs(gains: Array, length: int, seeds: NDArray[np.int64]) -> Array:
        return generator.normal(1.0, 0.1, size=len(gains))

    tasks = SimulatedTasks(costs, [{}], state_dim=1, action_dim=1)
    settings = MetaSettings(
        learning_rate=1e-3, adaptation_rate=0.0, estimator="two_point", common_noise=True, iterations=1, perturbations=2
    )
    plain = settings.replace(common_noise=False)
    assert train(tasks, [[0.1]], plain, 0).status is Status.COMPLETED
    assert "it does not replay its noise" in caplog.text
    with pytest.raises(ValueError, match="common_noise: true needs a simulator that replays its noise"):
        train(tasks, [[0.1]], settings.replace(adaptation_rate=0.1), 0)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "message"), rows("In a simulator of your own"))
def test_bad_simulators(code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_bytes(b"import numpy as np\n\n" + unescaped(code))
    options: dict[str, Any] = {"timeout": 1.0} if "timeout" in message else {}
    tasks = SimulatedTasks(f"{tmp_path}/my.py:costs", [{"pole": 0.5}], state_dim=1, action_dim=1, **options)
    settings = MetaSettings(
        learning_rate=0.1,
        adaptation_rate=0.0,
        method="mean_cost",
        estimator="two_point",
        common_noise=True,
        iterations=1,
    )
    with pytest.raises(SimulatorError) as caught:
        train(tasks, [[0.1]], settings, 0)
    assert str(caught.value) == message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("time.sleep(600.0)", "^it did not answer within timeout: 1 s"),
        ("os._exit(3)", "^its process ended with exit status 3"),
        ("os.kill(os.getpid(), 9)", "^its process ended with signal 9"),
    ],
)
def test_a_worker_that_fails_is_gone(body: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(f"import os, time\n\ndef costs(gains, length, seeds):\n    {body}\n")
    worker = Worker((f"{tmp_path / 'my.py'}", "costs", True), {}, 1.0 if "sleep" in body else 60.0)
    with pytest.raises(SimulatorError, match=message):
        worker(np.zeros((1, 1, 1)), 1, np.arange(1))
    assert worker._process is None


def test_what_cannot_be_pickled_is_refused_where_a_process_needs_it() -> None:
    with pytest.raises(SimulatorError, match="cannot be pickled for the process that timeout needs") as caught:
        scalar(lambda gains, length, seeds: np.zeros(len(gains)), timeout=1.0).measured(np.zeros((1, 1, 1)))
    message = re.sub(r"needs \(.*\); define", "needs (...); define", str(caught.value))
    assert f"`{message}`" in " ".join(PAGE.read_text().split())


def test_a_module_is_found_by_its_name() -> None:
    assert found("metalqr.simulation.user.tasks", "SimulatedTasks") is SimulatedTasks
    with pytest.raises(SimulatorError, match="no_such_package, which is not installed here; install it"):
        found("no_such_package.plant", "Plant")
    with pytest.raises(SimulatorError, match="there is no class or function 'Plants'"):
        found("metalqr.simulation.user.errors", "Plants")
    with pytest.raises(SimulatorError, match="it has no method costs"):
        made(SimulatorError, {})

"""The mean of the last gains: over which it is, however a run ends, and its way through a file."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_array_equal
from systems import similar_tasks

from metalqr import MetaSettings, Stream, lqr, meta, optimal, results, training
from metalqr.lqr import LQRTasks
from metalqr.training import Direction, History, Method, Problem, State, Status
from metalqr.training.averaging import averaged_gains
from metalqr.training.loop import run

TASKS = similar_tasks(seed=2, count=3, state_dim=2, action_dim=1)
K0 = np.array([[0.02, -0.01]])
SETTINGS = MetaSettings(
    method="mean_cost",
    learning_rate=1.0e-3,
    adaptation_rate=0.0,
    perturbations=6,
    smoothing_radius=0.1,
    rollout_length=7,
    iterations=11,
    average_last=0.25,
)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1201, 0.25, 300), (1201, 0.5, 600), (12, 0.25, 3), (12, 1.0, 12), (12, 1e-9, 1), (1, 0.1, 1), (100, 0.07, 7)],
)
def test_the_last_share_is_a_number_of_gains(count: int, share: float, expected: int) -> None:
    """The last is no product of doubles: 0.07 times 100 is above 7."""
    assert averaged_gains(count, share) == expected


@pytest.mark.parametrize(("share", "first"), [(0.25, 9), (0.5, 6), (1.0, 0), (1e-6, 11)])
@pytest.mark.parametrize("method", ["mean_cost", "gradient_descent"])
def test_the_average_is_the_mean_of_the_last_gains(share: float, first: int, method: str) -> None:
    settings = SETTINGS.replace(average_last=share, method=method)
    history = meta.train(TASKS, K0, settings, 4)
    assert history.status is Status.COMPLETED
    assert history.K_average is not None
    assert_array_equal(history.K_average, np.mean(history.K[first:], axis=0))
    assert_array_equal(history.cost_average, lqr.cost(TASKS, history.K_average))
    gap = lqr.cost(TASKS, history.K_average) - optimal.optimal_gains(TASKS).cost
    assert history.ratio_average == pytest.approx(gap.sum() / history.optimal_cost.sum(), rel=1e-9)


def test_averaging_changes_nothing_else_in_a_run() -> None:
    without = meta.train(TASKS, K0, SETTINGS.replace(average_last=0.0), 4)
    assert without.K_average is None
    assert without.cost_average is None
    assert without.ratio_average is None
    averaged = meta.train(TASKS, K0, SETTINGS, 4)
    for name in ("K", "cost", "gradient_norm", "rollout_steps", "status"):
        assert_array_equal(getattr(averaged, name), getattr(without, name))


class Noisy(Method):
    """Exact descent on half the square of the gain, with normal noise: every entry is an autoregression."""

    name = "noisy"
    seed = 0

    def direction(self, state: State, stream: Stream) -> Direction:
        noise = np.random.default_rng([self.seed, stream.iteration]).standard_normal(state.K.shape)
        return Direction(state.K + noise)


def test_the_average_has_the_variance_of_the_mean_of_an_autoregression() -> None:
    """At the noise floor of a constant step, from 4 runs of 100 independent entries; 4.5 standard errors."""
    zero, one = np.zeros((1, 10, 10)), np.eye(10)[np.newaxis]
    tasks = LQRTasks(A=0.1 * one, B=zero, Q=one, R=one, Psi=one)
    settings = SETTINGS.replace(learning_rate=0.2, average_last=0.5, iterations=299)
    histories = []
    for seed in range(4):
        method = Noisy(Problem(tasks, np.zeros((10, 10)), settings))
        method.seed = seed
        histories.append(run(method, Stream(0), 299))
    a, m = 1.0 - 0.2, 150
    of_last = 0.2**2 / (1.0 - a**2)
    of_average = of_last / m * ((1.0 + a) / (1.0 - a) - 2.0 * a * (1.0 - a**m) / (m * (1.0 - a) ** 2))
    assert of_average < 0.06 * of_last
    for found, expected in (
        ([history.K[-1] for history in histories], of_last),
        ([history.K_average for history in histories], of_average),
    ):
        squares = np.square(np.array(found, dtype=float))
        assert abs(squares.mean() - expected) < 4.5 * expected * np.sqrt(2.0 / squares.size)


def test_a_run_that_meets_its_tolerance_averages_what_it_reached() -> None:
    settings = SETTINGS.replace(method="gradient_descent")
    norm = training.train(TASKS, K0, settings, 3).gradient_norm[7]
    history = training.train(TASKS, K0, settings.replace(tolerance=float(norm)), 3)
    assert (history.status, history.status_iteration) == (Status.TOLERANCE, 7)
    assert_array_equal(history.K_average, history.K[6:].mean(axis=0))  # 2 of 8 gains
    at_once = training.train(TASKS, K0, settings.replace(tolerance=1e9), 3)
    assert_array_equal(at_once.K_average, at_once.K[0])


def diverged(share: float) -> History:
    history = training.train(TASKS, K0, SETTINGS.replace(learning_rate=0.03, average_last=share, iterations=200), 3)
    assert history.status is Status.DIVERGED
    assert history.status_iteration >= 2
    assert np.isinf(history.cost[-1]).any()
    assert history.K_average is not None
    return history


def test_the_gain_outside_is_part_of_the_average_of_a_run_that_diverged() -> None:
    whole, last = diverged(1.0), diverged(1e-9)
    assert_array_equal(whole.K_average, whole.K.mean(axis=0))
    assert_array_equal(last.K_average, last.K[-1])
    assert_array_equal(last.cost_average, last.cost[-1])


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mean_cost", "gradient_descent"])
def test_the_file_of_a_run_has_the_average(method: str, tmp_path: Path) -> None:
    settings = SETTINGS.replace(method=method)
    history = training.train(TASKS, K0, settings, 4)
    dataset = history.to_dataset(settings.as_dict(), 4, case="one", perturbed_policies=18)
    results.save(tmp_path / "run.nc", dataset)
    loaded = results.load_run(tmp_path / "run.nc", "one", settings.as_dict())
    xr.testing.assert_identical(loaded, dataset)
    assert_array_equal(loaded["K_average"].values, history.K_average, strict=True)
    assert_array_equal(loaded["cost_average"].values, history.cost_average, strict=True)
    assert "task" not in loaded["K_average"].dims or method == "gradient_descent"


def test_an_average_that_stabilises_not_every_task_can_be_stored(tmp_path: Path) -> None:
    history, settings = diverged(1e-9), SETTINGS.replace(average_last=1e-9)
    dataset = history.to_dataset(settings.as_dict(), 3, case="one", perturbed_policies=18)
    results.save(tmp_path / "run.nc", dataset)
    assert np.isinf(results.load_run(tmp_path / "run.nc")["cost_average"]).any()


def test_a_run_without_an_average_has_no_variable_for_it(tmp_path: Path) -> None:
    """So the files of earlier versions, which know nothing of it, stay readable."""
    settings = SETTINGS.replace(average_last=0.0)
    dataset = training.train(TASKS, K0, settings, 4).to_dataset(
        {name: value for name, value in settings.as_dict().items() if name not in ("average_last", "update_rule")},
        4,
        case="one",
        perturbed_policies=18,
    )
    assert not {"K_average", "cost_average"} & set(dataset.variables)
    results.save(tmp_path / "run.nc", dataset)
    xr.testing.assert_identical(results.load_run(tmp_path / "run.nc", "one", settings.as_dict()), dataset)


def test_a_file_that_lacks_its_average_is_refused(tmp_path: Path) -> None:
    dataset = training.train(TASKS, K0, SETTINGS, 4).to_dataset(
        SETTINGS.as_dict(), 4, case="one", perturbed_policies=18
    )
    results.save(tmp_path / "run.nc", dataset.drop_vars("cost_average"))
    with pytest.raises(results.StorageError, match="it lacks variable cost_average, which its average_last implies; d"):
        results.load_run(tmp_path / "run.nc")
    dataset["cost_average"] = ("task", np.array([np.nan, 1.0, 1.0]))
    results.save(tmp_path / "run.nc", dataset)
    with pytest.raises(results.StorageError, match="its variable cost_average is NaN at task 0"):
        results.load_run(tmp_path / "run.nc")

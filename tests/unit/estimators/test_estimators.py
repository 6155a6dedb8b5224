"""Algorithms 1 and 2 over every kind of estimator, against the exact expectations of what they estimate."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import twins
from numpy.testing import assert_allclose, assert_array_equal
from systems import random_tasks, similar_tasks

from metalqr import estimators, lqr, meta, rollout, training
from metalqr.config.algorithm import MetaSettings
from metalqr.config.problems import SettingsError
from metalqr.config.registries import methods
from metalqr.estimators.estimator import Array, Estimator, Memory
from metalqr.estimators.meta import estimate_mean_gradient
from metalqr.estimators.residual import Residual
from metalqr.estimators.two_point import TwoPoint
from metalqr.lqr import LQRTasks
from metalqr.results.runs import Status
from metalqr.simulation.lqr_rollouts import LQRSimulator
from metalqr.simulation.streams import Purpose, Stream, perturbations
from metalqr.training.history import History
from metalqr.training.observers import Observer
from metalqr.training.saved_state import SavedState

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.02,
    perturbations=12,
    inner_perturbations=9,
    smoothing_radius=0.1,
    rollout_length=7,
)


ESTIMATORS = pytest.mark.parametrize(("estimator", "count"), [("one_point", 20_000), ("two_point", 10_000)])


def _costs(tasks: LQRTasks, length: int = SETTINGS.rollout_length) -> Callable[[Array], Array]:
    return functools.partial(lqr.finite_horizon_cost, tasks, length=length)


@ESTIMATORS
def test_algorithm_1_estimates_the_gradient_averaged_over_the_ball(estimator: str, count: int) -> None:
    """Scalar tasks, the ball an interval: E = (J(k + r) - J(k - r)) / 2r of the finite-horizon cost. 4.5 sigma."""
    tasks, gain = similar_tasks(seed=1, count=3, state_dim=1, action_dim=1), np.array([[0.1]])
    settings = SETTINGS.replace(estimator=estimator, inner_perturbations=count)
    estimates = np.array([estimators.estimate_gradient(tasks, gain, settings, Stream(s)) for s in range(40)])
    twins.within(estimates, twins.interval_average(tasks, gain, 0.1, settings.rollout_length))


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(2, 2), (4, 3)])
def test_algorithm_1_comes_near_the_gradient_for_a_small_radius(state_dim: int, action_dim: int) -> None:
    """Against the gradient of the finite-horizon cost: the bias, O(r^2), is allowed 2 % beside 4.5 sigma."""
    tasks, length = similar_tasks(seed=3, count=2, state_dim=state_dim, action_dim=action_dim), 10
    settings = SETTINGS.replace(inner_perturbations=400_000, smoothing_radius=0.05, rollout_length=length)
    gain = np.zeros((action_dim, state_dim))
    estimates = np.array([estimators.estimate_gradient(tasks, gain, settings, Stream(s)) for s in range(12)])
    exact = lqr.finite_horizon_gradient(tasks, gain, length)
    noise = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    allowed = 0.02 * np.linalg.norm(exact, axis=(1, 2))[:, None, None] + 4.5 * noise
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < allowed)
    assert np.all(allowed < 0.2 * np.linalg.norm(exact))


@pytest.mark.slow
def test_algorithm_2_estimates_the_gradient_of_the_smoothed_meta_objective() -> None:
    r"""Scalar tasks, all but one number in closed form. 4.5 sigma.

    :math:`E = \sum_i p_i (F_i(k + r) - F_i(k - r)) / 2r` with :math:`F_i(k) = E J_i(k - \eta g_i(k))`, where g is what
    Algorithm 1 returns: its mean is :math:`(J_i(k + r) - J_i(k - r)) / 2r`, its deviation is measured here, and by the
    central limit theorem it is normal, so the outer expectation of the polynomial J is a Gauss-Hermite sum. The
    adaptation moves E by more than 20 standard errors, as the last line checks: the test would see it missing.
    """
    tasks, gain, r, eta = similar_tasks(seed=5, count=3, state_dim=1, action_dim=1), np.array([[0.05]]), 0.1, 0.02
    settings = SETTINGS.replace(adaptation_rate=eta, perturbations=1000, inner_perturbations=1000)
    cost = _costs(tasks)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)

    def adapted_cost(k: Array) -> Any:
        mean = (cost(k + r) - cost(k - r)) / (2 * r)
        repeats = [estimators.estimate_gradient(tasks, k, settings, Stream(1000 + s)).ravel() for s in range(200)]
        gradients = mean + np.std(repeats, axis=0) * nodes[:, np.newaxis]
        values = [cost(k - eta * gradient.reshape(3, 1, 1)) for gradient in gradients]
        return weights @ values / weights.sum()

    estimates = np.array([estimators.estimate_meta_gradient(tasks, gain, settings, Stream(s)) for s in range(40)])
    exact = tasks.p @ (adapted_cost(gain + r) - adapted_cost(gain - r)) / (2 * r)
    twins.within(estimates, exact)
    unadapted = tasks.p @ (cost(gain + r) - cost(gain - r)) / (2 * r)
    assert abs(unadapted - exact) > 20 * estimates.std() / np.sqrt(40)


@pytest.mark.slow
def test_algorithm_2_comes_near_the_exact_meta_gradient() -> None:
    """Two-dimensional tasks, a small adaptation, long rollouts: within 5 % of the gradient and 4.5 standard errors."""
    tasks, gain, eta = similar_tasks(seed=6, count=2, state_dim=2, action_dim=2), np.zeros((2, 2)), 1.0e-4
    settings = SETTINGS.replace(
        adaptation_rate=eta,
        perturbations=20_000,
        inner_perturbations=10,
        smoothing_radius=0.1,
        rollout_length=40,
    )
    estimates = np.array([estimators.estimate_meta_gradient(tasks, gain, settings, Stream(s)) for s in range(12)])
    exact = meta.gradient(tasks, gain, eta)
    noise = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    assert np.all(np.abs(estimates.mean(axis=0) - exact) < 0.05 * np.linalg.norm(exact) + 4.5 * noise)
    assert np.all(4.5 * noise < 0.3 * np.linalg.norm(exact))


@pytest.mark.slow
@pytest.mark.parametrize("directions", ["sphere", "gaussian", "orthogonal"])
@pytest.mark.parametrize(
    ("chosen", "each"),
    [
        ({"estimator": "one_point"}, 9 + 1),
        ({"estimator": "one_point_baseline"}, 9 + 1),
        ({"estimator": "two_point"}, 2 * (2 * 9 + 1)),
        ({"estimator": "two_point", "common_noise": True}, 2 * (2 * 9 + 1)),
        ({"estimator": "two_point", "common_noise": True, "inner_estimator": "one_point"}, 2 * (9 + 1)),
        ({"estimator": "two_point", "common_noise": True, "inner_estimator": "one_point_baseline"}, 2 * (9 + 1)),
        ({"estimator": "one_point", "common_noise": True, "inner_estimator": "two_point"}, 2 * 9 + 1),
        ({"estimator": "residual", "inner_smoothing_radius": 0.3}, 9 + 1),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_algorithm_2_is_the_algorithm_as_printed(chosen: dict[str, Any], each: int, directions: str) -> None:
    """Both layers step by step, from plain twins: perturb, estimate, adapt, simulate once more, average.

    Orthogonal blocks of 6, in both layers one whole block and a part.
    """
    tasks, gain, stream = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(perturbations=8, directions=directions, **chosen)
    terms = [tasks.p[i] * twins.outer_estimate(tasks, i, gain, settings, stream, adapts=True) for i in range(2)]
    expected = sum(terms, np.zeros_like(gain))
    estimate = estimators.estimate_with_counts(tasks, gain, settings, stream)
    assert_allclose(estimate.gradient, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
    assert estimate.rollout_steps == 2 * 8 * each * 7


@pytest.mark.slow
def test_the_same_stream_gives_the_same_numbers_whatever_ran_before() -> None:
    tasks, gain = similar_tasks(seed=8, count=2, state_dim=2, action_dim=2), np.zeros((2, 2))
    first = estimators.estimate_meta_gradient(tasks, gain, SETTINGS, Stream(1))
    estimators.estimate_gradient(tasks, gain, SETTINGS, Stream(1))
    rollout.costs(tasks, np.zeros((2, 3, 2, 2)), 5, Stream(1))
    assert_array_equal(estimators.estimate_meta_gradient(tasks, gain, SETTINGS, Stream(1)), first)
    assert not np.any(estimators.estimate_meta_gradient(tasks, gain, SETTINGS, Stream(2)) == first)
    assert not np.any(estimators.estimate_meta_gradient(tasks, gain, SETTINGS, Stream(1, 1)) == first)


@pytest.mark.slow
def test_a_batch_averages_over_the_drawn_tasks() -> None:
    """A batch of a task that alone is ever drawn is that task: the mean over repeats agrees. 4.5 sigma."""
    tasks = similar_tasks(seed=9, count=2, state_dim=1, action_dim=1).replace(p=[1e-10, 1.0 - 1e-10])
    gain = np.array([[0.1]])
    settings = SETTINGS.replace(adaptation_rate=0.0, perturbations=20_000, task_batch=3)
    estimates = np.array([estimators.estimate_meta_gradient(tasks, gain, settings, Stream(s)) for s in range(30)])
    twins.within(estimates, twins.interval_average(tasks, gain, 0.1, settings.rollout_length)[1])
    assert estimators.estimate_with_counts(tasks, gain, settings, Stream(0)).rollout_steps == 3 * 20_000 * 7


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_unstable_perturbations_are_counted_exactly(state_dim: int, action_dim: int) -> None:
    tasks = similar_tasks(seed=10, count=3, state_dim=state_dim, action_dim=action_dim)
    gain = np.zeros((action_dim, state_dim))
    settings = SETTINGS.replace(smoothing_radius=3.0, perturbations=40)
    estimate = estimators.estimate_with_counts(tasks, gain, settings, Stream(3))
    U = perturbations(Stream(3), 3, 40, action_dim, state_dim, 3.0)
    expected = sum(np.count_nonzero(lqr.spectral_radius(tasks, U[:, m]) >= 1.0) for m in range(40))
    assert 0 < expected < 120
    assert estimate.unstable_perturbations == expected


@pytest.mark.slow
@pytest.mark.parametrize(("state_dim", "action_dim"), [(1, 1), (2, 2)])
def test_gains_whose_closed_loop_overflows_count_as_unstable(state_dim: int, action_dim: int) -> None:
    tasks = similar_tasks(seed=10, count=3, state_dim=state_dim, action_dim=action_dim)
    gain = np.full((action_dim, state_dim), 1e160)
    estimate = estimators.estimate_with_counts(tasks, gain, SETTINGS.replace(perturbations=4), Stream(3))
    assert estimate.unstable_perturbations == 12


ONE, TWO = estimators.estimate_gradient, estimators.estimate_meta_gradient


@pytest.mark.parametrize(
    ("estimate", "K", "message"),
    [
        (ONE, np.zeros((3, 2)), r"K has shape \(3, 2\)"),
        (TWO, np.zeros((3, 2)), r"K has shape \(3, 2\)"),
        (ONE, np.full((2, 3), np.nan), "not finite"),
        (TWO, np.full((2, 3), np.nan), "not finite"),
        (TWO, np.zeros((2, 2, 3)), "one gain for all tasks"),
    ],
)
def test_bad_gains_are_refused(estimate: Callable[..., Array], K: Array, message: str) -> None:
    tasks = similar_tasks(seed=11, count=2, state_dim=3, action_dim=2)
    with pytest.raises(ValueError, match=message):
        estimate(tasks, K, SETTINGS, Stream(0))


def test_more_policies_than_fit_are_named_with_what_they_take() -> None:
    """More bytes than a process can address."""
    tasks, settings = similar_tasks(1, 2, 80, 80), SETTINGS.replace(perturbations=2**31 - 1)
    message = (
        "an iteration with 2 tasks and perturbations: 2147483647 takes about 1.1e+06 GB, more than is available; lower "
        "perturbations or task_batch"
    )
    with pytest.raises(MemoryError, match=re.escape(message)):
        estimators.estimate_meta_gradient(tasks, np.zeros((80, 80)), settings, Stream(0))


# --- two points ---


@pytest.mark.slow
def test_value_of_the_cost_cancels() -> None:
    """Scalar tasks: the variance of one direction is (V(k + r) + V(k - r)) / 4r^2, to within 4.5 sigma of a variance.

    V is the variance of a rollout's cost, from rollouts of its own: its error is allowed for as well.
    """
    tasks, r, M, repeats = similar_tasks(seed=3, count=1, state_dim=1, action_dim=1), 0.1, 50, 4000
    settings = SETTINGS.replace(estimator="two_point", inner_perturbations=M)
    estimates = np.array(
        [estimators.estimate_gradient(tasks, [[0.1]], settings, Stream(s)).item() for s in range(repeats)]
    )
    gains = np.array([0.1 + r, 0.1 - r]).repeat(400_000).reshape(1, -1, 1, 1)
    costs = rollout.costs(tasks, gains, settings.rollout_length, Stream(10**6)).reshape(2, -1)
    expected = costs.var(axis=1).sum() / (4 * r**2 * M)
    # A mean of M costs is nearly normal, so its variance has the relative error sqrt(2 / n).
    assert abs(estimates.var(ddof=1) / expected - 1) < 4.5 * np.sqrt(2 / repeats + 8 / 400_000)


class OneByOne(Estimator):
    """Two-point with values in hand, as an estimator does it that is no weighted sum."""

    signs = (1, -1)
    weights = None
    makes_pairs = True

    def coefficients(self, values: Array, memory: Memory, tasks: Any) -> tuple[Array, Memory]:
        return 0.5 * (values[:, 0] - values[:, 1]), memory


@pytest.mark.parametrize("common_noise", [False, True])
@pytest.mark.parametrize("sharing", [1, 2])
def test_estimator_without_weights_estimates_the_same_in_the_inner_layer(common_noise: bool, sharing: int) -> None:
    """Values one by one, without the compiled sums: the mean over a circle, at two gains of each task. 4.5 sigma."""
    tasks = similar_tasks(seed=4, count=2, state_dim=2, action_dim=1)
    gains = np.array([[0.1, -0.05], [0.0, 0.05]]).reshape(1, 2, 1, 2).repeat(2, axis=0)
    simulator, every = LQRSimulator(tasks), np.arange(2)
    settings = SETTINGS.replace(estimator="two_point", perturbations=2000, common_noise=common_noise)
    estimates = np.array([OneByOne(settings).gradients(simulator, gains, Stream(s), every, sharing) for s in range(40)])
    exact = np.stack(
        [twins.circle_average(_costs(tasks), gains[0, n], settings.smoothing_radius) for n in range(2)], axis=1
    )
    twins.within(estimates, exact)
    assert np.all(estimates[:, :, 0] != estimates[:, :, 1])


@pytest.mark.parametrize("estimator", [OneByOne, TwoPoint])
@pytest.mark.parametrize("common_noise", [False, True])
def test_gains_that_share_all_random_numbers_have_equal_estimates(
    estimator: type[Estimator], common_noise: bool
) -> None:
    tasks = random_tasks(seed=7, count=2, state_dim=3, action_dim=2)
    gains = np.tile(0.1 * np.arange(12.0).reshape(2, 1, 2, 3) % 0.3, (1, 6, 1, 1))
    settings = SETTINGS.replace(estimator="two_point", common_noise=common_noise, directions="orthogonal")
    found = estimator(settings).gradients(LQRSimulator(tasks), gains, Stream(1), np.array([1, 0]), sharing=2)
    assert_array_equal(found[:, :3], found[:, 3:])
    assert len(np.unique(found[:, :3])) == found[:, :3].size
    half = estimator(settings).gradients(LQRSimulator(tasks), gains[:, :3], Stream(1), np.array([1, 0]))
    assert_array_equal(found[:, :3], half)


def test_estimator_without_weights_takes_the_directions_of_its_policies() -> None:
    """One policy, one direction, by twins; and the compiled sums differ, for their directions are turned."""
    tasks, gain, stream = random_tasks(seed=7, count=1, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3)), Stream(5, 2)
    settings = SETTINGS.replace(estimator="two_point", perturbations=1)
    r, length = settings.smoothing_radius, settings.rollout_length
    found = OneByOne(settings).gradients(LQRSimulator(tasks), gain[None, None], stream, np.arange(1))[0, 0]
    U = twins.direction((2, 3), r, 0, 0, stream.address(Purpose.INNER_PERTURBATION))
    costs = [
        twins.rollout_cost(tasks, 0, gain + sign * U, length, 0, slot, stream.address(Purpose.INNER_ROLLOUT))
        for slot, sign in enumerate((1, -1))
    ]
    assert_allclose(found, 6 / r**2 * 0.5 * (costs[0] - costs[1]) * U, rtol=1e-10)
    compiled = TwoPoint(settings).gradients(LQRSimulator(tasks), gain[None, None], stream, np.arange(1))[0, 0]
    assert not np.allclose(found, compiled)


# --- what each needs, and what it cannot do ---


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"estimator": "one_point_baseline", "perturbations": 1},
            "perturbations: 1 is not >= 2, as one_point_baseline needs it",
        ),
        (
            {"inner_estimator": "one_point_baseline", "inner_perturbations": 1},
            "inner_perturbations: 1 is not >= 2, as one_point_baseline needs it",
        ),
        (
            {"common_noise": True},
            "common_noise: true needs pairs of rollouts, and one_point makes none; choose estimator: two_point",
        ),
        (
            {"common_noise": True, "method": "mean_cost", "inner_estimator": "two_point"},
            "common_noise: true needs pairs of rollouts, and one_point makes none; choose estimator: two_point",
        ),
        (
            {"inner_estimator": "residual"},
            "inner_estimator: residual needs memory of the costs of the iteration before, and inside Algorithm 2 there "
            "is none; choose another, such as one_point_baseline",
        ),
        ({"inner_estimator": "two_pont"}, "inner_estimator: 'two_pont' is not allowed; did you mean two_point?"),
        ({"directions": "cube"}, "directions: 'cube' is not allowed"),
        (
            {"inner_smoothing_radius": 1e-4, "precision": "float32"},
            "inner_smoothing_radius: 0.0001 is not >= 0.001 in single precision",
        ),
    ],
)
def test_what_an_estimator_cannot_do_is_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        SETTINGS.replace(**chosen)


def test_a_layer_that_is_not_used_may_be_anything() -> None:
    for unused in ({"adaptation_rate": 0.0}, {"method": "mean_cost"}):
        SETTINGS.replace(estimator="one_point_baseline", inner_perturbations=1, **unused)


def test_algorithm_1_by_itself_refuses_too_few_perturbations() -> None:
    settings = SETTINGS.replace(estimator="one_point_baseline", inner_perturbations=1, adaptation_rate=0.0)
    with pytest.raises(ValueError, match="inner_perturbations: 1 is not >= 2, as one_point_baseline needs it"):
        estimators.estimate_gradient(similar_tasks(1, 1, 1, 1), [[0.1]], settings, Stream(0))


def test_common_noise_needs_a_simulator_that_replays_it() -> None:
    class Plant(LQRSimulator):
        replays_noise = False

    tasks, gains = similar_tasks(1, 1, 1, 1), np.zeros((1, 2, 1, 1))
    settings = SETTINGS.replace(estimator="two_point")
    assert TwoPoint(settings).gradients(Plant(tasks), gains, Stream(0), np.arange(1)).shape == gains.shape
    with pytest.raises(ValueError, match="common_noise: true needs a simulator that replays its noise, which Plant"):
        TwoPoint(settings.replace(common_noise=True)).gradients(Plant(tasks), gains, Stream(0), np.arange(1))


def test_without_an_adaptation_nothing_inner_is_simulated() -> None:
    tasks = similar_tasks(seed=1, count=2, state_dim=2, action_dim=2)
    settings = SETTINGS.replace(adaptation_rate=0.0)
    estimate = estimators.estimate_with_counts(tasks, np.zeros((2, 2)), settings, Stream(1))
    mean = estimate_mean_gradient(tasks, np.zeros((2, 2)), settings, Stream(1))
    assert_array_equal(estimate.gradient, mean.gradient)
    assert estimate.rollout_steps == mean.rollout_steps == 2 * 12 * 7
    for eta, rollouts in ((0.0, 2 * 12), (0.1, 2 * 12 * 10)):
        assert methods.get("zeroth_order_maml").work(2, settings.replace(adaptation_rate=eta)).rollouts == rollouts


@pytest.mark.parametrize(
    "chosen", [{"estimator": "one_point_baseline"}, {"estimator": "two_point", "common_noise": True}]
)
def test_unstable_pairs_have_finite_costs_and_are_counted(chosen: dict[str, Any]) -> None:
    tasks = similar_tasks(seed=10, count=3, state_dim=2, action_dim=2)
    settings = SETTINGS.replace(smoothing_radius=3.0, perturbations=40, directions="orthogonal", **chosen)
    estimate = estimators.estimate_with_counts(tasks, np.zeros((2, 2)), settings, Stream(3))
    assert np.all(np.isfinite(estimate.gradient))
    assert 0 < estimate.unstable_perturbations < 3 * settings.outer.estimator.rollouts(40)


@pytest.mark.slow
@pytest.mark.parametrize("directions", ["sphere", "gaussian", "orthogonal"])
def test_one_thread_and_two_estimate_the_same(directions: str) -> None:
    tasks, gain = random_tasks(seed=7, count=2, state_dim=3, action_dim=2), 0.1 * np.ones((2, 3))
    settings = SETTINGS.replace(estimator="two_point", common_noise=True, directions=directions)
    threads, found = numba.get_num_threads(), []
    for count in (1, 2):
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
        found.append(estimators.estimate_meta_gradient(tasks, gain, settings, Stream(1)))
    numba.set_num_threads(threads)
    assert_array_equal(found[0], found[1])


# --- residual ---


def test_residual_subtracts_the_costs_of_the_iteration_before() -> None:
    """By twins of one_point, whose directions and costs it has; a task not seen before has none to subtract."""
    tasks, gain = random_tasks(seed=7, count=3, state_dim=2, action_dim=2), 0.05 * np.ones((2, 2))
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])[:, np.newaxis]
    residual = Residual(SETTINGS)
    first, memory = residual.coefficients(values, {}, np.array([0, 2]))
    assert_array_equal(first, values[:, 0])
    second, memory = residual.coefficients(10.0 * values, memory, np.array([2, 1]))
    assert_array_equal(second, [[10.0 - 4.0, 20.0 - 5.0, 30.0 - 6.0], [40.0, 50.0, 60.0]])
    third, memory = residual.coefficients(values, memory, np.array([0, 0]))
    assert_array_equal(third, [[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
    assert_array_equal(memory["tasks"], [0, 1, 2])
    assert_array_equal(memory["costs"], [[4.0, 5.0, 6.0], [40.0, 50.0, 60.0], [10.0, 20.0, 30.0]])
    settings = SETTINGS.replace(estimator="residual", method="mean_cost")
    start = estimate_mean_gradient(tasks, gain, settings, Stream(1))
    assert_array_equal(start.gradient, estimate_mean_gradient(tasks, gain, SETTINGS, Stream(1)).gradient)
    later = estimate_mean_gradient(tasks, gain, settings, Stream(1), start.memory)
    assert_array_equal(later.gradient, np.zeros((2, 2)))  # the same stream again: every cost is the one before


@pytest.mark.slow
def test_residual_resumes_with_the_costs_of_the_iteration_before(tmp_path: Path) -> None:
    """A run that stops after every iteration, and saves its state, with a batch that leaves tasks out."""
    tasks, K0 = similar_tasks(seed=2, count=3, state_dim=2, action_dim=2), np.zeros((2, 2))
    settings = SETTINGS.replace(estimator="residual", task_batch=2, iterations=6)
    whole = training.train(tasks, K0, settings, 5)
    file = SavedState(tmp_path / "state.nc", tasks, K0, settings, 5, {})
    history = None
    while history is None or history.status is Status.INTERRUPTED:
        history = training.train(tasks, K0, settings, 5, [_Stop()], resume=None if history is None else file.load())
        if history.status is Status.INTERRUPTED:
            file.save(history)
    assert_array_equal(history.K, whole.K)


class _Stop(Observer):
    def stops(self, state: Callable[[], History]) -> bool:
        return True

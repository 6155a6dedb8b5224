"""The true error of Algorithms 1 and 2: biases in closed form, noise within its confidence, statistics by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import twins
from systems import Array, scalar_tasks, similar_tasks

from metalqr import estimators, lqr, meta, optimal, rollout
from metalqr.config.algorithm import MetaSettings
from metalqr.config.problems import SettingsError
from metalqr.config.theory import ErrorSweeps
from metalqr.evaluation.estimation_error import bias, curves, measurement
from metalqr.evaluation.estimation_error.curves import predicted_slopes
from metalqr.lqr import LQRTasks, UnstablePolicyError
from metalqr.simulation.streams import Stream

SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.01,
    perturbations=8,
    inner_perturbations=8,
    smoothing_radius=0.1,
    rollout_length=7,
)
SWEEPS = ErrorSweeps(repeats=4, perturbations=(4, 8), smoothing_radius=(0.1, 0.2), rollout_length=(7,))


def targets(tasks: LQRTasks, K: Array, rate: float) -> Array:
    return np.concatenate([lqr.gradient(tasks, K), meta.gradient(tasks, K, rate)[np.newaxis]])


# --- the bias


def test_targets_are_the_exact_gradients() -> None:
    tasks, K = similar_tasks(seed=1), 0.05 * np.ones((2, 3))
    np.testing.assert_allclose(bias.exact_gradients(tasks, K, 0.01), targets(tasks, K, 0.01), rtol=1e-13)
    finite = bias.exact_gradients(tasks, K, 0.01, 6)
    np.testing.assert_array_equal(finite[:-1], lqr.finite_horizon_gradient(tasks, K, 6))


def test_biases_of_a_scalar_by_hand() -> None:
    """J(k) = (1 + k^2) / (1 - f^2), f = a - k, so J' = 2 k / (1 - f^2) - 2 f (1 + k^2) / (1 - f^2)^2.

    J1(k) = (1 + k^2) (f^2 + 1) for one step from x_0 of variance 1, so J1' = 2 k (f^2 + 1) - 2 f (1 + k^2). The bias of
    smoothing is (J(k + r) - J(k - r)) / 2r - J'(k), without standard error, that of the length J1' - J', and that of
    both (J1(k + r) - J1(k - r)) / 2r - J'(k). At eta = 0 the meta-objective is J too.
    """
    a, k, r = 0.5, 0.2, 0.3
    f, tasks = a - k, scalar_tasks(a)

    def J(k: float) -> float:
        return (1 + k**2) / (1 - (a - k) ** 2)

    def J1(k: float) -> float:
        return (1 + k**2) * ((a - k) ** 2 + 1)

    slope = 2 * k / (1 - f**2) - 2 * f * (1 + k**2) / (1 - f**2) ** 2
    smoothing = bias.smoothing_bias(tasks, [[k]], 0.0, r, seed=0)
    np.testing.assert_allclose(smoothing.norm, 2 * [abs((J(k + r) - J(k - r)) / (2 * r) - slope)], rtol=1e-12)
    np.testing.assert_array_equal(smoothing.standard_error, [0.0, 0.0])
    finite = 2 * k * (f**2 + 1) - 2 * f * (1 + k**2)
    np.testing.assert_allclose(bias.horizon_bias(tasks, [[k]], 0.0, 1), 2 * [abs(finite - slope)], rtol=1e-12)
    both = bias.smoothing_bias(tasks, [[k]], 0.0, r, seed=0, length=1)
    np.testing.assert_allclose(both.norm, 2 * [abs((J1(k + r) - J1(k - r)) / (2 * r) - slope)], rtol=1e-12)


@pytest.mark.parametrize("length", [None, 9])
def test_bias_in_two_dimensions_agrees_with_the_average_over_the_circle(length: int | None) -> None:
    """(dk/r^2) E[F(K + U) U] by the trapezoidal rule, exact for a smooth F, within 4.5 standard errors.

    The standard errors are so small that a bias off by 1 % would fail.
    """
    tasks, K, rate, r = similar_tasks(seed=2, count=2, state_dim=2, action_dim=1), np.array([[0.1, -0.05]]), 0.02, 0.1

    def values(gain: Array) -> Array:
        if length is None:
            return np.append(lqr.cost(tasks, gain), meta.objective(tasks, gain, rate))
        adapted = gain - rate * lqr.finite_horizon_gradient(tasks, gain, length)
        return np.append(
            lqr.finite_horizon_cost(tasks, gain, length), tasks.p @ lqr.finite_horizon_cost(tasks, adapted, length)
        )

    exact = np.linalg.norm(twins.circle_average(values, K, r) - targets(tasks, K, rate), axis=(1, 2))
    found = bias.smoothing_bias(tasks, K, rate, r, seed=3, length=length)
    assert np.all(np.abs(found.norm - exact) < 4.5 * found.standard_error)
    assert np.all(found.standard_error < 2e-3 * exact)


def test_bias_grows_with_the_square_of_the_radius_and_its_standard_error_with_the_fourth_power() -> None:
    tasks, K = similar_tasks(seed=4, count=2, state_dim=2, action_dim=2), np.zeros((2, 2))
    half, whole, double = (bias.smoothing_bias(tasks, K, 0.01, r, seed=0) for r in (0.0005, 0.001, 0.002))
    np.testing.assert_allclose(whole.norm / half.norm, 4.0, rtol=1e-3)
    np.testing.assert_allclose(double.standard_error / whole.standard_error, 16.0, rtol=1e-2)


def test_one_length_stands_for_all_in_many_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 72 dimensions, with 1 - 4 / 74^2 of the term in r^4, which is itself a part of the bias."""
    tasks, K = similar_tasks(seed=5, count=1, state_dim=9, action_dim=8), np.zeros((8, 9))
    one = bias.smoothing_bias(tasks, K, 0.0, 0.05, seed=0)
    monkeypatch.setattr(bias, "_ONE_LENGTH_FROM", 72)
    two = bias.smoothing_bias(tasks, K, 0.0, 0.05, seed=0)
    assert np.all(one.norm != two.norm)
    np.testing.assert_allclose(one.norm, two.norm, rtol=4 / 74**2)


def test_frames_that_do_not_hold_all_directions_are_less_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 4.5 standard errors, now of order r^2, of what complete frames give."""
    tasks, K = similar_tasks(seed=4, count=2, state_dim=2, action_dim=2), np.zeros((2, 2))
    complete = bias.smoothing_bias(tasks, K, 0.0, 0.02, seed=0)
    monkeypatch.setattr(bias, "MAX_FRAME", 3)
    partial = bias.smoothing_bias(tasks, K, 0.0, 0.02, seed=0)
    assert np.all(np.abs(partial.norm - complete.norm) < 4.5 * partial.standard_error)
    assert np.all(partial.standard_error > 10 * complete.standard_error)


def test_bias_of_the_length_falls_like_one_over_it() -> None:
    tasks, K = similar_tasks(seed=6), 0.05 * np.ones((2, 3))
    short, long = (bias.horizon_bias(tasks, K, 0.01, length) for length in (200, 400))
    np.testing.assert_allclose(short / long, 2.0, rtol=0.02)


def test_bias_of_the_length_decays_geometrically_without_process_noise() -> None:
    tasks = scalar_tasks(0.8, psi=1.0)
    tasks = LQRTasks(tasks.A, tasks.B, tasks.Q, tasks.R, None, tasks.Sigma0, noise="initial_state")
    short, long = (bias.horizon_bias(tasks, np.zeros((1, 1)), 0.0, length)[0] for length in (10, 20))
    # Of d/dk sum_{t >= l} (q + r k^2) (a - bk)^(2t) at k = 0: (l (1 - s) + s) s^l, s = a^2.
    left = [(length * (1 - 0.64) + 0.64) * 0.64**length for length in (10, 20)]
    assert short / long == pytest.approx(left[0] / left[1], rel=1e-6)
    assert np.isnan(predicted_slopes("rollout_length", tasks.noise).bias)
    assert predicted_slopes("rollout_length", "process").bias == -1.0


@pytest.mark.slow
@pytest.mark.parametrize("dims", [(1, 1), (2, 1)])
def test_bias_is_infinite_where_a_perturbed_policy_is_unstable(dims: tuple[int, int]) -> None:
    """|0.9 - K| < 1: K = -0.1 is not stabilising; the other task, with A = 0.1, is stable all the same."""
    identity = np.stack(2 * [np.eye(dims[0])])
    B = np.ones((2, dims[0], 1))
    tasks = LQRTasks(np.array([0.9, 0.1]).reshape(2, 1, 1) * identity, B, identity, np.ones((2, 1, 1)), identity)
    found = bias.smoothing_bias(tasks, np.zeros((1, dims[0])), 1e-3, 0.2, seed=0)
    assert np.isinf(found.norm).tolist() == [True, False, True]
    finite = bias.smoothing_bias(tasks, np.zeros((1, dims[0])), 1e-3, 0.2, seed=0, length=20)
    assert np.isfinite(finite.norm).all()


def test_bias_is_infinite_where_no_random_frame_finds_the_unstable_policies() -> None:
    """Ten states of which the last nine drive the first: one direction of a hundred destabilises, and frames miss it.

    (I - A)^-1 B = 1 / (1 - 0.9) v with |v| = 1, so U = -s v / |v| is unstable for s > 0.1, and all U below are not.
    """
    d = 10
    B = np.full((1, d, d), 1.0 / d)
    tasks = LQRTasks(0.9 * np.eye(d)[np.newaxis], B, *(np.eye(d)[np.newaxis] for _ in range(3)))
    K = np.zeros((d, d))
    assert optimal.destabilising_size(tasks, K) == pytest.approx(optimal.stability_margin(tasks, K), rel=1e-8)
    assert optimal.destabilising_size(tasks, K) == pytest.approx([0.1], rel=1e-12)
    below, above = (bias.smoothing_bias(tasks, K, 0.0, radius, seed=0) for radius in (0.0999, 0.1001))
    assert np.isfinite(below.norm).all()
    assert np.isinf(above.norm).all()
    assert np.isinf(above.standard_error).all()
    U = -0.1001 * B[0] / np.linalg.norm(B[0])
    assert lqr.spectral_radius(tasks, K + U) > 1


def test_an_impossible_radius_is_refused() -> None:
    with pytest.raises(ValueError, match=r"radius: nan is not a finite number > 0"):
        bias.smoothing_bias(scalar_tasks(0.5), [[0.0]], 0.0, np.nan, seed=0)


# --- the noise, within its confidence


@pytest.mark.slow
def test_squared_error_of_algorithm_1_is_bias_squared_and_variance_over_m() -> None:
    """Scalar; a single term of the estimate is J~ U / r^2 with U = +-r, whose variance is E[J~^2] / r^2 - mean^2.

    E[J~^2] is measured from 200 000 rollouts, the mean square error from 1500 estimates; 4.5 standard errors, to which
    both bias^2 and the variance contribute more than 10, as the last line checks: the test would see one missing.
    """
    tasks, K, r, M, length = scalar_tasks(0.5), np.array([[0.0]]), 0.4, 1600, 3
    settings = SETTINGS.replace(inner_perturbations=M, smoothing_radius=r, rollout_length=length)
    exact = lqr.gradient(tasks, K)
    estimates = np.array([estimators.estimate_gradient(tasks, K, settings, Stream(s)).item() for s in range(1500)])
    squares = (estimates - exact.item()) ** 2

    gains = np.repeat([r, -r], 100_000).reshape(1, -1, 1, 1)
    second_moment = np.mean(rollout.costs(tasks, gains, length, Stream(7)) ** 2) / r**2
    missed = bias.smoothing_bias(tasks, K, 0.0, r, seed=0, length=length).norm[0]
    high, low = (lqr.finite_horizon_cost(tasks, K + step, length).item() for step in (r, -r))
    variance = (second_moment - ((high - low) / (2 * r)) ** 2) / M
    standard_error = squares.std(ddof=1) / np.sqrt(len(squares))
    assert abs(squares.mean() - (missed**2 + variance)) < 4.5 * standard_error
    assert min(missed**2, variance) > 10 * standard_error


@pytest.mark.slow
def test_noise_falls_with_the_root_of_m_and_grows_with_one_over_r() -> None:
    """Slopes of the noise of both algorithms within 4 of their standard errors, which are small enough to tell."""
    tasks, K = similar_tasks(seed=8, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    sweeps = ErrorSweeps(
        repeats=100, perturbations=(2, 8, 32), smoothing_radius=(0.0125, 0.025, 0.05), rollout_length=(5,)
    )
    settings = SETTINGS.replace(perturbations=32, inner_perturbations=32, adaptation_rate=1e-5)
    found = measurement.measure(tasks, K, settings, sweeps, 1)
    for noise, slope in ((found.perturbations.noise, -0.5), (found.smoothing_radius.noise, -1.0)):
        assert noise.predicted_slope == slope
        assert np.all(np.abs(noise.slope - slope) < 4 * noise.slope_standard_error)
        assert np.all(noise.slope_standard_error < 0.08)


# --- bookkeeping


def test_statistics_of_known_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten estimates that miss by 1 to 10 in one entry: mean 5.5, quantile 9, deviation that of 1 to 10, sqrt(55/6)."""
    tasks, K = similar_tasks(seed=10, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    exact, misses = targets(tasks, K, 0.01), iter(range(1, 11))
    offset = np.array([[0.0, 1.0]])
    monkeypatch.setattr(measurement, "estimate_gradient", lambda *_: exact[:2] + 2.0 * offset)
    monkeypatch.setattr(measurement, "estimate_meta_gradient", lambda *_: exact[2] + next(misses) * offset)
    sweeps = SWEEPS.replace(repeats=10, perturbations=(8,), smoothing_radius=(0.1,))
    found = measurement.measure(tasks, K, SETTINGS, sweeps, 0).perturbations
    np.testing.assert_allclose(found.error.values[:, 0], [2.0, 2.0, 5.5])
    np.testing.assert_allclose(found.error_quantile[:, 0], [2.0, 2.0, 9.0])
    np.testing.assert_allclose(found.noise.values[:, 0], [0.0, 0.0, np.sqrt(55 / 6)], atol=1e-12)
    np.testing.assert_allclose(found.error.standard_error[:, 0], [0.0, 0.0, np.sqrt(55 / 6 / 10)], atol=1e-12)
    assert found.repeats[:, 0].tolist() == [10, 10, 10]
    assert np.isnan(found.error.slope).all(), "one value has no slope"


@pytest.mark.slow
def test_one_parameter_is_swept_at_a_time_with_streams_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[MetaSettings, Stream]] = []

    def recorded(name: str) -> Callable[..., Array]:
        original = getattr(measurement, name)

        def estimate(tasks: LQRTasks, K: Array, settings: MetaSettings, stream: Stream) -> Array:
            used.append((settings, stream))
            return np.asarray(original(tasks, K, settings, stream))

        return estimate

    for name in ("estimate_gradient", "estimate_meta_gradient"):
        monkeypatch.setattr(measurement, name, recorded(name))
    tasks, K = similar_tasks(seed=11, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    found = measurement.measure(tasks, K, SETTINGS, SWEEPS, 5)
    points = list(dict.fromkeys(settings for settings, _ in used))
    changes = [{k: v for k, v in point.as_dict().items() if v != getattr(SETTINGS, k)} for point in points]
    assert changes == [{"perturbations": 4, "inner_perturbations": 4}, {}, {"smoothing_radius": 0.2}]
    assert len(used) == 3 * 2 * SWEEPS.repeats
    assert len({stream for _, stream in used}) == len(used)
    assert {stream.seed for _, stream in used} == {5}
    own = found.perturbations.error.values[:, 1]
    np.testing.assert_array_equal(found.smoothing_radius.error.values[:, 0], own)
    np.testing.assert_array_equal(found.rollout_length.error.values[:, 0], own)
    again, other = (measurement.measure(tasks, K, SETTINGS, SWEEPS, seed) for seed in (5, 6))
    np.testing.assert_array_equal(again.perturbations.error.values, found.perturbations.error.values)
    assert np.all(other.perturbations.error.values != found.perturbations.error.values)
    np.testing.assert_array_equal(found.exact_norm, np.linalg.norm(targets(tasks, K, 0.01), axis=(1, 2)))
    np.testing.assert_array_equal(found.K, K)
    # Each sweep has its own bias.
    both = bias.smoothing_bias(tasks, K, 0.01, 0.1, 5, 7)
    np.testing.assert_array_equal(found.perturbations.bias.values, np.stack([both.norm, both.norm], axis=1))
    radii = [bias.smoothing_bias(tasks, K, 0.01, r, 5) for r in (0.1, 0.2)]
    np.testing.assert_array_equal(found.smoothing_radius.bias.values, np.stack([each.norm for each in radii], axis=1))
    np.testing.assert_array_equal(
        found.smoothing_radius.bias.standard_error, np.stack([each.standard_error for each in radii], axis=1)
    )
    np.testing.assert_array_equal(found.rollout_length.bias.values[:, 0], bias.horizon_bias(tasks, K, 0.01, 7))


@pytest.mark.slow
def test_bias_of_each_algorithm_is_that_of_the_radius_of_its_layer() -> None:
    """Algorithm 1 has the inner radius. A swept radius is that of both."""
    tasks, K = similar_tasks(seed=11, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    found = measurement.measure(tasks, K, SETTINGS.replace(inner_smoothing_radius=0.3), SWEEPS, 5)
    inner, outer = (bias.smoothing_bias(tasks, K, 0.01, radius, 5, 7).norm for radius in (0.3, 0.1))
    np.testing.assert_array_equal(found.perturbations.bias.values[:, 0], [*inner[:-1], outer[-1]])
    assert np.all(inner != outer)
    swept = [bias.smoothing_bias(tasks, K, 0.01, radius, 5).norm for radius in (0.1, 0.2)]
    np.testing.assert_array_equal(found.smoothing_radius.bias.values, np.stack(swept, axis=1))


def test_costly_points_of_algorithm_2_are_repeated_less_often() -> None:
    """Own settings: 8 * 9 * 7 steps. M = 16 takes 16 * 17 / 72 times as many, l = 14 twice, l = 700 a hundred times."""
    tasks, K = scalar_tasks(0.5), np.zeros((1, 1))
    sweeps = ErrorSweeps(repeats=40, perturbations=(4, 16), smoothing_radius=(0.2,), rollout_length=(14, 700))
    found = measurement.measure(tasks, K, SETTINGS, sweeps, 0)
    assert found.perturbations.repeats.tolist() == [[40, 40], [40, 10]]
    assert found.smoothing_radius.repeats.tolist() == [[40], [40]]
    assert found.rollout_length.repeats.tolist() == [[40, 40], [20, 10]]
    fewer = measurement.measure(tasks, K, SETTINGS, sweeps.replace(repeats=6), 0)
    assert fewer.rollout_length.repeats.tolist() == [[6, 6], [6, 6]]


@pytest.mark.slow
def test_the_budget_leaves_out_the_costliest_values_and_moves_no_other() -> None:
    """Own settings: 8 * 7 steps of Algorithm 1 and 8 * 9 * 7 of Algorithm 2, for each of 2 tasks and 4 estimates."""
    tasks, K = similar_tasks(seed=11, count=2, state_dim=2, action_dim=1), np.zeros((1, 2))
    sweeps = ErrorSweeps(repeats=4, perturbations=(16, 8, 4), smoothing_radius=(0.2, 0.1), rollout_length=(7, 50))
    everything = measurement.measure(tasks, K, SETTINGS, sweeps, 5)
    steps = everything.smoothing_radius.rollout_steps
    assert steps[0] == steps[1] == 2 * 4 * 7 * (8 * 9 + 8) + 1600 * 2 * 2000
    # The own settings, with the bias along M and that of one radius.
    budget = 2.0 * steps[0] + float(everything.perturbations.rollout_steps[2])
    found = measurement.measure(tasks, K, SETTINGS, sweeps.replace(rollout_steps_budget=budget), 5)
    for name, left_out in (
        ("perturbations", [False] * 3),
        ("smoothing_radius", [True, False]),
        ("rollout_length", [False, False]),
    ):
        sweep, whole = getattr(found, name), getattr(everything, name)
        assert np.isnan(sweep.error.values).all(axis=0).tolist() == left_out
        assert (sweep.repeats == 0).all(axis=0).tolist() == left_out
        kept = ~np.array(left_out)
        for part in ("error", "noise", "bias"):
            one, other = getattr(sweep, part), getattr(whole, part)
            np.testing.assert_array_equal(one.values[:, kept], other.values[:, kept])
            np.testing.assert_array_equal(one.standard_error[:, kept], other.standard_error[:, kept])
    nothing = measurement.measure(tasks, K, SETTINGS, sweeps.replace(rollout_steps_budget=0), 5)
    assert not nothing.rollout_length.repeats.any()


def test_slopes_of_a_power_law_with_their_standard_error() -> None:
    """Of two points a factor of 4 apart with relative standard errors 0.3 and 0.4: 0.5 / log 4."""
    parameter = np.array([1.0, 4.0, 16.0])
    values = np.array([3.0 * parameter**-1.5, [1.0, 2.0, np.inf], [0.0, 1.0, 1.0]])
    used = np.array([[True, True, False], [True, True, False], [True, True, False]])
    curve = curves.fitted(parameter, values, np.array([[0.9, 0.15, 0.0], [0, 0, 0], [0, 0, 0]]), -1.0, used)
    np.testing.assert_allclose(curve.slope, [-1.5, 0.5, np.nan])
    np.testing.assert_allclose(curve.slope_standard_error, [0.5 / np.log(4), 0.0, np.nan])


def test_overflow_is_infinite_and_leaves_the_slopes_to_the_other_values() -> None:
    """K = -2.5 has |f| = 3.4: a rollout of 2000 steps leaves the range of numbers."""
    tasks, K = scalar_tasks(0.9), np.zeros((1, 1))
    sweeps = ErrorSweeps(repeats=3, perturbations=(4,), smoothing_radius=(0.02, 0.04, 2.5), rollout_length=(2000,))
    found = measurement.measure(
        tasks, K, SETTINGS.replace(rollout_length=2000, adaptation_rate=1e-6), sweeps, 0
    ).smoothing_radius
    for curve in (found.error, found.noise, found.bias):
        assert np.isinf(curve.values).tolist() == [[False, False, True]] * 2
        assert np.isfinite(curve.slope).all()
    assert np.isinf(found.error_quantile[:, 2]).all()


def test_impossible_values_and_gains_are_refused() -> None:
    tasks = scalar_tasks(0.5)
    with pytest.raises(SettingsError, match=r"smoothing_radius\[0\]: -0\.1 is not > 0"):
        measurement.measure(tasks, [[0.0]], SETTINGS, SWEEPS.replace(smoothing_radius=(-0.1,)), 0)
    with pytest.raises(UnstablePolicyError, match="does not stabilise task 0"):
        measurement.measure(tasks, [[2.0]], SETTINGS, SWEEPS, 0)
    with pytest.raises(ValueError, match=r"K has shape \(2, 1\), expected \(1, 1\): one gain for all tasks"):
        measurement.measure(tasks, np.zeros((2, 1)), SETTINGS, SWEEPS, 0)

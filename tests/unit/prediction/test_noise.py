"""The covariance of a direction, against many simulated ones; and what cannot be predicted."""

from pathlib import Path

import numpy as np
import pytest
from systems import Array, similar_tasks

from metalqr import MetaSettings, Stream, results
from metalqr.estimators.estimator import Estimator
from metalqr.estimators.meta import Estimation
from metalqr.lqr import UnstablePolicyError
from metalqr.prediction import PREDICTIONS, predict
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.noise import DirectionNoise, Noise
from metalqr.prediction.objective import Objective

TASKS = similar_tasks(8, 3, 2, 2)
K = 0.05 * np.random.default_rng(1).standard_normal((2, 2))
SETTINGS = MetaSettings(
    learning_rate=1.0e-3,
    adaptation_rate=0.01,
    perturbations=8,
    inner_perturbations=20,
    smoothing_radius=0.2,
    rollout_length=5,
    iterations=6,
)
REPEATS = 3000
#: The kind of a covariance by a formula.
FORMULA = "second order in r"


def _found(settings: MetaSettings) -> Noise:
    rate = settings.adaptation_rate if settings.method == "zeroth_order_maml" else 0.0
    objective = Objective(TASKS, settings, rate, K)
    inner = InnerNoise(objective, settings) if rate else None
    return DirectionNoise(objective, settings, inner, 0).at(K, K, settings.learning_rate)


def _simulated(settings: MetaSettings) -> tuple[Array, Array]:
    """Directions of the settings, and their sample covariance."""
    estimation = Estimation(TASKS, settings)
    of_method = estimation.mean_gradient if settings.method == "mean_cost" else estimation.meta_gradient
    samples = np.array([of_method(K, Stream(11, repeat)).gradient.ravel() for repeat in range(REPEATS)])
    return samples, np.cov(samples, rowvar=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"method": "mean_cost"}, FORMULA),
        ({"method": "mean_cost", "task_batch": 2, "estimator": "one_point_baseline"}, FORMULA),
        (
            {
                "method": "mean_cost",
                "task_batch": 2,
                "estimator": "two_point",
                "common_noise": True,
                "smoothing_radius": 0.03,
            },
            FORMULA,
        ),
        ({"estimator": "two_point", "task_batch": 2}, FORMULA),
        # One adapted policy in 500 costs a hundred times the median, and a million times at the larger rate.
        ({}, "measured"),
        ({"estimator": "one_point_baseline", "adaptation_rate": 0.02}, "measured"),
    ],
)
def test_covariance_is_that_of_simulated_directions(changes: dict[str, object], kind: str) -> None:
    """The trace within 4.5 standard errors and 5 %, and every entry within as much of the mean diagonal."""
    settings = SETTINGS.replace(**changes)
    found = _found(settings)
    samples, simulated = _simulated(settings)
    squares = ((samples - samples.mean(axis=0)) ** 2).sum(axis=1)
    error = squares.std() / np.sqrt(REPEATS)
    trace = np.trace(found.covariance)
    assert found.kind == kind
    assert abs(squares.mean() - trace) < 4.5 * error + 0.05 * trace
    assert np.abs(simulated - found.covariance).max() < (4.5 * error + 0.05 * trace) / np.sqrt(4)


@pytest.mark.slow
def test_a_large_inner_noise_is_measured() -> None:
    settings = SETTINGS.replace(adaptation_rate=0.2)
    found = _found(settings)
    assert found.kind == "measured"
    assert found.bias is not None
    samples, _ = _simulated(settings)
    mean = found.bias + Objective(TASKS, settings, 0.2, K).gradient(K)
    errors = np.sqrt(np.diag(found.covariance) / 400 + samples.var(axis=0) / REPEATS)
    assert (np.abs(mean.ravel() - samples.mean(axis=0)) < 4.5 * errors).all()
    predicted = predict(TASKS, K, settings.replace(learning_rate=1e-6, iterations=2))
    assert predicted.noise_kind == "measured"


@pytest.mark.slow
def test_without_a_formula_the_covariance_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = _found(SETTINGS.replace(method="mean_cost"))
    monkeypatch.setattr(Estimator, "covariance", lambda self, near: None)
    found = _found(SETTINGS.replace(method="mean_cost"))
    assert found.kind == "measured"
    assert np.trace(found.covariance) == pytest.approx(np.trace(exact.covariance), rel=0.1)
    settings = SETTINGS.replace(method="mean_cost", iterations=3)
    assert predict(TASKS, K, settings).noise_kind == "measured"
    # So is the whole direction of Algorithm 2, whose inner estimator then states no formula either.
    assert predict(TASKS, K, SETTINGS.replace(iterations=3)).noise_kind == "measured"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "reptile"}, r"method: 'reptile' has no prediction.*choose zeroth_order_maml or mean_cost"),
        ({"update_rule": "adam"}, r"update_rule: 'adam' has no linear recursion: its step is the ratio of two"),
    ],
)
def test_what_cannot_be_predicted_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict(TASKS, K, SETTINGS.replace(**changes))


def test_an_unstable_initial_gain_is_refused() -> None:
    with pytest.raises(UnstablePolicyError, match="the initial gain"):
        predict(TASKS, 100.0 * np.ones((2, 2)), SETTINGS)


def test_a_diverging_run_is_said_to_diverge() -> None:
    """A step far beyond 2 / h."""
    found = predict(TASKS, K, SETTINGS.replace(method="mean_cost", learning_rate=0.5, iterations=50))
    assert found.valid_until < 50
    assert "steps overshoot, so that fluctuations grow" in " ".join(found.limits)
    assert np.isnan(found.stationary_ratio)
    assert np.isinf(found.ratio[-1])
    assert "the mean path leaves the stabilising set" in " ".join(found.limits)


def test_no_iterations_is_a_point() -> None:
    found = predict(TASKS, K, SETTINGS.replace(iterations=0))
    assert found.ratio.shape == (1,)
    assert found.ratio[0] == found.path_ratio[0] == found.lower[0] == found.upper[0]
    assert found.valid_until == 0
    assert not found.limits


@pytest.mark.slow
def test_a_warm_up_is_the_mean_cost() -> None:
    settings = SETTINGS.replace(adaptation_rate=0.002, iterations=8)
    first = predict(TASKS, K, settings.replace(warm_up=8))
    plain = predict(TASKS, K, settings.replace(method="mean_cost"))
    assert (first.K == plain.K).all()
    part = predict(TASKS, K, settings.replace(warm_up=5))
    assert np.abs(part.K[:6] - plain.K[:6]).max() < 1e-6
    assert np.abs(part.K[-1] - plain.K[-1]).max() > 1e-5
    # Five iterations of three tasks with eight rollouts of five steps, then as many with twenty more each.
    assert part.rollout_steps.tolist()[5:7] == [5 * 120, 5 * 120 + 21 * 120]


def test_file(tmp_path: Path) -> None:
    found = predict(TASKS, K, SETTINGS.replace(average_last=0.5))
    path = tmp_path / "prediction.nc"
    results.save(path, found.to_dataset(SETTINGS.as_dict(), case="one"))
    loaded = results.load(path, PREDICTIONS, "one")
    for name in ("ratio", "lower", "upper", "K", "stationary_ratio"):
        np.testing.assert_array_equal(loaded[name].values, getattr(found, name))
    assert loaded.attrs["noise_kind"] == found.noise_kind
    assert loaded["average"].sel(statistic="median").item() == found.average[1]

"""The measurement: many estimates at one gain, with streams of their own, compared with the exact gradients."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.config.model import ErrorSweeps
from metalqr.config.registries import methods
from metalqr.estimators import estimate_gradient, estimate_meta_gradient
from metalqr.evaluation.estimation_error.bias import Bias, exact_gradients, horizon_bias, smoothing_bias
from metalqr.evaluation.estimation_error.curves import PREDICTED_SLOPES, EstimationError, Sweep, fitted
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.simulation.streams import Stream, Use

#: The share of errors below their quantile.
QUANTILE = 0.9
#: Algorithm 2 is repeated less often where an estimate takes more rollout steps than at the case's own settings, but
#: not less often than this, unless the repeats themselves are fewer.
MIN_REPEATS = 10


def measure(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, sweeps: ErrorSweeps, seed: int) -> EstimationError:
    r"""Measure the true error of Algorithms 1 and 2 at a gain, as a function of M, r and :math:`\ell`, one at a time.

    Each estimate has a stream of its own, and a point that sweeps share is measured once. Where an estimate of
    Algorithm 2 takes more rollout steps than at the case's own settings, it is repeated less often in proportion, but
    not less than ten times.

    The gain K (k, d) is that of all tasks, the settings are those of the case, and the seed is that of the estimates
    and of the directions that the bias is averaged over.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task, or K after its exact adaptation to a task does not stabilise that.
    metalqr.config.problems.SettingsError
        If a swept value is impossible.
    ValueError
        If K has another shape or is not finite, or the seed is impossible.

    Examples
    --------
    The noise of both algorithms, scalar, at one and at a hundred times the perturbations:

    >>> from metalqr import LQRTasks, MetaSettings
    >>> from metalqr.config.model import ErrorSweeps
    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]]], B=one, Q=one, R=one, Psi=one)
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=1.0e-5)
    >>> sweeps = ErrorSweeps(repeats=200, perturbations=[1, 100], smoothing_radius=[0.05], rollout_length=[50])
    >>> found = measure(tasks, [[0.0]], settings, sweeps, seed=0).perturbations
    >>> (found.noise.values[:, 0] / found.noise.values[:, 1]).round()
    array([10., 10.])
    """
    gain = common_gain(tasks, K)
    exact = exact_gradients(tasks, gain, settings.adaptation_rate)
    points = {
        "perturbations": [settings.replace(perturbations=M, inner_perturbations=M) for M in sweeps.perturbations],
        "smoothing_radius": [settings.replace(smoothing_radius=r) for r in sweeps.smoothing_radius],
        "rollout_length": [settings.replace(rollout_length=length) for length in sweeps.rollout_length],
    }
    scatters: dict[MetaSettings, _Scatter] = {}
    for point in itertools.chain(*points.values()):
        if point not in scatters:
            # No two estimates share an iteration of the stream.
            stream = Stream(seed, 2 * sweeps.repeats * len(scatters), Use.ESTIMATION_ERROR)
            counts = sweeps.repeats, _meta_repeats(point, settings, sweeps.repeats)
            scatters[point] = _scatter(tasks, gain, point, exact, counts, stream)
    found = {
        name: _sweep(
            name, getattr(sweeps, name), [scatters[point] for point in swept], _biases(name, tasks, gain, swept, seed)
        )
        for name, swept in points.items()
    }
    return EstimationError(K=gain, exact_norm=np.linalg.norm(exact, axis=(1, 2)), **found)


class _Scatter(NamedTuple):
    """The errors at one point, each of shape (I + 1,)."""

    repeats: NDArray[np.int64]
    error: FloatArray
    error_standard_error: FloatArray
    error_quantile: FloatArray
    noise: FloatArray
    noise_standard_error: FloatArray


def _meta_repeats(point: MetaSettings, settings: MetaSettings, repeats: int) -> int:
    """Number of repeats of Algorithm 2 at a point."""
    algorithm_3 = methods.get("zeroth_order_maml")
    steps, own_steps = (
        algorithm_3.work(1, each.replace(task_batch="all")).rollouts * each.rollout_length for each in (point, settings)
    )
    return min(repeats, max(MIN_REPEATS, repeats * own_steps // steps))


def _scatter(
    tasks: LQRTasks, gain: FloatArray, point: MetaSettings, exact: FloatArray, repeats: tuple[int, int], stream: Stream
) -> _Scatter:
    """Estimate by Algorithms 1 and 2, so many times each, and compare with the exact gradients."""
    per_task, meta = repeats
    streams = [stream.at(stream.iteration + offset) for offset in range(per_task + meta)]
    gradients = np.stack([estimate_gradient(tasks, gain, point, each) for each in streams[:per_task]])
    meta_gradients = np.stack([estimate_meta_gradient(tasks, gain, point, each) for each in streams[per_task:]])
    targets = [*np.moveaxis(gradients, 1, 0), meta_gradients]
    return _Scatter(*map(np.array, zip(*map(_statistics, targets, exact), strict=True)))


# An estimate may have overflowed. The result shows it, so no warning is needed.
@np.errstate(over="ignore", invalid="ignore")
def _statistics(estimates: FloatArray, exact: FloatArray) -> tuple[float, ...]:
    """The entries of a `_Scatter` for one target, from its estimates (repeats, k, d)."""
    count = len(estimates)
    errors = np.nan_to_num(np.linalg.norm(estimates - exact, axis=(1, 2)), nan=np.inf, posinf=np.inf)
    # Squared deviations from their own mean, made unbiased.
    squares = np.square(estimates - estimates.mean(axis=0)).sum(axis=(1, 2)) * count / (count - 1)
    noise = np.sqrt(squares.mean())
    statistics = np.array(
        [
            errors.mean(),
            errors.std(ddof=1) / np.sqrt(count),
            np.quantile(errors, QUANTILE, method="inverted_cdf"),
            noise,
            squares.std(ddof=1) / np.sqrt(count) / (2 * noise) if noise > 0 else 0.0,
        ]
    )
    return count, *np.where(np.isnan(statistics), np.inf, statistics)


def _biases(name: str, tasks: LQRTasks, gain: FloatArray, swept: list[MetaSettings], seed: int) -> list[Bias]:
    """The bias at every point of a sweep; see `Sweep`."""
    rate = swept[0].adaptation_rate
    if name == "smoothing_radius":
        return [smoothing_bias(tasks, gain, rate, point.smoothing_radius, seed) for point in swept]
    if name == "rollout_length":
        norms = [horizon_bias(tasks, gain, rate, point.rollout_length) for point in swept]
        return [Bias(norm, np.zeros_like(norm)) for norm in norms]
    both = smoothing_bias(tasks, gain, rate, swept[0].smoothing_radius, seed, swept[0].rollout_length)
    return [both] * len(swept)


def _sweep(name: str, values: Sequence[float], scatters: list[_Scatter], biases: list[Bias]) -> Sweep:
    parameter = np.array(values)
    columns = _Scatter(*(np.stack(column, axis=1) for column in zip(*scatters, strict=True)))
    norm, standard_error = (np.stack(column, axis=1) for column in zip(*biases, strict=True))
    slopes = PREDICTED_SLOPES[name]
    # Where perturbed policies are unstable and the smoothed cost is infinite, theory predicts no slope.
    used = np.isfinite(norm) & np.isfinite(columns.error) & np.isfinite(columns.noise)
    return Sweep(
        parameter=name,
        values=parameter,
        repeats=columns.repeats,
        error=fitted(parameter, columns.error, columns.error_standard_error, slopes.error, used),
        error_quantile=columns.error_quantile,
        noise=fitted(parameter, columns.noise, columns.noise_standard_error, slopes.noise, used),
        bias=fitted(parameter, norm, standard_error, slopes.bias, used),
    )

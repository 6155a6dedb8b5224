"""The measurement: many estimates at one gain, with streams of their own, compared with the exact gradients."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.config.estimation import EstimationPoint, estimation_points
from metalqr.config.theory import ErrorSweeps
from metalqr.estimators import estimate_gradient, estimate_meta_gradient
from metalqr.evaluation.estimation_error.bias import Bias, exact_gradients, horizon_bias, smoothing_bias
from metalqr.evaluation.estimation_error.curves import EstimationError, Slopes, Sweep, fitted, predicted_slopes
from metalqr.lqr import FloatArray, LQRTasks, at_optimum, common_gain
from metalqr.lqr.optimality import CANCELLED
from metalqr.simulation.streams import Stream, Use

#: The share of errors below their quantile.
QUANTILE = 0.9


def measure(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, sweeps: ErrorSweeps, seed: int) -> EstimationError:
    r"""Measure the true error of Algorithms 1 and 2 at a gain, as a function of M, r and :math:`\ell`, one at a time.

    Each estimate has a stream of its own, and a point that sweeps share is measured once. Where an estimate of
    Algorithm 2 takes more rollout steps than at the case's own settings, it is repeated less often in proportion, but
    not less than ten times. Values over the budget of rollout steps are left out: without repeats, everything else NaN.

    The gain K (k, d) is that of all tasks, the settings are those of the case, and the seed is that of the estimates
    and of the directions that the bias is averaged over.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    metalqr.config.problems.SettingsError
        If a swept value is impossible.
    ValueError
        If K has another shape or is not finite, or the seed is impossible.

    Examples
    --------
    The noise of both algorithms, scalar, at one and at a hundred times the perturbations:

    >>> from metalqr import LQRTasks, MetaSettings
    >>> from metalqr.config.theory import ErrorSweeps
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
    points = estimation_points(sweeps, settings, tasks.count, tasks.state_dim, tasks.action_dim)
    places: dict[MetaSettings, int] = {}
    scatters: dict[MetaSettings, _Scatter] = {}
    for point in (point for swept in points.values() for point in swept):
        # No two estimates share an iteration of the stream, and none moves because others are left out.
        place = places.setdefault(point.settings, len(places))
        if point.is_measured and point.settings not in scatters:
            stream = Stream(seed, 2 * sweeps.repeats * place, Use.ESTIMATION_ERROR)
            counts = sweeps.repeats, point.meta_repeats
            scatters[point.settings] = _scatter(tasks, gain, point.settings, exact, counts, stream)
    left_out = _left_out(len(exact))
    found = {}
    for name, swept in points.items():
        measured = [scatters[point.settings] if point.is_measured else left_out for point in swept]
        biases, slopes = _biases(name, tasks, gain, swept, seed), predicted_slopes(name, tasks.noise)
        found[name] = _sweep(name, getattr(sweeps, name), swept, measured, biases, slopes)
    norms, remarks = _known_norms(tasks, gain, exact)
    budget = sweeps.rollout_steps_budget
    return EstimationError(K=gain, exact_norm=norms, remark=remarks, rollout_steps_budget=budget, **found)


def _known_norms(tasks: LQRTasks, gain: FloatArray, exact: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Norms of the targets, 0 where a gradient is rounding, and why an error cannot be relative to one."""
    norms = np.linalg.norm(exact, axis=(1, 2))
    optimal = at_optimum(tasks, gain)
    # The meta-gradient may cancel between the tasks as well.
    rounding = np.append(optimal, optimal.all() or norms[-1] <= CANCELLED * (tasks.p @ norms[:-1]))
    remarks = np.where(rounding, "the gain is optimal up to rounding: the gradient is zero", "")
    remarks = np.where(np.isnan(norms), "the gain is not MAML-stabilising: there is no meta-gradient", remarks)
    return np.where(rounding, 0.0, norms), tuple(remarks.tolist())


class _Scatter(NamedTuple):
    """The errors at one point, each of shape (I + 1,)."""

    repeats: NDArray[np.int64]
    error: FloatArray
    error_standard_error: FloatArray
    error_quantile: FloatArray
    noise: FloatArray
    noise_standard_error: FloatArray


def _left_out(targets: int) -> _Scatter:
    unknown = np.full(targets, np.nan)
    return _Scatter(np.zeros(targets, dtype=np.int64), *[unknown] * (len(_Scatter._fields) - 1))


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


def _biases(name: str, tasks: LQRTasks, gain: FloatArray, swept: list[EstimationPoint], seed: int) -> list[Bias]:
    """The bias at every point of a sweep; see `Sweep`."""
    own = swept[0].settings  # except for the parameter itself
    unknown = np.full(tasks.count + 1, np.nan)

    def smoothed(point: MetaSettings, length: int | None = None) -> Bias:
        radii = {point.inner.radius, point.outer.radius}
        found = {radius: smoothing_bias(tasks, gain, own.adaptation_rate, radius, seed, length) for radius in radii}
        # Algorithm 1 has the radius of the inner layer.
        layers = zip(found[point.inner.radius], found[point.outer.radius], strict=True)
        return Bias(*(np.append(inner[:-1], outer[-1]) for inner, outer in layers))

    def bias(point: MetaSettings) -> Bias:
        if name == "smoothing_radius":
            return smoothed(point)
        if name == "rollout_length":
            norm = horizon_bias(tasks, gain, own.adaptation_rate, point.rollout_length)
            return Bias(norm, np.zeros_like(norm))
        return both()

    @functools.cache
    def both() -> Bias:
        return smoothed(own, own.rollout_length)

    return [bias(point.settings) if point.is_measured else Bias(unknown, unknown) for point in swept]


def _sweep(
    name: str,
    values: Sequence[float],
    swept: list[EstimationPoint],
    scatters: list[_Scatter],
    biases: list[Bias],
    slopes: Slopes,
) -> Sweep:
    parameter = np.array(values)
    columns = _Scatter(*(np.stack(column, axis=1) for column in zip(*scatters, strict=True)))
    norm, standard_error = (np.stack(column, axis=1) for column in zip(*biases, strict=True))
    # Where perturbed policies are unstable and the smoothed cost is infinite, theory predicts no slope.
    used = np.isfinite(norm) & np.isfinite(columns.error) & np.isfinite(columns.noise)
    return Sweep(
        parameter=name,
        values=parameter,
        rollout_steps=np.array([float(point.steps) for point in swept]),
        repeats=columns.repeats,
        error=fitted(parameter, columns.error, columns.error_standard_error, slopes.error, used),
        error_quantile=columns.error_quantile,
        noise=fitted(parameter, columns.noise, columns.noise_standard_error, slopes.noise, used),
        bias=fitted(parameter, norm, standard_error, slopes.bias, used),
    )

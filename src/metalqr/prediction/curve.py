"""The prediction of a learning curve: the stages of a run, the mean path through them, and what follows from it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr import lqr, optimal
from metalqr.config.algorithm import MetaSettings
from metalqr.config.prediction import METHODS, UPDATE_RULES
from metalqr.config.registries import methods, update_rules
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.lqr.evaluation import costs
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.mean_path import MeanPath, Point, Stage
from metalqr.prediction.noise import DirectionNoise
from metalqr.prediction.objective import MAX_EXACT_SIZE, PROBES, Objective
from metalqr.prediction.passage import Passage
from metalqr.prediction.recursion import Recursion
from metalqr.prediction.result import Prediction
from metalqr.prediction.spread import QUANTILES, RATIO_SAMPLES, Quadratic, Spread
from metalqr.prediction.stationary import stationary
from metalqr.results.runs import has_ratio
from metalqr.training.averaging import averaged_gains

#: What rounding adds to the spectral radius 1 of a step along a flat direction.
_ROUNDING = 1e-9
#: Variance of the fluctuations, by that of a walk with the same noise, beyond which overshooting makes them grow.
_GROWTH = 4.0
#: Share of perturbed policies around the mean gain that may be unstable while costs are expanded in the radius.
_LARGEST_UNSTABLE = 1e-3
#: Gains of which the costs are computed at once.
_BLOCK = 256


def predict(
    tasks: LQRTasks, K0: ArrayLike, settings: MetaSettings, *, seed: int = 0, corrects: bool = True
) -> Prediction:
    r"""Predict the learning curve of a training run without simulation.

    Algorithm 3 is a stochastic recursion with small steps. Its mean path and the covariance around it follow from exact
    quantities, see :class:`metalqr.prediction.mean_path.MeanPath`:

    .. math::

        \bar K_{t+1} = \bar K_t - \alpha_t \left( \nabla F + \tfrac12 \nabla^3 F[S_t] \right), \quad
        S_{t+1} = (I - \alpha_t H) S_t (I - \alpha_t H)^\top + \alpha_t^2 C, \quad
        E f(K_t) \approx f(\bar K_t) + \tfrac12 \langle \nabla^2 f(\bar K_t), S_t \rangle

    with the function F whose gradient the estimate is in the mean (:class:`metalqr.prediction.objective.Objective`),
    its Hessian H, the covariance C of an estimate (:class:`metalqr.prediction.noise.DirectionNoise`) and the ratio f.
    Warm-up, decay of the learning rate, drawn tasks, momentum and the average of the last gains are those of training;
    ``tolerance`` is not: all iterations are predicted, and ``limits`` say so. Nor is the rounding of single precision.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        Initial gain, stabilising for every task.
    settings : MetaSettings
    seed : int
        Of the samples of band and chances, and of what is measured.
    corrects : bool
        With the third derivative in the mean path.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        If the method or the update rule has no linear recursion that is known.
    UnstablePolicyError
        If K0 does not stabilise every task.

    Examples
    --------
    >>> tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=0.0, estimator="two_point", iterations=100)
    >>> found = predict(tasks, [[0.0]], settings)
    >>> found.ratio.shape, bool(found.ratio[-1] < found.ratio[0])
    ((101,), True)
    """
    gain = common_gain(tasks, K0, "K0")
    _require_known(settings)
    lqr.require_stabilising(tasks, gain, "the initial gain")
    return _Curve(tasks, gain, settings, seed, corrects).prediction()


def _require_known(settings: MetaSettings) -> None:
    if settings.method not in METHODS:
        raise ValueError(
            f"method: {settings.method!r} has no prediction, which needs mean and covariance of its directions; "
            f"choose {' or '.join(METHODS)}"
        )
    if settings.update_rule not in UPDATE_RULES:
        reason = "no linear recursion that is known"
        if settings.update_rule == "adam":
            reason = "no linear recursion: its step is the ratio of two running means of the noisy directions"
        raise ValueError(
            f"update_rule: {settings.update_rule!r} has {reason}, so that nothing is predicted; "
            f"choose {' or '.join(UPDATE_RULES)}"
        )


class _Curve:
    def __init__(self, tasks: LQRTasks, K0: FloatArray, settings: MetaSettings, seed: int, corrects: bool) -> None:
        self._tasks, self._K0, self._settings, self._seed = tasks, K0, settings, seed
        self._count = settings.iterations + 1
        self._optimal = optimal.optimal_gains(tasks).cost
        known = has_ratio(self._optimal, lqr.cost(tasks, K0))
        self._scale = float(self._optimal.sum()) if known else np.nan
        self._spread = Spread(tasks, settings, seed)
        self._stages = list(self._make_stages(seed))
        rule = update_rules.get(settings.update_rule)(settings)
        momentum = float(rule.own.momentum_decay) if rule.name == "momentum" else 0.0
        averaged = averaged_gains(self._count, settings.average_last) if settings.average_last else 0
        self._averaged = averaged
        self._recursion = Recursion(momentum, averages=averaged > 0)
        self._path = MeanPath(self._recursion, self._rate, self._count - averaged, corrects, self._ratio_curvature)

    def _make_stages(self, seed: int) -> list[Stage]:
        settings, adapts = self._settings, self._settings.method == "zeroth_order_maml"
        rate = settings.adaptation_rate if adapts else 0.0
        turn = min(settings.warm_up, settings.iterations) if rate else 0
        spans = [(0, turn, 0.0)] if turn else []
        if turn < settings.iterations or not turn:
            spans.append((turn, settings.iterations, rate))
        stages = []
        for first, last, of_stage in spans:
            objective = Objective(self._tasks, settings, of_stage, self._K0)
            inner = InnerNoise(objective, settings) if of_stage else None
            stages.append(Stage(first, last, objective, DirectionNoise(objective, settings, inner, seed), inner))
        return stages

    def _rate(self, iteration: int) -> float:
        return float(self._settings.learning_rate / self._settings.slowdown(iteration))

    def _ratio_curvature(self, K: FloatArray) -> FloatArray:
        return np.asarray(lqr.hessian_matrix(self._tasks, K).sum(axis=0) / self._scale)

    def _near(self, K: FloatArray) -> Quadratic:
        slope = lqr.gradient(self._tasks, K).sum(axis=0).ravel() / self._scale
        return Quadratic(self._ratio(K), slope, self._ratio_curvature(K))

    def _ratio(self, K: FloatArray) -> float:
        return float(lqr.cost(self._tasks, K).sum() / self._scale - 1.0)

    def prediction(self) -> Prediction:
        points = list(self._path.run(self._stages, self._K0))
        reached = len(self._path.gains)
        gains = np.stack(self._path.gains)
        found = [costs(self._tasks, gains[first : first + _BLOCK]) for first in range(0, reached, _BLOCK)]
        path_ratio = np.concatenate(found).sum(axis=1) / self._scale - 1.0
        expected = path_ratio + np.array(self._path.excess)
        places = [point.iteration for point in points]
        shapes = [self._shape(point.K, point.covariance) for point in points]
        unstable = [self._spread.chances(point.K, point.covariance).unstable_share for point in points]
        leaving = self._leaving(points)
        between = [np.interp(np.arange(reached), places, column) for column in zip(*shapes, strict=True)]
        names = ("lower", "median", "upper", "geometric_mean")
        curves = {name: expected * each for name, each in zip(names, between, strict=True)}
        curves |= {"ratio": expected, "path_ratio": path_ratio}
        still = np.zeros((self._K0.size, self._K0.size))
        tried = [self._spread.chances(point.K, still).unstable_share for point in points]
        valid_until, limits = self._limits(points, leaving, tried)
        stationary_ratio, remark = self._stationary(points[-1])
        kinds = list(dict.fromkeys(point.noise_kind for point in points))
        return Prediction(
            **{name: self._padded(curve, np.inf) for name, curve in curves.items()},
            unstable_share=self._at_all(places, unstable),
            leaving_chance=np.where(np.arange(self._count) < reached, self._at_all(places, leaving), 1.0),
            contraction=self._at_all(places, [point.radius for point in points]),
            rollout_steps=self._rollout_steps(),
            K=self._padded(gains, np.nan),
            covariance=points[-1].covariance,
            average=self._average(gains),
            stationary_ratio=stationary_ratio,
            valid_until=valid_until,
            limits=(*limits, *self._remarks(max(tried)), *remark),
            noise_kind=", then ".join(kinds),
            band_kind=f"{RATIO_SAMPLES} samples of a quadratic form of a Gaussian, with a fixed seed",
        )

    def _shape(self, K: FloatArray, covariance: FloatArray) -> Sequence[float]:
        """Quantiles and geometric mean of the ratio at a gain, relative to its mean."""
        near = self._near(K)
        if not np.isfinite(near.value):
            return [np.nan] * 4
        samples = self._spread.ratios(near, covariance)
        mean = near.expected(covariance)
        return [*(np.quantile(samples, QUANTILES) / mean), float(np.exp(np.log(samples).mean())) / mean]

    def _leaving(self, points: Sequence[Point]) -> list[float]:
        """The chance to have left the common stabilising set until each point."""
        passage = Passage(self._tasks, self._seed)
        found = []
        for point in points:
            stage = next((each for each in self._stages if point.iteration < each.last), None)
            is_cheap = stage is not None and self._K0.size <= MAX_EXACT_SIZE
            gradients = stage.objective.followed_at if stage is not None and is_cheap else None
            found.append(passage.at(point, self._rate(point.iteration), gradients))
        return found

    def _limits(
        self, points: Sequence[Point], leaving: Sequence[float], tried: Sequence[float]
    ) -> tuple[int, tuple[str, ...]]:
        """The last iteration at which the approximation is valid, and why.

        Given the chance to have left and the share of unstable perturbations of the mean gain at each point.
        """
        found: list[tuple[int, str]] = []

        def first(is_bad: Sequence[bool], reason: str) -> None:
            if any(is_bad):
                found.append((points[list(is_bad).index(True)].iteration, reason))

        left_at, overshoots = self._path.left_at, [point.radius > 1.0 + _ROUNDING for point in points]
        # An overshoot that ends is none: fluctuations that it has enlarged decay, and their size counts below.
        lasting = np.logical_and.accumulate([point.growth > _GROWTH for point in reversed(points)])[::-1]
        if left_at is not None:
            lasting |= [point is points[-1] and overshoots[-1] for point in points]
        first(lasting.tolist(), "steps overshoot, so that fluctuations grow")
        first([chance > 0.5 for chance in leaving], "more than half of the runs have left the stabilising set")
        own = [self._ratio(point.K - point.shift) for point in points]
        shifted = [abs(self._ratio(point.K) - each) > abs(each) for point, each in zip(points, own, strict=True)]
        first(shifted, "the fluctuations shift the mean path by more than its own excess cost")
        first(
            [
                point.noise_kind != "measured" and share > _LARGEST_UNSTABLE
                for point, share in zip(points, tried, strict=True)
            ],
            "perturbed policies around the mean gain are unstable, whose costs no expansion in the radius describes",
        )
        if left_at is not None:
            what = "every step" if points[-1].leaving == 1.0 else "the mean path"
            found.append((left_at, f"{what} leaves the stabilising set"))
        last = min((iteration for iteration, _ in found), default=self._count)
        return max(0, last - 1), tuple(f"from iteration {iteration}: {reason}" for iteration, reason in sorted(found))

    def _remarks(self, unstable: float) -> Iterator[str]:
        """What else is approximated, or left out, with the largest share of unstable perturbations of the mean gain."""
        settings = self._settings
        if unstable > _LARGEST_UNSTABLE:
            yield f"up to {unstable:.1%} of the perturbed policies around the mean gain are unstable"
        if self._K0.size > MAX_EXACT_SIZE:
            yield f"third derivatives in {PROBES} random orthogonal directions; the Hessian without smoothing"
        if settings.tolerance > 0.0:
            yield f"the tolerance {settings.tolerance:g} is not modelled: all iterations are predicted"
        if settings.precision == "float32":
            yield "the rounding of single precision is not modelled"

    def _average(self, gains: FloatArray) -> FloatArray:
        if not self._averaged or len(gains) < self._count:
            return np.full(4, np.nan)
        K = gains[-self._averaged :].mean(axis=0)
        covariance = self._path.state[-1, -1] / self._averaged**2
        near = self._near(K)
        if not np.isfinite(near.value):
            return np.full(4, np.inf)
        lower, median, upper = np.quantile(self._spread.ratios(near, covariance), QUANTILES)
        return np.array([near.expected(covariance), median, lower, upper])

    def _stationary(self, point: Point) -> tuple[float, tuple[str, ...]]:
        """The ratio after infinitely many iterations, NaN if there is none, and a remark on it."""
        if len(self._path.gains) < self._count:
            return np.nan, ()
        rate = 0.0 if self._settings.learning_rate_decay else self._settings.learning_rate
        found = stationary(self._stages[-1], self._recursion, rate, point.K, self._path.corrects)
        if found is None:
            return np.nan, ()
        lacks = self._path.corrects and rate > 0.0 and not found.is_corrected
        remark = "the stationary ratio without the third derivative, with which no solution is near" if lacks else ""
        return self._near(found.K).expected(found.covariance), (remark,) if remark else ()

    def _rollout_steps(self) -> NDArray[np.int64]:
        method, settings = methods.get(self._settings.method), self._settings
        work = [method.warm_up_work(self._tasks.count, settings), method.work(self._tasks.count, settings)]
        each = np.where(np.arange(self._count - 1) < settings.warm_up, *(part.rollouts for part in work))
        return np.concatenate([[0], np.cumsum(each * settings.rollout_length)]).astype(np.int64)

    def _at_all(self, places: Sequence[int], values: Sequence[float]) -> FloatArray:
        """Values at some iterations, interpolated to all that are reached, and NaN beyond."""
        return self._padded(np.interp(np.arange(len(self._path.gains)), places, values), np.nan)

    def _padded(self, array: FloatArray, filler: float) -> FloatArray:
        found = np.full((self._count, *array.shape[1:]), filler)
        found[: len(array)] = array
        return found

"""The covariance of the direction that a method follows, from that of one task's estimate."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import estimators
from metalqr.estimators.expansion import Expansion, Jet
from metalqr.estimators.meta import Estimation
from metalqr.estimators.neighbourhood import Around
from metalqr.estimators.variance import Covariance, covariance
from metalqr.lqr import FloatArray
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.objective import Objective
from metalqr.simulation.streams import Stream, Use

#: The estimator of the first iteration, where one with a memory remembers nothing: its coefficient is the value itself.
_WITHOUT_MEMORY = "one_point"
#: Estimates of one direction that are simulated where no formula is accurate, and those of one task's gradient.
DIRECTIONS, ESTIMATES = 400, 2_000
#: What is measured is measured at every so many points of the mean path, and kept in between.
MEASURED_EVERY = 8


class Noise(NamedTuple):
    """The noise of a direction at a gain.

    Attributes
    ----------
    covariance : array, shape (n, n)
    kind : str
        As that of :class:`metalqr.estimators.Covariance`.
    bias : array, shape (k, d), or None
        The mean of the direction less the gradient of the objective, where it is measured.
    """

    covariance: FloatArray
    kind: str
    bias: FloatArray | None = None


class DirectionNoise:
    r"""The covariance C of one direction.

    Of all tasks :math:`\sum_i p_i^2 C_i`; of b drawn ones
    :math:`\frac1b (\sum_i p_i C_i + \mathrm{Cov}_p(\nabla F_i))`. :math:`C_i` is that of the estimate of one task's
    gradient at the adapted gain, :func:`metalqr.estimators.covariance`. To it comes, to leading order in the radius,
    what the inner noise adds to mean and variance of a value, see :class:`InnerNoise`, and the slope of F in place of
    that of the cost. Where the inner noise is not small, mean and covariance of the whole direction are measured.
    """

    def __init__(self, objective: Objective, settings: MetaSettings, inner: InnerNoise | None, seed: int) -> None:
        self._objective, self._settings, self._inner, self._seed = objective, settings, inner, seed
        self._tasks = objective.tasks
        self._measured: Noise | None = None
        self._points = 0

    def at(self, K: FloatArray, before: FloatArray | None) -> Noise:
        """The noise at a gain (k, d), that of the iteration before it being another; None before the first."""
        if self._measured is not None and self._points % MEASURED_EVERY:
            self._points += 1
            return self._measured
        found = self._at(K, before)
        if found.kind == "measured":
            self._measured = found
            self._points += 1
        return found

    def _at(self, K: FloatArray, before: FloatArray | None) -> Noise:
        if self._inner is not None and not self._inner.is_small(K):
            return self._simulated(K, before)
        each = self._of_tasks(K, before)
        p, batch = self._tasks.p, self._settings.task_batch
        if batch == "all":
            return Noise(np.tensordot(p**2, each.matrix, axes=1), each.kind)
        slopes = self._objective.parts(K[np.newaxis])[0].reshape(len(p), -1)
        slopes = slopes - p @ slopes
        total = np.tensordot(p, each.matrix, axes=1) + (p[:, np.newaxis] * slopes).T @ slopes
        return Noise(total / int(batch), each.kind)

    def _of_tasks(self, K: FloatArray, before: FloatArray | None) -> Covariance:
        """That of the estimate of every task, (I, n, n)."""
        settings = self._settings_at(before)
        gains, old = self._objective.adapted(K), self._objective.adapted(K if before is None else before)
        found = covariance(self._tasks, gains, settings, before=old, seed=self._seed, repeats=self._repeats)
        if self._inner is None or found.kind == "measured":
            return found
        added = self._added(K, K if before is None else before, gains, old, settings)
        return Covariance(found.matrix + added, found.standard_error, found.kind)

    def _added(
        self, K: FloatArray, before: FloatArray, gains: FloatArray, old: FloatArray, settings: MetaSettings
    ) -> FloatArray:
        """What the inner noise and the slope of the adaptation add, to leading order."""
        assert self._inner is not None
        objective, estimator = self._objective, estimators.get(settings.estimator)(settings)
        law = estimator.directions.law(settings.smoothing_radius, objective.size, 2)
        assert law is not None
        around = Around(
            self._tasks, gains, settings.rollout_length, settings.perturbations, settings.smoothing_radius, law
        )
        earlier = around._replace(gains=old)
        plain, adapted = Expansion(around), _AdaptedExpansion(around, objective, self._inner, K)
        plain.before, adapted.before = Expansion(earlier), _AdaptedExpansion(earlier, objective, self._inner, before)
        with_noise, without = estimator.covariance(adapted), estimator.covariance(plain)
        assert with_noise is not None
        assert without is not None
        return with_noise - without

    def _settings_at(self, before: FloatArray | None) -> MetaSettings:
        if before is None and estimators.get(self._settings.estimator).is_outer_only:
            return self._settings.replace(estimator=_WITHOUT_MEMORY)
        return self._settings

    @cached_property
    def _repeats(self) -> int | None:
        """Number of estimates where they are simulated; of frames where costs are integrated, the default."""
        known = estimators.get(self._settings.estimator)(self._settings)
        law = known.directions.law(self._settings.smoothing_radius, self._objective.size, 2)
        return None if law is not None else ESTIMATES

    def _simulated(self, K: FloatArray, before: FloatArray | None) -> Noise:
        """Mean and covariance of many simulated directions."""
        estimation, stream = Estimation(self._tasks, self._settings), Stream(self._seed, 0, Use.COVARIANCE)
        adapts = self._objective.rate > 0
        found = []
        for repeat in range(DIRECTIONS):
            memory = None
            for place, gain in enumerate([K] if before is None else [before, K]):
                estimate = estimation.meta_gradient if adapts else estimation.mean_gradient
                direction = estimate(gain, stream.at(2 * repeat + place), memory)
                memory = direction.memory or None
            found.append(direction.gradient.ravel())
        samples = np.array(found)
        mean = samples.mean(axis=0).reshape(K.shape)
        matrix = np.atleast_2d(np.cov(samples, rowvar=False))
        return Noise(matrix, "measured", mean - self._objective.gradient(K))


class _AdaptedExpansion(Expansion):
    """The values of Algorithm 2 around a gain, by those of the adapted gain and what the inner noise adds."""

    def __init__(self, around: Around, objective: Objective, inner: InnerNoise, K: FloatArray) -> None:
        super().__init__(around)
        self._objective, self._inner, self._gain = objective, inner, K

    @cached_property
    def _cost(self) -> Jet:
        point = self._gain[np.newaxis]
        slope = self._objective.parts(point)[0].reshape(len(self._point[1]), -1)
        mean = self._objective.values(point)[0] + self._inner.moments(self._gain).mean
        return Jet(mean, slope, np.zeros((1, 1, 1)))

    @cached_property
    def _variance(self) -> Jet:
        tasks, gains, length = self._point
        variance = lqr.rollout_variance(tasks, gains, length) + self._inner.moments(self._gain).variance
        return Jet(variance, np.zeros((1, 1)), np.zeros((1, 1, 1)))

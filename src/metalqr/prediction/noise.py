"""The covariance of the direction that a method follows, from that of one task's estimate."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import estimators
from metalqr.estimators.expansion import Expansion, Jet
from metalqr.estimators.meta import Estimation, estimate_gradient
from metalqr.estimators.neighbourhood import Around
from metalqr.estimators.variance import Covariance, covariance
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.objective import MAX_EXACT_SIZE, Objective
from metalqr.prediction.spread import perturbations, stabilise
from metalqr.simulation.streams import Stream, Use

#: The estimator of the first iteration, where one with a memory remembers nothing: its coefficient is the value itself.
_WITHOUT_MEMORY = "one_point"
#: Estimates of one direction that are simulated where no formula is accurate, and those of one task's gradient.
DIRECTIONS, ESTIMATES = 400, 2_000
#: What is measured is kept for so many points of the mean path, but no farther than a smoothing radius.
MEASURED_EVERY = 8
#: Policies of each kind that a direction evaluates, and the mean square of their costs, by the square of their median,
#: beyond which few of them decide it: the cost of an unstable loop grows exponentially with the length of the rollout.
POLICIES, HEAVY = 500, 2.0
#: Perturbed policies that are adapted by one inner perturbation: noise of few is rarely, but then far, beyond that of a
#: Gaussian. It is not looked for where it adds a smaller share to the mean cost.
ADAPTED, LEAST_SHARE = 4_000, 1e-5


class Noise(NamedTuple):
    """The noise of a direction at a gain.

    Attributes
    ----------
    covariance : array, shape (n, n)
    kind : str
        As that of :class:`metalqr.estimators.Covariance`.
    bias : array, shape (k, d), or None
        The mean of the direction less the gradient of the objective, where it is measured.
    leaving : float
        Share of the steps that leave the stabilising set, where the direction is measured; mean and covariance are
        those of the others.
    """

    covariance: FloatArray
    kind: str
    bias: FloatArray | None = None
    leaving: float = 0.0


class DirectionNoise:
    r"""The covariance C of one direction.

    Of all tasks :math:`\sum_i p_i^2 C_i`; of b drawn ones
    :math:`\frac1b (\sum_i p_i C_i + \mathrm{Cov}_p(\nabla F_i))`. :math:`C_i` is that of the estimate of one task's
    gradient at the adapted gain, :func:`metalqr.estimators.covariance`. To it comes, to leading order in the radius,
    what the inner noise adds to mean and variance of a value, see :class:`InnerNoise`, and the slope of F in place of
    that of the cost.

    Where the inner noise is not small, or few of the policies that a direction evaluates are so unstable that they
    decide its mean, mean and covariance of the whole direction are measured. It may then have so heavy a tail that the
    largest sample decides the mean of any number of them: it is the mean of nothing that a run follows. What a run that
    stays stable follows are the directions whose step leads to a stabilising gain; theirs are mean and covariance, and
    the share of the others is known. Once these add up to half of the runs, the others follow the formula again.
    """

    def __init__(self, objective: Objective, settings: MetaSettings, inner: InnerNoise | None, seed: int) -> None:
        self._objective, self._settings, self._inner, self._seed = objective, settings, inner, seed
        self._tasks = objective.tasks
        self._measured: tuple[Noise, FloatArray] | None = None
        self._points, self._staying = 0, 1.0

    def at(self, K: FloatArray, before: FloatArray | None, rate: float) -> Noise:
        """The noise at a gain (k, d) from which a step is made; the gain before it is None for the first."""
        found = self._kept(K)
        if found is None:
            found = self._at(K, before, rate)
            self._measured = (found, K) if found.kind == "measured" else None
            self._points = 0
        self._staying *= 1.0 - found.leaving
        return found

    def _kept(self, K: FloatArray) -> Noise | None:
        """The noise that was measured last, while it still counts."""
        if self._measured is None or self._is_settled:
            return None
        noise, where = self._measured
        self._points += 1
        is_near = np.linalg.norm(K - where) <= self._settings.smoothing_radius
        return noise if self._points < MEASURED_EVERY and is_near else None

    @property
    def _is_settled(self) -> bool:
        """Whether most runs have left: those that stay, about which nothing is certain, then follow the formula."""
        return self._staying < 0.5 and (self._inner is None or self._inner.is_known)

    def _at(self, K: FloatArray, before: FloatArray | None, rate: float) -> Noise:
        is_small = self._inner is None or self._inner.is_small(K)
        if not self._is_settled and (not is_small or self._has_heavy_tails(K)):
            return self._simulated(K, before, rate)
        each = self._of_tasks(K, before)
        p, batch = self._tasks.p, self._settings.task_batch
        if batch == "all":
            return Noise(np.tensordot(p**2, each.matrix, axes=1), each.kind)
        slopes = self._objective.parts(K[np.newaxis])[0].reshape(len(p), -1)
        slopes = slopes - p @ slopes
        total = np.tensordot(p, each.matrix, axes=1) + (p[:, np.newaxis] * slopes).T @ slopes
        return Noise(total / int(batch), each.kind)

    def _has_heavy_tails(self, K: FloatArray) -> bool:
        """Whether few of the policies around a gain (k, d) that a direction evaluates cost far more than the others.

        Of large gains only noisy adaptations are looked at.
        """
        inner, length = self._inner, self._settings.rollout_length
        if inner is not None and inner.share(K) >= LEAST_SHARE:
            found = simulated_adaptations(
                self._tasks,
                self._perturbed(K, count_adapted(self._settings, K.size)),
                self._settings,
                Stream(self._seed, 1, Use.COVARIANCE),
            )
            if has_heavy_tails(self._tasks, found, length):
                return True
        if K.size > MAX_EXACT_SIZE:
            return False
        policies = self._perturbed(K)
        tried = [policies] if inner is None else [policies, policies + (self._objective.adapted(K) - K)]
        return any(has_heavy_tails(self._tasks, each, length) for each in tried)

    def _perturbed(self, K: FloatArray, count: int = POLICIES) -> FloatArray:
        """Policies (P, I, k, d) around a gain (k, d)."""
        found = K + self._perturbations[:count].reshape(-1, 1, *K.shape)
        return np.broadcast_to(found, (count, self._tasks.count, *K.shape))

    @cached_property
    def _perturbations(self) -> FloatArray:
        return perturbations(self._settings, self._objective.size, ADAPTED, self._seed)

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

    def _simulated(self, K: FloatArray, before: FloatArray | None, rate: float) -> Noise:
        """Mean and covariance of many simulated directions, of those whose step leads to a stabilising gain."""
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
        stays = stabilise(self._tasks, K - rate * samples.reshape(-1, *K.shape))
        leaving = 1.0 - float(stays.mean())
        if stays.sum() < 2:
            return Noise(np.zeros((K.size, K.size)), "measured", np.zeros(K.shape), leaving=1.0)
        mean = samples[stays].mean(axis=0).reshape(K.shape)
        matrix = np.atleast_2d(np.cov(samples[stays], rowvar=False))
        return Noise(matrix, "measured", mean - self._objective.gradient(K), leaving)


def count_adapted(settings: MetaSettings, size: int) -> int:
    """Number of perturbed policies, of gains with so many entries, whose adaptations show how heavy their tails are."""
    return max(POLICIES, ADAPTED // settings.inner.perturbations) if size <= MAX_EXACT_SIZE else POLICIES


def has_heavy_tails(tasks: LQRTasks, policies: FloatArray, length: int) -> bool:
    """Whether few of some policies (P, I, k, d) of every task cost far more than the others."""
    each = policies.reshape(-1, *policies.shape[2:])
    with np.errstate(over="ignore", invalid="ignore"):
        costs = lqr.finite_horizon_cost(lqr.tiled(tasks, len(policies)), each, length).reshape(len(policies), -1)
        spread = (costs**2).mean(axis=0) / np.median(costs, axis=0) ** 2
    return not bool((spread < HEAVY).all())


def simulated_adaptations(tasks: LQRTasks, policies: FloatArray, settings: MetaSettings, stream: Stream) -> FloatArray:
    """Policies (P, I, k, d) after the adaptation of each by an inner estimate of its own."""
    each = policies.reshape(-1, *policies.shape[2:])
    with np.errstate(over="ignore", invalid="ignore"):
        slopes = estimate_gradient(lqr.tiled(tasks, len(policies)), each, settings, stream)
        return np.asarray(policies - settings.adaptation_rate * slopes.reshape(policies.shape))


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

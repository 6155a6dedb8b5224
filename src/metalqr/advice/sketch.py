"""A cheap prediction of the final ratio for many settings at once: a gradient flow, and the fluctuations around it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from metalqr import lqr, optimal
from metalqr.advice.flow import Flow, follow
from metalqr.advice.fluctuations import Fluctuations
from metalqr.advice.noise import InnerTerms, Terms, rounded, terms
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.inner_noise import LARGE, LARGE_IF_MANY, as_outer
from metalqr.prediction.objective import MAX_EXACT_SIZE, Objective

#: Points of the flow at which curvature and noise are computed, and times at which its gain is.
POINTS, _TIMES = 8, 120
#: The first of these times, in largest monotone steps of the initial gain.
_FIRST = 0.2
#: Product of time and curvature that is as good as none.
_FLAT = 1e-6
#: Excess ratio, in the first one, at which the flow has arrived; and the most of it that a step takes away.
_ARRIVED, _MOST_OF_A_STEP = 1e-5, 0.8


class Losses(NamedTuple):
    """The parts of a predicted final ratio; their sum is the ratio. Each is a number, or an array of one shape."""

    tasks: FloatArray  # of the best single gain: tasks that differ
    horizon: FloatArray  # rollouts of finite length, and the adaptation
    radius: FloatArray  # smoothing, and inner noise in the mean
    unfinished: FloatArray  # the mean path has not arrived
    noise: FloatArray  # fluctuations around it

    @property
    def total(self) -> FloatArray:
        """The predicted ratio."""
        with np.errstate(invalid="ignore"):
            return np.asarray(sum(self))


class Schedules(NamedTuple):
    """Learning rates of some runs with the same number of iterations, and what noise does to their ends."""

    times: FloatArray  # at which the flow ends, (S,)
    responses: FloatArray  # of the ends to a constant force along each eigenvector of the last point, (S, n)
    weights: FloatArray  # products with the noise at the points, in the eigenbases, give the ratio: (S, P, n, n)
    traces: FloatArray  # of the weights, (S, P)


class _Length(NamedTuple):
    """What is known of one rollout length."""

    objective: Objective
    flow: Flow
    gains: FloatArray  # of the points, (P, k, d)
    adapted: FloatArray  # of the points, (P, I, k, d)
    variance: FloatArray  # of the rollouts of the adapted gains, (P, I)
    pull: FloatArray  # what smoothing adds to the gradient at the last point, for a covariance I, (n,)
    slope: FloatArray  # gradient of the ratio at the last point, (n,)


class Sketch:
    r"""Final ratios to leading order.

    With steps below the largest monotone one the mean path is the flow :math:`dK/d\tau = -\nabla F(K)` at
    :math:`\tau = \sum_t \alpha_t`, whatever the steps. The covariance follows
    :math:`S \leftarrow (I - \alpha H) S (I - \alpha H) + \alpha^2 C` in closed form between points, with the noise to
    leading order in the radius, and does not act back on the mean path. To the gradient, smoothing adds
    :math:`\frac12 \nabla^3 F[w I]`, and inner noise that of the mean it adds to the values; they move the end by
    :math:`-H^{-1} (1 - e^{-\tau H})` times that. Curvatures are those along the flow of the longest rollouts. What does
    not depend on a budget is kept.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array, shape (k, d)
        Stabilising for every task.
    rate : float
        Adaptation rate.
    iterations, length : int
        The most iterations and the longest rollouts that are asked for.
    """

    def __init__(self, tasks: LQRTasks, K0: FloatArray, rate: float, iterations: int, length: int) -> None:
        self._tasks, self._K0, self._rate = tasks, K0, rate
        self.size = K0.size
        self._scale = float(optimal.optimal_gains(tasks).cost.sum())
        first = self._objective(length)
        start = 1.0 / float(np.abs(np.linalg.eigvalsh(first.hessian(K0))).max())
        self._times = np.concatenate([[0.0], np.geomspace(_FIRST * start, iterations * start, _TIMES)])
        self._places = np.linspace(0, _TIMES, POINTS).round().astype(int)
        self._lengths: dict[int, _Length] = {}
        self._noises: dict[tuple[object, ...], Terms] = {}
        self._inner: dict[tuple[object, ...], InnerTerms] = {}
        self._longest = length
        known = self._at(length)
        curvatures = [first.hessian(K) for K in known.gains]
        self.fluctuations = Fluctuations(curvatures, self._times[self._places])
        self.largest_step = 1.0 / float(self.fluctuations.values.max())
        self._ratio_curvature = lqr.hessian_matrix(tasks, known.gains[-1]).sum(axis=0) / self._scale
        # The flow ends elsewhere where the longest rollouts are short for the system.
        shared = float(optimal.shared_gain(tasks).cost.sum()) / self._scale - 1.0
        self._single = min(shared, float(known.flow.ratios.min()))

    def gains(self, length: int) -> FloatArray:
        """The gains of the points of the flow with rollouts of a length, (P, k, d)."""
        return self._at(length).gains

    def schedules(self, rates: Sequence[FloatArray]) -> Schedules:
        """What is known of the learning rates (N,) of some runs."""
        weights = np.stack([self.fluctuations.weights(each, self._ratio_curvature) for each in rates])
        times = self._flow_times(np.stack(rates))
        # Directions that are flat, or curved the other way at a gain where the flow has not arrived, move all the time.
        decays = np.outer(times, np.maximum(self.fluctuations.values[-1], _FLAT / times.max()))
        responses = times[:, np.newaxis] * -np.expm1(-decays) / decays
        return Schedules(times, responses, weights, np.einsum("spaa->sp", weights))

    def _flow_times(self, rates: FloatArray) -> FloatArray:
        r"""At which the flow is where steps (S, N) lead, (S,).

        In a direction of curvature h, a step of :math:`\alpha` takes it as far as the flow goes in
        :math:`-\ln(1 - \alpha h) / h`. The direction in which most is left shows in how fast the ratio falls.
        """
        ratios = self._at(self._longest).flow.ratios
        finite = np.where(np.isfinite(ratios), ratios, ratios[0])
        excess = np.log(np.maximum(finite - finite.min(), _ARRIVED * finite[0]))
        decay = np.maximum(-0.5 * np.gradient(excess, self._times), 0.0)
        found = np.zeros(len(rates))
        for step in rates.T:
            share = np.clip(step * np.interp(found, self._times, decay), 1e-9, _MOST_OF_A_STEP)
            found = found - step * np.log1p(-share) / share
        return found

    def losses(self, settings: MetaSettings, schedules: Schedules, radii: FloatArray) -> tuple[Losses, FloatArray]:
        """The parts of the final ratio, (S, R), with each of the schedules and radii (R,) in place of the settings'.

        With an inner radius it keeps its share of the outer one. They are infinite where inner noise is not small.
        Beside them the trace of the noise at the initial gain, (R,).
        """
        known = self._at(settings.rollout_length)
        least = float(known.flow.ratios[-1])
        single = min(self._single, least)
        reached = np.interp(schedules.times, self._times, known.flow.ratios)
        pull = radii[:, np.newaxis] ** 2 / (self.size + 2) * known.pull
        factor, is_small = np.ones((len(radii), POINTS, self._tasks.count)), np.ones(len(radii), dtype=bool)
        if self._rate:
            inner, inner_radii = self._inner_terms(settings), settings.inner.radius / settings.smoothing_radius * radii
            pull = pull + inner.slope(settings.inner_perturbations, inner_radii)
            factor = 1.0 + inner.variance(settings.inner_perturbations, inner_radii) / known.variance
            share = inner.share(settings.inner_perturbations, inner_radii)
            is_small = share <= (LARGE if self.size <= MAX_EXACT_SIZE else LARGE_IF_MANY)
        # In the eigenbasis of the last point.
        basis = self.fluctuations.bases[-1]
        shift = -schedules.responses[:, np.newaxis] * (pull @ basis)
        curvature = basis.T @ self._ratio_curvature @ basis
        bias = shift @ (basis.T @ known.slope) + 0.5 * np.einsum(
            "srn,nm,srm->sr", shift, curvature, shift, optimize=True
        )
        noise = self._noise(settings)
        steep = np.einsum("sp,pi,rpi,r->sr", schedules.traces, noise.steep, factor, radii**-2.0)
        flat = np.tensordot(schedules.weights, noise.flat, axes=3)[:, np.newaxis]
        excess = np.where(is_small, 0.5 * (steep + flat), np.inf)
        # Where the flow leaves the stabilising set, ratios are infinite and their differences are not numbers.
        with np.errstate(invalid="ignore"):
            parts = (single, least - single, bias, (reached - least)[:, np.newaxis], excess)
        first = self.size * np.einsum("i,ri->r", noise.steep[0], factor[:, 0]) / radii**2 + np.trace(noise.flat[0])
        return Losses(*(np.broadcast_to(np.asarray(part), excess.shape) for part in parts)), first

    def states(self, settings: MetaSettings, iterations: Sequence[int]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """The mean gain (k, d) and the covariance (n, n) after some numbers of iterations, at least one, in order."""
        known, rates, noise = self._at(settings.rollout_length), learning_rates(settings), self._noise(settings)
        height = noise.steep / settings.smoothing_radius**2
        if self._rate:
            inner, radius = self._inner_terms(settings), np.array([settings.inner.radius])
            height = height * (1.0 + inner.variance(settings.inner_perturbations, radius)[0] / known.variance)
        matrices = height.sum(axis=1)[:, np.newaxis, np.newaxis] * np.eye(self.size) + noise.flat
        found = self.fluctuations.covariances(rates, matrices, iterations)
        for iteration, covariance in zip(iterations, found, strict=True):
            place = int(np.searchsorted(self._times, rates[:iteration].sum()))
            yield known.flow.path[min(place, _TIMES)], covariance

    def _noise(self, settings: MetaSettings) -> Terms:
        """That of a direction at the points: A by task, (P, I), and B in the eigenbases, (P, n, n)."""
        count = rounded(settings.perturbations)
        key = (settings.rollout_length, settings.estimator, settings.common_noise, count)
        if key not in self._noises:
            chosen = settings.replace(perturbations=count, inner_smoothing_radius=None)
            found = terms(self._tasks, self._at(settings.rollout_length).adapted, chosen)
            p, bases = self._tasks.p**2, self.fluctuations.bases
            flat = bases.mT @ np.einsum("i,pinm->pnm", p, found.flat) @ bases
            self._noises[key] = Terms(p * found.steep, flat)
        share = count / settings.perturbations
        return Terms(*(share * each for each in self._noises[key]))

    def _inner_terms(self, settings: MetaSettings) -> InnerTerms:
        chosen = as_outer(settings)
        key = (chosen.rollout_length, chosen.estimator, chosen.common_noise, chosen.perturbations)
        if key not in self._inner:
            known = self._at(settings.rollout_length)
            self._inner[key] = InnerTerms(known.objective, known.gains, chosen)
        return self._inner[key]

    def _at(self, length: int) -> _Length:
        if length not in self._lengths:
            objective = self._objective(length)
            flow = follow(objective, self._K0, self._times, self._scale)
            gains = flow.path[self._places]
            adapted = np.stack([objective.adapted(K) for K in gains])
            tiled = lqr.tiled(self._tasks, POINTS)
            variance = lqr.rollout_variance(tiled, adapted.reshape(-1, *self._K0.shape), length)
            pull = objective.correction(gains[-1], np.eye(self.size)).ravel()
            slope = lqr.gradient(self._tasks, gains[-1]).sum(axis=0).ravel() / self._scale
            variance = variance.reshape(POINTS, -1)
            self._lengths[length] = _Length(objective, flow, gains, adapted, variance, pull, slope)
        return self._lengths[length]

    def _objective(self, length: int) -> Objective:
        settings = MetaSettings(
            learning_rate=1.0, adaptation_rate=self._rate, rollout_length=length, smoothing_radius=0.05
        )
        return Objective(self._tasks, settings, self._rate, self._K0)


def learning_rates(settings: MetaSettings) -> FloatArray:
    """The learning rate of every iteration."""
    n = np.arange(settings.iterations)
    return np.full(len(n), settings.learning_rate) / settings.slowdown(n)

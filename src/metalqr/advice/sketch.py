"""A cheap prediction of the final ratio for many settings at once: a gradient flow, and the fluctuations around it."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr, optimal
from metalqr.config.algorithm import MetaSettings
from metalqr.estimators import covariance
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.evaluation import costs
from metalqr.prediction.objective import Objective

#: Points of the flow at which the curvature is computed.
POINTS = 8
#: Steps of the flow, in largest monotone steps; and parts of a run with one learning rate each.
_FLOW_STEP, _PARTS = 0.7, 12
#: Gradient, in that of the initial gain, at which the flow has arrived.
_ARRIVED = 1e-5
#: Radii at which the noise is computed to tell its two terms apart: A / r^2 + B.
_RADII = (0.05, 0.1)


class Losses(NamedTuple):
    """The parts of a predicted final ratio; their sum is the ratio."""

    tasks: float  # of the best single gain: tasks that differ
    horizon: float  # rollouts of finite length, and the adaptation
    radius: float  # smoothing
    unfinished: float  # the mean path has not arrived
    noise: float  # fluctuations around it

    @property
    def total(self) -> float:
        """The predicted ratio."""
        return float(sum(self))


class Flow(NamedTuple):
    """The gradient flow of the objective of one rollout length."""

    times: FloatArray  # (T,)
    ratios: FloatArray  # (T,)
    path: FloatArray  # (T, k, d)
    gains: FloatArray  # of the points, (P, k, d)
    pull: FloatArray  # what smoothing adds to the gradient at the last point, for a covariance I, (n,)
    slope: FloatArray  # gradient of the ratio at the last point, (n,)


class Sketch:
    r"""Final ratios to leading order.

    With steps below the largest monotone one the mean path is the flow :math:`dK/d\tau = -\nabla F(K)` at
    :math:`\tau = \sum_t \alpha_t`, whatever the steps. The covariance follows
    :math:`S \leftarrow (I - \alpha H) S (I - \alpha H) + \alpha^2 C` in closed form between points, with the noise to
    leading order in the radius, and does not act back on the mean path. The smoothing moves the end by
    :math:`-H^{-1} \frac12 \nabla^3 F[w I]`.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array, shape (k, d)
        Stabilising for every task.
    rate : float
        Adaptation rate.
    longest : int
        The most iterations that are asked for.
    """

    def __init__(self, tasks: LQRTasks, K0: FloatArray, rate: float, longest: int) -> None:
        self._tasks, self._K0, self._rate = tasks, K0, rate
        self.size = K0.size
        self._scale = float(optimal.optimal_gains(tasks).cost.sum())
        start = _largest(self._curvature(K0))
        self._reach, self._step = longest / start, _FLOW_STEP / start
        self._flows: dict[int, Flow] = {}
        self._noises: dict[tuple[object, ...], tuple[FloatArray, FloatArray]] = {}
        self._points: FloatArray | None = None

    def flow(self, length: int) -> Flow:
        """The flow with rollouts of a length, from the initial gain; kept."""
        if length not in self._flows:
            self._flows[length] = self._followed(length)
        return self._flows[length]

    def prepare(self, length: int) -> None:
        """Compute curvatures along the flow of a length; those along the flows of others are taken as the same."""
        gains = self.flow(length).gains
        found = [self._curvature(K) for K in gains]
        self._modes = [np.linalg.eigh(each) for each in found]
        self._ratio_curvature = lqr.hessian_matrix(self._tasks, gains[-1]).sum(axis=0) / self._scale
        self.largest_step = 1.0 / max(float(values[-1]) for values, _ in self._modes)
        self._turns = [last.T @ first for (_, first), (_, last) in zip(self._modes, self._modes[1:], strict=False)]
        values, basis = self._modes[-1]
        self._inverse = (basis / np.maximum(values, 1e-6 * values[-1])) @ basis.T
        self.single = float(self.flow(length).ratios.min())

    def gains(self, length: int) -> FloatArray:
        """The gains of the points of a flow, (P, k, d)."""
        return self.flow(length).gains

    def losses(self, settings: MetaSettings, radii: FloatArray) -> list[Losses]:
        """The parts of the final ratio of some settings, with each of the smoothing radii in place of theirs."""
        flow = self.flow(settings.rollout_length)
        rates = learning_rates(settings)
        reached = float(np.interp(rates.sum(), flow.times, flow.ratios))
        least = float(flow.ratios[-1])
        steep, flat = self._excesses(settings, rates)
        single = min(self.single, least)
        found = []
        for radius in radii:
            shift = -self._inverse @ flow.pull * radius**2 / (self.size + 2)
            bias = float(flow.slope @ shift + 0.5 * shift @ self._ratio_curvature @ shift)
            found.append(Losses(single, least - single, bias, reached - least, steep / radius**2 + flat))
        return found

    def state(self, settings: MetaSettings, iteration: int) -> tuple[FloatArray, FloatArray]:
        """The mean gain (k, d) after some iterations, at least one, and the covariance (n, n)."""
        flow, rates = self.flow(settings.rollout_length), learning_rates(settings)[:iteration]
        place = min(int(np.searchsorted(flow.times, rates.sum())), len(flow.path) - 1)
        steep, flat = (self._covariance(noise, rates, settings) for noise in self._noise(settings))
        basis = self._modes[-1][1]
        return flow.path[place], np.asarray(basis @ (steep / settings.smoothing_radius**2 + flat) @ basis.T)

    def _excesses(self, settings: MetaSettings, rates: FloatArray) -> tuple[float, float]:
        basis = self._modes[-1][1]
        curvature = basis.T @ self._ratio_curvature @ basis
        first, second = (
            0.5 * float(np.vdot(curvature, self._covariance(each, rates, settings))) for each in self._noise(settings)
        )
        return first, second

    def _covariance(self, noise: FloatArray, rates: FloatArray, settings: MetaSettings) -> FloatArray:
        """That of the last gain, in the eigenbasis of the last point."""
        flow = self.flow(settings.rollout_length)
        marks = self._marks(flow.times[-1])
        place = np.minimum(np.searchsorted(marks, np.cumsum(rates)), POINTS - 1)
        last, S = 0, np.zeros((self.size, self.size))
        # Parts of equal progress in the flow, so that an early and short part is as fine as a late one.
        ends = np.unique(np.geomspace(1, len(rates), _PARTS + 1).round().astype(int))
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            here = int(place[end - 1])
            while last < here:
                S = self._turns[last] @ S @ self._turns[last].T
                last += 1
            alpha = float(rates[begin:end].mean())
            factor = 1.0 - alpha * self._modes[last][0]
            decay = np.outer(factor, factor)
            kept = np.abs(decay) ** (end - begin)
            rest = 1.0 - decay
            gathered = np.where(np.abs(rest) > 1e-12, (1.0 - kept) / np.where(rest == 0, 1.0, rest), end - begin)
            S = kept * S + alpha**2 * gathered * noise[last]
        for turn in self._turns[last:]:
            S = turn @ S @ turn.T
        return S

    def _noise(self, settings: MetaSettings) -> tuple[FloatArray, FloatArray]:
        """A and B of the noise A / r² + B at the points, each (P, n, n), in the eigenbases."""
        names = ("rollout_length", "estimator", "common_noise", "directions", "perturbations")
        key = tuple(getattr(settings, name) for name in names)
        if key not in self._noises:
            gains = self.gains(settings.rollout_length)
            count = self._tasks.count
            tiled, each = lqr.tiled(self._tasks, len(gains)), np.repeat(gains, count, axis=0)
            found = []
            for radius in _RADII:
                chosen = settings.replace(smoothing_radius=radius, inner_smoothing_radius=None)
                matrix = covariance(tiled, each, chosen, how="leading").matrix
                matrix = matrix.reshape(len(gains), count, self.size, self.size)
                found.append(np.einsum("i,pinm->pnm", self._tasks.p**2, matrix))
            first, second = _RADII
            steep = (found[0] - found[1]) / (first**-2 - second**-2)
            flat = found[0] - steep / first**2
            bases = [basis for _, basis in self._modes]
            turned = [
                np.stack([basis.T @ one @ basis for basis, one in zip(bases, part, strict=True)])
                for part in (steep, flat)
            ]
            self._noises[key] = turned[0], turned[1]
        return self._noises[key]

    def _followed(self, length: int) -> Flow:
        objective = self._objective(length)
        K, time, step = self._K0, 0.0, self._step
        gains, times = [K], [0.0]
        slope = objective.followed(K)
        first = np.linalg.norm(slope)
        while time < self._reach:
            after = K - step * slope
            if not lqr.is_stabilising(self._tasks, after).all():
                step /= 2
                continue
            new = objective.followed(after)
            # A step that turns the gradient around is beyond the largest monotone one.
            if np.vdot(new, slope) < 0 and step > 1e-6 * self._step:
                step /= 2
                continue
            K, time, slope = after, time + step, new
            gains.append(K)
            times.append(time)
            if np.linalg.norm(slope) < _ARRIVED * first:
                break
        if time < self._reach:
            gains.append(K)
            times.append(self._reach)
        path = np.stack(gains)
        marks = self._marks(self._reach)
        places = np.minimum(np.searchsorted(times, marks), len(times) - 1)
        ratios = costs(self._tasks, path).sum(axis=1) / self._scale - 1.0
        pull = objective.correction(K, np.eye(self.size)).ravel()
        ratio_slope = lqr.gradient(self._tasks, K).sum(axis=0).ravel() / self._scale
        return Flow(np.array(times), ratios, path, path[places], pull, ratio_slope)

    def _marks(self, end: float) -> FloatArray:
        """Times of the points."""
        return np.concatenate([[0.0], np.geomspace(self._step, end, POINTS - 1)])

    def _objective(self, length: int) -> Objective:
        settings = MetaSettings(
            learning_rate=1.0, adaptation_rate=self._rate, rollout_length=length, smoothing_radius=0.05
        )
        return Objective(self._tasks, settings, self._rate, self._K0)

    def _curvature(self, K: FloatArray) -> FloatArray:
        """The Hessian of the mean cost, which is that of a weakly adapted one too."""
        return np.asarray(np.tensordot(self._tasks.p, lqr.hessian_matrix(self._tasks, K), axes=1))


def learning_rates(settings: MetaSettings) -> FloatArray:
    """The learning rate of every iteration."""
    n = np.arange(settings.iterations)
    return np.full(len(n), settings.learning_rate) / settings.slowdown(n)


def _largest(curvature: FloatArray) -> float:
    return float(np.abs(np.linalg.eigvalsh(curvature)).max())

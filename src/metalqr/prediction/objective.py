"""The function whose gradient a method follows in the mean: that of finite rollouts, adapted, and smoothed."""

from collections.abc import Callable

import numpy as np

from metalqr import lqr
from metalqr.common.frames import orthonormal_frames
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import directions
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.objectives import meta

#: Gains with at most so many entries have all their directions tried; others so many random orthogonal ones.
MAX_EXACT_SIZE, PROBES = 16, 16
#: Product of adaptation rate and curvature below which the adaptation changes the curvature by too little to matter.
WEAK_ADAPTATION = 0.02
#: Steps of finite differences, in smoothing radii.
_STEP = 0.1
#: Seed of the random directions, the same at all gains, so that what they miss varies slowly.
_SEED = 0


class Objective:
    r"""F, of which an estimate without inner noise is the gradient in the mean.

    .. math:: F(K) = E_V \sum_i p_i J_i^{(\ell)}(\tilde K - \eta \nabla J_i^{(\ell)}(\tilde K)), \qquad \tilde K = K + V

    with V uniform in the ball of radius r where the perturbations are uniform on its sphere, and normal where they are.
    For any uniform directions, with :math:`n = dk`,

    .. math:: \nabla F(K) = \nabla F_0(K) + \tfrac12 \nabla^3 F_0(K)[w I] + O(r^4), \qquad
              w = \frac{E \|U\|^4}{r^2 (n + 2)},

    where :math:`F_0` has no smoothing: the covariance of V is :math:`w I`. The estimate that the gains fluctuate around
    their mean with covariance S adds :math:`\tfrac12 \nabla^3 F_0(K)[S]` likewise.

    Third derivatives are second differences of gradients in directions that span the covariance. Of more than 16
    entries they are taken in 16 random orthogonal directions, whose mean is exact in expectation; and the Hessian is
    then taken without smoothing, which adds to it by :math:`w` as a part of the fourth derivative.

    Parameters
    ----------
    tasks : LQRTasks
    settings : MetaSettings
    rate : float
        :math:`\eta`; 0 is the mean cost.
    K0 : array, shape (k, d)
        A gain whose curvature decides whether the adaptation is weak.
    """

    def __init__(self, tasks: LQRTasks, settings: MetaSettings, rate: float, K0: FloatArray) -> None:
        self.tasks, self.rate, self.length = tasks, rate, settings.rollout_length
        self.size, self.shape = K0.size, K0.shape
        self._radius = settings.smoothing_radius
        self.smoothing = self._radius**2 * _kurtosis(settings, self.size) / (self.size + 2)
        curvature = np.abs(np.linalg.eigvalsh(self._finite_hessians(tasks, self._each(K0)))).max() if rate else 0.0
        self.adapts_weakly = bool(rate * curvature < WEAK_ADAPTATION)
        self._known_curvatures: tuple[FloatArray, FloatArray] | None = None

    def parts(self, gains: FloatArray) -> FloatArray:
        """Gradients of every task's part of F without smoothing at gains (P, k, d), shape (P, I, k, d)."""
        return self._at_all(lambda tasks, K: meta.task_gradients(tasks, K, self.rate, self.length), gains)

    def followed(self, K: FloatArray) -> FloatArray:
        """The gradient of F, cheaply, for every iteration: without smoothing, and without a weak adaptation."""
        if self.adapts_weakly:
            return self._mean(lqr.finite_horizon_gradient(self.tasks, K, self.length))
        return self._mean(self.parts(K[np.newaxis])[0])

    def followed_at(self, gains: FloatArray) -> FloatArray:
        """The same at several gains (P, k, d)."""
        return np.tensordot(self._followed_parts(gains), self.tasks.p, axes=(1, 0))

    def remainder(self, K: FloatArray) -> FloatArray:
        """What :meth:`followed` leaves out of the gradient of F, shape (k, d)."""
        adaptation = self._mean(self.parts(K[np.newaxis])[0]) - self.followed(K)
        return adaptation + self.correction(K, self.smoothing * np.eye(self.size))

    def gradient(self, K: FloatArray) -> FloatArray:
        """The gradient of F, shape (k, d)."""
        return self.followed(K) + self.remainder(K)

    def correction(self, K: FloatArray, covariance: FloatArray) -> FloatArray:
        r"""What fluctuations of a covariance (n, n) add to the gradient: :math:`\tfrac12 \nabla^3 F_0(K)[S]`."""
        scale = float(np.trace(covariance))
        if scale <= 0.0:
            return np.zeros(self.shape)
        # The covariance may be singular: what is added is lost in rounding.
        root = np.linalg.cholesky(covariance + 1e-12 * scale * np.eye(self.size))
        if self.size > MAX_EXACT_SIZE:
            frame = orthonormal_frames(1, PROBES, self.size, _SEED)[0]
            root = np.sqrt(self.size / PROBES) * root @ frame.T
        lengths = np.linalg.norm(root, axis=0)
        step = _STEP * self._radius
        offsets = (step * root / np.where(lengths > 0, lengths, 1.0)).T.reshape(-1, *self.shape)
        points = np.concatenate([K[np.newaxis], K + offsets, K - offsets])
        found = self.followed_at(points)
        count = len(offsets)
        second = found[1 : count + 1] + found[count + 1 :] - 2.0 * found[0]
        return np.asarray(0.5 / step**2 * np.tensordot(lengths**2, second, axes=1))

    def curvatures(self, K: FloatArray) -> FloatArray:
        """Hessian of every task's cost at its adapted gain, (I, n, n); kept until it is asked for at another gain."""
        if self._known_curvatures is None or not np.array_equal(self._known_curvatures[0], K):
            self._known_curvatures = K, self._finite_hessians(self.tasks, self.adapted(K))
        return self._known_curvatures[1]

    def hessian(self, K: FloatArray) -> FloatArray:
        """The Hessian of F, shape (n, n)."""
        points = K[np.newaxis]
        if self.size > MAX_EXACT_SIZE and self.adapts_weakly:
            return self._mean(self.curvatures(K))
        if self.size <= MAX_EXACT_SIZE:
            offsets = np.sqrt(self.size * self.smoothing) * np.eye(self.size).reshape(-1, *self.shape)
            points = np.concatenate([K + offsets, K - offsets])
        return self._mean(self._at_all(self._hessians, points).mean(axis=0))

    def values(self, gains: FloatArray) -> FloatArray:
        """Every task's part of F without smoothing at gains (P, k, d), shape (P, I)."""

        def adapted(tasks: LQRTasks, K: FloatArray) -> FloatArray:
            change = self.rate * lqr.finite_horizon_gradient(tasks, K, self.length) if self.rate else 0.0
            return lqr.finite_horizon_cost(tasks, K - change, self.length)

        return self._at_all(adapted, gains)

    def adapted(self, K: FloatArray) -> FloatArray:
        """The gain of every task after its adaptation, shape (I, k, d)."""
        gains = self._each(K)
        return gains - self.rate * lqr.finite_horizon_gradient(self.tasks, gains, self.length) if self.rate else gains

    def _followed_parts(self, gains: FloatArray) -> FloatArray:
        if not self.adapts_weakly:
            return self.parts(gains)
        return self._at_all(lambda tasks, K: lqr.finite_horizon_gradient(tasks, K, self.length), gains)

    def _hessians(self, tasks: LQRTasks, gains: FloatArray) -> FloatArray:
        r"""Hessians of the tasks' parts, (n, dk, dk): :math:`M H(K_i) M - \eta D^3 J_i(K)[\cdot, \nabla J_i(K_i)]`."""
        if not self.rate:
            return self._finite_hessians(tasks, gains)
        adapted = gains - self.rate * lqr.finite_horizon_gradient(tasks, gains, self.length)
        after = self._finite_hessians(tasks, adapted)
        if self.adapts_weakly:
            return after
        slope = lqr.finite_horizon_gradient(tasks, adapted, self.length)
        step = _STEP * self._radius / np.maximum(np.linalg.norm(slope, axis=(1, 2), keepdims=True), 1e-300)
        high, low = (self._finite_hessians(tasks, gains + sign * step * slope) for sign in (1, -1))
        factor = np.eye(self.size) - self.rate * self._finite_hessians(tasks, gains)
        return factor @ after @ factor - self.rate * (high - low) / (2 * step)

    def _finite_hessians(self, tasks: LQRTasks, gains: FloatArray) -> FloatArray:
        return lqr.finite_horizon_hessian_matrix(tasks, gains, self.length)

    def _each(self, K: FloatArray) -> FloatArray:
        return np.broadcast_to(K, (self.tasks.count, *self.shape))

    def _mean(self, per_task: FloatArray) -> FloatArray:
        return np.asarray(np.tensordot(self.tasks.p, per_task, axes=1))

    def _at_all(self, function: Callable[[LQRTasks, FloatArray], FloatArray], gains: FloatArray) -> FloatArray:
        """A function of (tasks, gains), with an entry for each task, at gains (P, k, d), shape (P, I, ...)."""
        tasks = self.tasks if len(gains) == 1 else lqr.tiled(self.tasks, len(gains))
        with np.errstate(over="ignore", invalid="ignore"):
            found = function(tasks, np.repeat(gains, self.tasks.count, axis=0))
        return found.reshape(len(gains), self.tasks.count, *found.shape[1:])


def _kurtosis(settings: MetaSettings, size: int) -> float:
    """That of the perturbations' lengths; 1, that of the sphere, if it is not known."""
    law = directions.get(settings.directions)(settings).law(settings.smoothing_radius, size, 8)
    return 1.0 if law is None else law.kurtosis

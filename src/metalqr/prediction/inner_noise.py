"""What the noise of the inner estimates of Algorithm 2 does to the function that the outer ones see."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings, applicable
from metalqr.estimators.variance import covariance
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.objective import MAX_EXACT_SIZE, Objective

#: Share of the mean cost that the inner noise adds to it: below the first it is nothing, above the second it is not
#: small, so that the second order does not describe it. Of gains with many entries its gradient takes too long.
NEGLIGIBLE, LARGE, LARGE_IF_MANY = 1e-7, 0.1, 1e-3
#: Step of differences, in smoothing radii.
_STEP = 0.1


class Moments(NamedTuple):
    """What the inner noise adds to the mean and the variance of every task's value, shape (I,) each."""

    mean: FloatArray
    variance: FloatArray


class InnerNoise:
    r"""The inner noise to second order.

    With the adapted gain :math:`K_i = K - \eta \nabla J_i(K)` and the covariance C of the inner estimate at K,

    .. math::

        E f_i(K) &= J_i(K_i) + \tfrac12 \eta^2 \langle \nabla^2 J_i(K_i), C \rangle, \\
        \operatorname{Var} f_i(K) &= V_i(K_i) + \eta^2 \nabla J_i(K_i)^\top C \nabla J_i(K_i)
        + \tfrac12 \eta^4 \mathrm{Tr}(\nabla^2 J_i C \nabla^2 J_i C),

    where costs are those of rollouts and C is taken to leading order in the inner radius.

    Parameters
    ----------
    objective : Objective
        With an adaptation rate > 0.
    settings : MetaSettings
    """

    def __init__(self, objective: Objective, settings: MetaSettings) -> None:
        self._objective, self._step = objective, _STEP * settings.smoothing_radius
        self._settings = as_outer(settings)
        try:
            covariance(objective.tasks, np.zeros(objective.shape), self._settings, how="leading")
            self.is_known = True
        except ValueError:  # the estimator or the directions state no formula
            self.is_known = False
        self._known: dict[bytes, Moments] = {}

    def share(self, K: FloatArray) -> float:
        """The mean cost that it adds, as a share of the mean cost."""
        p = self._objective.tasks.p
        return float(abs(p @ self.moments(K).mean) / (p @ self._objective.values(K[np.newaxis])[0]))

    def is_small(self, K: FloatArray) -> bool:
        """False where mean and covariance of the direction have to be measured."""
        if not self.is_known:
            return False
        return self.share(K) <= (LARGE if K.size <= MAX_EXACT_SIZE else LARGE_IF_MANY)

    def moments(self, K: FloatArray) -> Moments:
        """What it adds to mean and variance of the values at a gain (k, d)."""
        key = K.tobytes()
        if key not in self._known:
            self._known.clear()
            objective = self._objective
            self._known[key] = self._moments(objective.tasks, self._repeated(K[np.newaxis]), objective.curvatures(K))
        return self._known[key]

    def _is_left_out(self, K: FloatArray) -> bool:
        return not self.is_known or K.size > MAX_EXACT_SIZE or self.share(K) < NEGLIGIBLE

    def gradient(self, K: FloatArray) -> FloatArray:
        """Gradient of the mean cost that it adds, shape (k, d); zero where it is negligible or not known."""
        if self._is_left_out(K):
            return np.zeros_like(K)
        offsets = self._offsets(K)
        high, low = (self._means(K + sign * offsets) for sign in (1, -1))
        return np.asarray((high - low) / (2 * self._step)).reshape(K.shape)

    def hessian(self, K: FloatArray) -> FloatArray:
        """Its Hessian, shape (n, n); zero where it is negligible or not known."""
        size = K.size
        if self._is_left_out(K):
            return np.zeros((size, size))
        offsets = self._offsets(K)
        rows, columns = np.triu_indices(size)
        corners = [
            self._means(K + first * offsets[rows] + second * offsets[columns])
            for first, second in ((1, 1), (1, -1), (-1, 1), (-1, -1))
        ]
        matrix = np.zeros((size, size))
        matrix[rows, columns] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * self._step**2)
        return matrix + np.triu(matrix, 1).T

    def _offsets(self, K: FloatArray) -> FloatArray:
        return self._step * np.eye(K.size).reshape(-1, *K.shape)

    def _means(self, gains: FloatArray) -> FloatArray:
        """The mean cost that it adds at gains (P, k, d), shape (P,)."""
        tasks = self._objective.tasks
        found = self._moments(lqr.tiled(tasks, len(gains)), self._repeated(gains))
        return np.asarray(found.mean.reshape(len(gains), tasks.count) @ tasks.p)

    def _repeated(self, gains: FloatArray) -> FloatArray:
        return np.repeat(gains, self._objective.tasks.count, axis=0)

    def _moments(self, tasks: LQRTasks, gains: FloatArray, curvatures: FloatArray | None = None) -> Moments:
        rate, length = self._objective.rate, self._objective.length
        with np.errstate(over="ignore", invalid="ignore"):
            adapted = gains - rate * lqr.finite_horizon_gradient(tasks, gains, length)
            noise = covariance(tasks, gains, self._settings, how="leading").matrix
            slope = lqr.finite_horizon_gradient(tasks, adapted, length).reshape(len(gains), -1)
            if curvatures is None:
                curvatures = lqr.finite_horizon_hessian_matrix(tasks, adapted, length)
            product = curvatures @ noise
        mean = 0.5 * rate**2 * np.einsum("iaa->i", product)
        first = rate**2 * np.einsum("ia,iab,ib->i", slope, noise, slope)
        return Moments(mean, first + 0.5 * rate**4 * np.einsum("iab,iba->i", product, product))


def as_outer(settings: MetaSettings) -> MetaSettings:
    """Settings whose outer layer is the inner one of others."""
    inner = settings.inner
    changes = {
        "method": "mean_cost",
        "estimator": inner.estimator.name,
        "inner_estimator": None,
        "perturbations": inner.perturbations,
        "smoothing_radius": inner.radius,
        "inner_smoothing_radius": None,
        "common_noise": settings.common_noise and inner.estimator.makes_pairs,
        "warm_up": 0,
    }
    return MetaSettings(**applicable({**settings.as_dict(), **changes}))

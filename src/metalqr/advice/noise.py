r"""The noise of an estimate to leading order in the radius, :math:`A / r^2 + B`, and what inner estimates add to it."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.estimators import covariance
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.objective import MAX_EXACT_SIZE, Objective

#: Radii at which the noise is computed to tell its two terms apart.
_RADII = (0.05, 0.1)
#: First digits of numbers of perturbations for which noise is computed.
_DIGITS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
#: Step of differences, in the unit of gains.
_STEP = 1e-3


class Terms(NamedTuple):
    r"""The covariance of every task's estimate at P gains: :math:`A_i I / r^2 + B_i`."""

    steep: FloatArray  # A, (P, I)
    flat: FloatArray  # B, (P, I, n, n)


def terms(tasks: LQRTasks, gains: FloatArray, settings: MetaSettings) -> Terms:
    """The two terms of the outer layer's noise at gains (P, I, k, d)."""
    size = gains[0, 0].size
    tiled, each = lqr.tiled(tasks, len(gains)), gains.reshape(-1, *gains.shape[2:])
    first, second = (
        covariance(tiled, each, settings.replace(smoothing_radius=radius), how="leading").matrix.reshape(
            *gains.shape[:2], size, size
        )
        for radius in _RADII
    )
    # Costs of nearly the same gain are nearly the same in all directions, so that the steep term is a multiple of I.
    steep = np.einsum("piaa->pi", first - second) / (size * (_RADII[0] ** -2 - _RADII[1] ** -2))
    return Terms(steep, first - (steep / _RADII[0] ** 2)[:, :, np.newaxis, np.newaxis] * np.eye(size))


def rounded(perturbations: int) -> int:
    """The largest of some numbers of perturbations that is not larger: noise is computed for few of them."""
    if perturbations < 10:
        return perturbations
    unit = 10 ** (len(str(perturbations)) - 2)
    return unit * max(digits for digits in _DIGITS if digits <= perturbations // unit)


class InnerTerms:
    r"""What inner estimates add to the values, see :class:`metalqr.prediction.inner_noise.InnerNoise`.

    With the noise :math:`C = (A I / r^2 + B) m_0 / m` of m perturbations, and gradient g and Hessian H of the cost at
    the adapted gain,

    .. math:: \tfrac12 \eta^2 \langle H, C \rangle, \qquad
              \eta^2 g^\top C g + \tfrac12 \eta^4 \mathrm{Tr}(H C H C)

    are added to mean and variance. They are polynomials in :math:`m_0 / (m r^2)` and :math:`m_0 / m`, whose
    coefficients are computed once.

    Parameters
    ----------
    objective : Objective
        With an adaptation rate > 0.
    gains : array, shape (P, k, d)
        Of the flow, from the initial gain to its end.
    settings : MetaSettings
        The inner layer as an outer one, with :math:`m_0` perturbations.
    """

    def __init__(self, objective: Objective, gains: FloatArray, settings: MetaSettings) -> None:
        self._objective, self._settings = objective, settings
        self._costs = objective.values(gains) @ objective.tasks.p
        self._mean, self._variance = self._coefficients(gains)
        self._slope = self._slopes(gains[-1])

    def variance(self, perturbations: int, radii: FloatArray) -> FloatArray:
        """What is added to the variance of every task's values, (R, P, I), with inner radii (R,)."""
        steep, flat = self._factors(perturbations, radii)
        powers = np.stack([steep, flat, steep**2, steep * flat, flat**2])
        return np.einsum("cr,cpi->rpi", powers, self._variance)

    def share(self, perturbations: int, radii: FloatArray) -> FloatArray:
        """The mean that is added, as a share of the mean cost, the largest of all gains, (R,)."""
        added = np.einsum("cr,cp->rp", self._factors(perturbations, radii), self._mean)
        return np.asarray(np.abs(added / self._costs).max(axis=1))

    def slope(self, perturbations: int, radii: FloatArray) -> FloatArray:
        """Gradient of the mean that is added, at the last gain, (R, n)."""
        return np.einsum("cr,cn->rn", self._factors(perturbations, radii), self._slope)

    def _factors(self, perturbations: int, radii: FloatArray) -> FloatArray:
        return self._settings.perturbations / perturbations * np.stack([radii**-2.0, np.ones_like(radii)])

    def _repeated(self, gains: FloatArray) -> FloatArray:
        return np.repeat(gains[:, np.newaxis], self._objective.tasks.count, axis=1)

    def _slopes(self, K: FloatArray) -> FloatArray:
        """Gradients of the coefficients of the mean, (2, n); zero for large gains, as in a prediction."""
        if K.size > MAX_EXACT_SIZE:
            return np.zeros((2, K.size))
        offsets = _STEP * np.eye(K.size).reshape(-1, *K.shape)
        found, _ = self._coefficients(np.concatenate([K + offsets, K - offsets]))
        return (found[:, : K.size] - found[:, K.size :]) / (2 * _STEP)

    def _coefficients(self, gains: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Those of the mean over tasks, (2, P), and of the variance, (5, P, I)."""
        objective, tasks = self._objective, self._objective.tasks
        steep, flat = terms(tasks, self._repeated(gains), self._settings)
        adapted = np.stack([objective.adapted(K) for K in gains])
        tiled, each = lqr.tiled(tasks, len(gains)), adapted.reshape(-1, *objective.shape)
        slope = lqr.finite_horizon_gradient(tiled, each, objective.length).reshape(*steep.shape, -1)
        curvature = lqr.finite_horizon_hessian_matrix(tiled, each, objective.length).reshape(flat.shape)
        product = curvature @ flat
        squares = [
            steep**2 * np.einsum("piab,piba->pi", curvature, curvature),
            2 * steep * np.einsum("piab,piba->pi", curvature, product),
            np.einsum("piab,piba->pi", product, product),
        ]
        linear = [steep * np.einsum("pia,pia->pi", slope, slope), np.einsum("pia,piab,pib->pi", slope, flat, slope)]
        traces = [steep * np.einsum("piaa->pi", curvature), np.einsum("piaa->pi", product)]
        rate = objective.rate
        mean = 0.5 * rate**2 * np.stack(traces) @ tasks.p
        return mean, np.stack([rate**2 * each for each in linear] + [0.5 * rate**4 * each for each in squares])

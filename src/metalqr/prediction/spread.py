"""The distribution of the ratio and of stability around the mean path, from a Gaussian of given covariance."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr import lqr
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import directions
from metalqr.lqr import FloatArray, LQRTasks

#: Samples of the ratio, and of the gain.
RATIO_SAMPLES, GAIN_SAMPLES = 20_000, 500
#: The band holds 90 % of the runs.
QUANTILES = (0.05, 0.5, 0.95)
#: Share of the mean below which a sample of the quadratic form counts as that: the ratio itself is positive.
_LEAST = 1e-3


class Quadratic(NamedTuple):
    """The ratio near a gain to second order: value, gradient (n,) and Hessian (n, n)."""

    value: float
    slope: FloatArray
    curvature: FloatArray

    def expected(self, covariance: FloatArray) -> float:
        """Its mean, with fluctuations of this covariance."""
        return self.value + 0.5 * float(np.vdot(self.curvature, covariance))


class Chances(NamedTuple):
    """Of a gain K + e and its perturbations K + e + U, with e Gaussian."""

    unstable_share: float  # of the perturbations that do not stabilise their task
    leaving: float  # chance that K + e does not stabilise every task


class Spread:
    """Samples of a Gaussian with a fixed seed, the same at all gains, so that curves are smooth.

    Parameters
    ----------
    tasks : LQRTasks
    settings : MetaSettings
    seed : int
    """

    def __init__(self, tasks: LQRTasks, settings: MetaSettings, seed: int) -> None:
        self._tasks, self._settings, self._seed = tasks, settings, seed
        self._size = tasks.action_dim * tasks.state_dim

    @cached_property
    def _normals(self) -> FloatArray:
        return np.random.default_rng(self._seed).standard_normal((RATIO_SAMPLES, self._size))

    @cached_property
    def _squares(self) -> FloatArray:
        return self._normals**2

    @cached_property
    def _perturbations(self) -> FloatArray:
        return perturbations(self._settings, self._size, GAIN_SAMPLES, self._seed)

    def ratios(self, near: Quadratic, covariance: FloatArray) -> FloatArray:
        r"""Samples of the ratio, :math:`f + b^\top z + \tfrac12 \sum_j \lambda_j z_j^2`, z standard normal.

        With a root L of the covariance, :math:`\lambda` are the eigenvalues of :math:`L^\top G L` for the Hessian G,
        and b is :math:`L^\top \nabla f` in their basis: a generalised chi-square distribution.
        """
        root = factor(covariance)
        forms, basis = np.linalg.eigh(root.T @ near.curvature @ root)
        samples = near.value + self._normals @ (basis.T @ (root.T @ near.slope)) + 0.5 * self._squares @ forms
        return np.maximum(samples, _LEAST * abs(near.expected(covariance)))

    def chances(self, K: FloatArray, covariance: FloatArray) -> Chances:
        """The chances of instability at a mean gain (k, d)."""
        offsets = self._normals[:GAIN_SAMPLES] @ factor(covariance).T
        gains = K + offsets.reshape(-1, *K.shape)
        perturbed = gains + self._perturbations.reshape(gains.shape)
        stable = self._stabilised(np.concatenate([gains, perturbed]))
        share = 1.0 - float(self._tasks.p @ stable[:, GAIN_SAMPLES:].mean(axis=1))
        return Chances(share, 1.0 - float(stable[:, :GAIN_SAMPLES].all(axis=0).mean()))

    def _stabilised(self, gains: FloatArray) -> FloatArray:
        """Whether each task (I) is stabilised by each gain (P, k, d), shape (I, P)."""
        count = self._tasks.count
        policies = np.broadcast_to(gains, (count, *gains.shape))
        return np.asarray(~lqr.are_unstable(self._tasks, policies, np.arange(count)))


def factor(covariance: FloatArray) -> FloatArray:
    """A root L of a covariance that may be singular, up to rounding: L Lᵀ."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def perturbations(settings: MetaSettings, size: int, count: int, seed: int) -> FloatArray:
    """Perturbations of uniform direction and of the lengths of the settings, shape (count, n)."""
    rng = np.random.default_rng([seed, 1])
    found = rng.standard_normal((count, size))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    radius = settings.smoothing_radius
    law = directions.get(settings.directions)(settings).law(radius, size, 8)
    lengths = np.full(count, radius) if law is None else rng.choice(law.lengths, count, p=law.weights)
    return lengths[:, np.newaxis] * found


def stabilise(tasks: LQRTasks, gains: FloatArray) -> NDArray[np.bool_]:
    """Whether each gain (P, k, d) is finite and stabilises every task."""
    stays: NDArray[np.bool_] = np.asarray(np.isfinite(gains).all(axis=(1, 2)))
    policies = np.broadcast_to(gains[stays], (tasks.count, *gains[stays].shape))
    stays[stays] = ~lqr.are_unstable(tasks, policies, np.arange(tasks.count)).any(axis=0)
    return stays

r"""Bounds of value, covariance, advantage, Hessian and third derivative over all gains within a distance of a gain."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, gains_per_task
from metalqr.lqr.evaluation import input_slope, state_and_input_weight
from metalqr.optimal import stability_margin
from metalqr.theory.certificates.riccati import TRIALS, largest, least, supersolution
from metalqr.theory.norms import frobenius, spectral

#: Smaller radii, relative to the stability radius, count as this: the bounds of a ball hold for a smaller one.
MIN_RADIUS = 1e-9
#: Floor of the estimate of a multiplier, as a share of its lower limit.
MIN_MULTIPLIER = 0.02
#: Floor of that of the covariance, relative to its upper limit.
MIN_LOSS = 1e-12


@dataclass(frozen=True, eq=False)
class Ball:
    r"""Bounds that hold for every task's :math:`K + \Delta`, :math:`\|\Delta\| \le \delta`, in the spectral norm.

    So also in the Frobenius norm. All entries of a task are NaN where it has no certificate, such as for
    :math:`\delta` at or above its stability radius. ``docs/certificates.md`` proves each bound.

    Attributes
    ----------
    radius : array, shape (I,)
        :math:`\delta_i`.
    value, covariance : array, shape (I, d, d)
        :math:`\hat P \succeq P_{K + \Delta}` and :math:`\hat\Sigma \succeq \Sigma_{K + \Delta}`.
    curvature : array, shape (I,)
        Bound of :math:`\|R + B^\top P_{K + \Delta} B\|`.
    advantage : array, shape (I,)
        Bound of :math:`\|E_{K + \Delta}\|`.
    hessian : array, shape (I,)
        Bound of :math:`\|\nabla^2 J(K + \Delta)\|`, the norm of an operator on the Frobenius norm.
    third_derivative : array, shape (I,)
        Bound of :math:`|\mathrm{D}^3 J(K + \Delta)[X, Y, Z]|` over X, Y, Z of Frobenius norm one.
    """

    radius: FloatArray
    value: FloatArray
    covariance: FloatArray
    curvature: FloatArray
    advantage: FloatArray
    hessian: FloatArray
    third_derivative: FloatArray


class Centre:
    r"""Gains around which balls are computed, one for all tasks or one for each, with what all of these share.

    Attributes
    ----------
    evaluation : PolicyEvaluation
    stability_radius : array, shape (I,)
        :math:`\delta_i(K)` of :func:`metalqr.optimal.stability_margin`.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    """

    def __init__(self, tasks: LQRTasks, K: ArrayLike) -> None:
        gains = gains_per_task(tasks, K)
        self.tasks, self.K = tasks, gains
        self.evaluation = PolicyEvaluation(tasks, gains)
        self.stability_radius = stability_margin(tasks, gains)
        self._weight, self._cross = state_and_input_weight(tasks, gains), input_slope(tasks, gains).mT

    def ball(self, radius: ArrayLike) -> Ball:
        r"""Compute the bounds for radii :math:`\delta`, one for all tasks or one for each, shape (I,).

        A ValueError is raised if a radius is negative or not finite.
        """
        radii = np.array(np.broadcast_to(np.asarray(radius, dtype=np.float64), self.stability_radius.shape))
        if not (np.isfinite(radii) & (radii >= 0)).all():
            raise ValueError(f"radius: {radius!r} is not a finite number >= 0; give the radius of a ball of gains")
        inside = radii < self.stability_radius
        floor = MIN_RADIUS * np.minimum(self.stability_radius, 1.0)
        with np.errstate(all="ignore"):
            parts = self._bounds(np.where(inside, np.maximum(radii, floor), floor))
        kept = {
            name: np.where(inside.reshape(-1, *(1,) * (values.ndim - 1)), values, np.nan)
            for name, values in parts.items()
        }
        return Ball(radii, **kept)

    def _bounds(self, radius: FloatArray) -> dict[str, FloatArray]:
        here, B = self.evaluation, self.tasks.B
        value, covariance = self._value(radius), self._covariance(radius)
        m, s = largest(self.tasks.R + B.mT @ value @ B), largest(covariance)

        # The change of E over the ball, from that of P: -D <= P_{K + Delta} - P_K <= D.
        size = spectral(here.advantage)
        squared = here.advantage.mT @ here.advantage
        source = _scaled(_ratio(radius, size), squared) + self._unit(
            radius * size + radius**2 * spectral(here.input_curvature)
        )
        F = here.closed_loop
        D = self._sum(radius, source, lambda X: largest(B.mT @ X @ B) * largest(F.mT @ X @ F))
        change = radius * m + np.sqrt(largest(B.mT @ D @ B) * largest(F.mT @ D @ F))
        e = size + change

        # First derivatives of P: -first <= P'[X] <= first.
        source = self._unit(e + change) + _scaled(_ratio(1.0 + _ratio(change, size), e), squared)
        moved = covariance - self.tasks.excitation

        def crossed(X: FloatArray) -> FloatArray:
            """Square of the bound of the terms with one derivative of P, but for s."""
            return np.maximum(_trace(X, moved), 0.0) * largest(B.mT @ X @ B)

        first = self._sum(radius, source, crossed)
        b = largest(B.mT @ first @ B)
        hessian = 2.0 * m * s + 4.0 * np.sqrt(crossed(first) * s)

        # Second derivatives of P: -second <= P''[X, X] <= second.
        carried = first - source
        scale = _root(_ratio(largest(carried), b))
        source = self._unit(2.0 * (m + scale * b)) + _scaled(_ratio(2.0, scale), carried)
        third = 6.0 * b * s + 6.0 * np.sqrt(crossed(self._sum(radius, source, crossed)) * s)
        return {
            "value": value,
            "covariance": covariance,
            "curvature": m,
            "advantage": e,
            "hessian": hessian,
            "third_derivative": third,
        }

    def _value(self, radius: FloatArray) -> FloatArray:
        r"""Least :math:`\hat P` among the trials of :math:`\lambda`; formula 2."""
        here, B = self.evaluation, self.tasks.B
        low = spectral(here.input_curvature)
        guess = frobenius(here.advantage) / (radius * np.sqrt(self.tasks.state_dim))
        multiplier = low + np.maximum(guess, MIN_MULTIPLIER * low) * TRIALS
        room = _scaled(multiplier, np.eye(self.tasks.action_dim)) - self.tasks.R
        solved = np.linalg.solve(room, self._cross.mT)
        weight = self._weight + self._unit(multiplier * radius**2) + self._cross @ solved
        size = np.broadcast_to(spectral(here.value_matrix), multiplier.shape)
        found = supersolution(here.closed_loop - B @ solved, B @ _inverse_root(room), weight, size)
        return least(found, lambda X: largest(self.tasks.R + B.mT @ X @ B))

    def _covariance(self, radius: FloatArray) -> FloatArray:
        r"""Least :math:`\hat\Sigma` among the trials of :math:`\lambda`; formula 3."""
        here, B = self.evaluation, self.tasks.B
        s, moved = spectral(here.state_covariance), frobenius(here.closed_loop @ here.state_covariance)
        s = np.where(s > 0.0, s, 1.0)  # without noise
        guess = np.clip(_ratio(radius * frobenius(B), moved, otherwise=np.inf), MIN_LOSS / s, 1.0 / s) * TRIALS
        multiplier = guess / (1.0 + s * guess)
        weight = self.tasks.excitation + _scaled(radius**2 / multiplier, B @ B.mT)
        root = _scaled(np.sqrt(multiplier), np.eye(self.tasks.state_dim))
        size = np.broadcast_to(s, multiplier.shape)
        return least(supersolution(here.closed_loop.mT, root, weight, size), largest)

    def _sum(self, radius: FloatArray, weight: FloatArray, score: Callable[[FloatArray], FloatArray]) -> FloatArray:
        r"""Bound of :math:`\sum_t (A_{K + \Delta}^t)^\top W A_{K + \Delta}^t`, W the weight, with the least score."""
        F, B = self.evaluation.closed_loop, self.tasks.B
        known = np.asarray(np.isfinite(weight).all(axis=(1, 2)))
        weight = np.where(known[:, np.newaxis, np.newaxis], weight, 0.0)
        nominal = self.evaluation.lyapunov.solve_adjoint(weight)
        low = spectral(B.mT @ nominal @ B)
        guess = frobenius(F.mT @ nominal @ B) / (radius * np.sqrt(self.tasks.state_dim))
        multiplier = low + np.maximum(guess, MIN_MULTIPLIER * low) * TRIALS
        size = np.broadcast_to(spectral(nominal), multiplier.shape)
        root = np.asarray(_ratio(1.0, np.sqrt(multiplier)))[..., np.newaxis, np.newaxis] * B
        found = least(supersolution(F, root, weight + self._unit(multiplier * radius**2), size), score)
        return np.where(known[:, np.newaxis, np.newaxis], found, np.nan)

    def _unit(self, factors: FloatArray) -> FloatArray:
        return _scaled(factors, np.eye(self.tasks.state_dim))


def _ratio(numerator: ArrayLike, denominator: FloatArray, otherwise: float = 0.0) -> FloatArray:
    """Quotient, and another number where the denominator is zero."""
    numerators = np.broadcast_to(np.asarray(numerator, dtype=np.float64), denominator.shape)
    return np.divide(numerators, denominator, out=np.full(denominator.shape, otherwise), where=denominator != 0)


def _scaled(factors: FloatArray, matrices: FloatArray) -> FloatArray:
    return np.asarray(factors[..., np.newaxis, np.newaxis] * matrices)


def _root(values: FloatArray) -> FloatArray:
    """Square root of what is not negative but for rounding."""
    return np.asarray(np.sqrt(np.maximum(values, 0.0)))


def _trace(left: FloatArray, right: FloatArray) -> FloatArray:
    """Trace of the product of symmetric matrices."""
    return np.asarray((left * right).sum(axis=(-2, -1)))


def _inverse_root(matrices: FloatArray) -> FloatArray:
    """C with C C' the inverse of each positive definite matrix."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(matrices)).mT)

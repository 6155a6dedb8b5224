"""Mean and covariance of a gain after infinitely many iterations."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray
from metalqr.prediction.mean_path import Stage
from metalqr.prediction.recursion import Recursion, turned

#: Newton steps without the third derivative, those of Anderson's method with it, and what the latter remembers.
MAX_STEPS, MAX_CORRECTED_STEPS, REMEMBERED, MAX_HALVINGS = 15, 60, 10, 30
#: The mean has converged when a step is this small, relative to the gain.
TOLERANCE = 1e-4
#: Growth of a step at which it was too long.
_TOO_LONG = 3.0
#: Share of the largest singular value below which remembered steps are the same.
_SAME = 1e-8


class Stationary(NamedTuple):
    """Mean gain (k, d) and covariance (n, n); without the third derivative where no solution with it is found."""

    K: FloatArray
    covariance: FloatArray
    is_corrected: bool


class _Here(NamedTuple):
    """What is known at a gain: the drift of the mean, its Hessian without that of the fluctuations, and these."""

    drift: FloatArray  # (n,)
    curvatures: FloatArray  # (n,), eigenvalues of the Hessian
    basis: FloatArray  # (n, n), its eigenvectors
    covariance: FloatArray  # (n, n)


def stationary(stage: Stage, recursion: Recursion, rate: float, K: FloatArray, corrects: bool) -> Stationary | None:
    r"""Solve :math:`\nabla F(K) + \frac12 \nabla^3 F(K)[S] = 0` with the stationary covariance S at K.

    First without S, from a gain near the minimum of F, by Newton steps with the Hessian H of F; then with it, from
    there, by :func:`_corrected`. Where the curvature is small, S may be so large that there is no solution near: then
    that without S is what is left. With a learning rate of 0, to which a decaying one tends, S is zero.

    None if S does not exist, or if the minimum of F is not found.
    """
    problem = _Problem(stage, recursion, rate)
    found = _minimum(problem, K)
    if found is None or not corrects or rate == 0.0:
        return found
    return _corrected(problem, found.K) or found


class _Problem:
    def __init__(self, stage: Stage, recursion: Recursion, rate: float) -> None:
        self._stage, self._recursion, self._rate = stage, recursion, rate

    def at(self, K: FloatArray, corrects: bool) -> _Here | None:
        """None where the gain is not stabilising, or no stationary covariance exists."""
        objective = self._stage.objective
        if not self.is_stable(K):
            return None
        here = self._stage.at(K, K, self._rate)
        values, basis = np.linalg.eigh(here.curvature)
        covariance = np.zeros_like(here.curvature)
        if self._rate > 0.0:
            found = self._recursion.stationary(values, self._rate, turned(basis, here.noise.covariance))
            if found is None:
                return None
            covariance = turned(basis.T, found)
        elif values[0] <= 0.0:
            return None
        drift = objective.followed(K) + here.remainder
        if corrects:
            drift = drift + objective.correction(K, covariance)
        return _Here(drift.ravel(), values, basis, covariance) if np.isfinite(drift).all() else None

    def is_stable(self, K: FloatArray) -> bool:
        """Whether a finite gain stabilises every task."""
        return bool(np.isfinite(K).all() and lqr.is_stabilising(self._stage.objective.tasks, K).all())


def _minimum(problem: _Problem, K: FloatArray) -> Stationary | None:
    for _ in range(MAX_STEPS):
        here = problem.at(K, False)
        if here is None:
            return None
        step = ((here.basis / here.curvatures) @ (here.basis.T @ here.drift)).reshape(K.shape)
        if np.linalg.norm(step) <= TOLERANCE * np.linalg.norm(K):
            return Stationary(K, here.covariance, False)
        for _ in range(MAX_HALVINGS):
            if problem.is_stable(K - step):
                break
            step = 0.5 * step
        else:
            return None
        K = K - step
    return None


def _corrected(problem: _Problem, K: FloatArray) -> Stationary | None:
    r"""Solve with S, from a gain near, by the method of Anderson.

    S changes with K by more than the Hessian says, in flat directions most. So the steps are those with
    :math:`(H + \mu I)^{-1}`, where :math:`\mu` is the median curvature at the start, and the combination of the last
    ones whose steps add up to least is what is taken.
    """
    here = problem.at(K, True)
    if here is None:
        return None
    damped = (here.basis / (here.curvatures + np.median(here.curvatures))) @ here.basis.T
    gain, step = K.ravel(), -damped @ here.drift
    gains, steps = [gain], [step]
    for _ in range(MAX_CORRECTED_STEPS):
        if np.linalg.norm(step) <= TOLERANCE * np.linalg.norm(gain):
            return Stationary(gain.reshape(K.shape), here.covariance, True)
        move = step
        if len(steps) > 1:
            moved, changed = np.diff(gains, axis=0).T, np.diff(steps, axis=0).T
            move = step - (moved + changed) @ np.linalg.lstsq(changed, step, rcond=_SAME)[0]
        for _ in range(MAX_HALVINGS):
            found = problem.at((gain + move).reshape(K.shape), True)
            if found is not None and np.linalg.norm(damped @ found.drift) <= _TOO_LONG * np.linalg.norm(step):
                break
            move = 0.5 * move
        else:
            return None
        gain, here, step = gain + move, found, -damped @ found.drift
        gains, steps = [*gains[-REMEMBERED:], gain], [*steps[-REMEMBERED:], step]
    return None

"""Mean and covariance of a gain after infinitely many iterations."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray
from metalqr.prediction.mean_path import Stage
from metalqr.prediction.recursion import Recursion, turned

MAX_STEPS, MAX_HALVINGS = 15, 30
#: The mean has converged when a step is this small, relative to the gain.
TOLERANCE = 1e-4


class Stationary(NamedTuple):
    """Mean gain (k, d) and covariance (n, n); without the third derivative where no solution with it is found."""

    K: FloatArray
    covariance: FloatArray
    is_corrected: bool


def stationary(stage: Stage, recursion: Recursion, rate: float, K: FloatArray, corrects: bool) -> Stationary | None:
    r"""Solve :math:`\nabla F(K) + \frac12 \nabla^3 F(K)[S] = 0` with the stationary covariance S at K.

    First without S, from a gain near the minimum of F, by Newton steps with the Hessian of F; then with it, from there,
    by the method of Broyden. Where the curvature is small, S may be so large that there is no solution near: then that
    without S is what is left. With a learning rate of 0, to which a decaying one tends, S is zero.

    None if S does not exist, or if the minimum of F is not found.
    """
    found = _solution(stage, recursion, rate, K, False)
    if found is None or not corrects or rate == 0.0:
        return found
    return _solution(stage, recursion, rate, found.K, True) or found


def _solution(stage: Stage, recursion: Recursion, rate: float, K: FloatArray, corrects: bool) -> Stationary | None:
    inverse, gradient, moved = np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    for count in range(MAX_STEPS):
        here = stage.at(K, K, rate)
        values, basis = np.linalg.eigh(here.curvature)
        covariance = np.zeros_like(here.curvature)
        if rate > 0.0:
            found = recursion.stationary(values, rate, turned(basis, here.noise.covariance))
            if found is None:
                return None
            covariance = turned(basis.T, found)
        elif values[0] <= 0.0:
            return None
        before, gradient = gradient, (stage.objective.followed(K) + here.remainder).ravel()
        if corrects:
            gradient = gradient + stage.objective.correction(K, covariance).ravel()
        if corrects and count:
            # S changes with K, and with it the gradient, by more than the Hessian says.
            seen = inverse @ (gradient - before)
            inverse = inverse + np.outer(moved - seen, moved @ inverse) / (moved @ seen)
        else:
            inverse = (basis / values) @ basis.T
        step = (inverse @ gradient).reshape(K.shape)
        if np.linalg.norm(step) <= TOLERANCE * np.linalg.norm(K):
            return Stationary(K, covariance, corrects)
        for _ in range(MAX_HALVINGS):
            if np.isfinite(step).all() and lqr.is_stabilising(stage.objective.tasks, K - step).all():
                break
            step = 0.5 * step
        else:
            return None
        K, moved = K - step, -step.ravel()
    return None

"""Mean and covariance of a gain after infinitely many iterations."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray
from metalqr.prediction.mean_path import Stage
from metalqr.prediction.recursion import Recursion, turned

MAX_STEPS, MAX_HALVINGS = 12, 30
#: The mean has converged when a step is this small, relative to the gain.
TOLERANCE = 1e-3


class Stationary(NamedTuple):
    """Mean gain (k, d) and covariance (n, n)."""

    K: FloatArray
    covariance: FloatArray


def stationary(stage: Stage, recursion: Recursion, rate: float, K: FloatArray, corrects: bool) -> Stationary | None:
    r"""Solve :math:`\nabla F(K) + \frac12 \nabla^3 F(K)[S] = 0` with the stationary covariance S at K.

    Newton steps with the Hessian of F, from a gain near the end of the path. With a learning rate of 0, to which a
    decaying one tends, S is zero. None if S does not exist, or if no step ends at a stabilising gain: then the run does
    not come to rest.
    """
    for _ in range(MAX_STEPS):
        here = stage.at(K, K)
        values, basis = np.linalg.eigh(here.curvature)
        if values[0] <= 0.0:
            return None
        covariance = np.zeros_like(here.curvature)
        if rate > 0.0:
            found = recursion.stationary(values, rate, turned(basis, here.noise))
            if found is None or not np.isfinite(found).all():
                return None
            covariance = turned(basis.T, found)
        gradient = stage.objective.followed(K) + here.remainder
        if corrects:
            gradient = gradient + stage.objective.correction(K, covariance)
        step = (basis @ ((basis.T @ gradient.ravel()) / values)).reshape(K.shape)
        for _ in range(MAX_HALVINGS):
            if np.isfinite(step).all() and lqr.is_stabilising(stage.objective.tasks, K - step).all():
                break
            step = 0.5 * step
        else:
            return None
        K = K - step
        if np.linalg.norm(step) <= TOLERANCE * np.linalg.norm(K):
            return Stationary(K, covariance)
    return None

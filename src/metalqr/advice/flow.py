"""The gradient flow from the initial gain."""

from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray
from metalqr.lqr.evaluation import costs
from metalqr.prediction.objective import Objective

#: Tolerance of the integration, relative to the gain.
_TOLERANCE = 1e-4


class Flow(NamedTuple):
    """The gradient flow of an objective."""

    times: FloatArray  # (T,)
    ratios: FloatArray  # (T,); infinite from where the gain does not stabilise every task
    path: FloatArray  # (T, k, d)


def follow(objective: Objective, K0: FloatArray, times: FloatArray, scale: float) -> Flow:
    r"""Solve :math:`dK/d\tau = -\nabla F(K)` from a gain (k, d), at given times, the first of which is 0.

    The problem is stiff: the curvatures differ by orders of magnitude. ``scale`` is the cost that ratios refer to.
    """
    from scipy.integrate import solve_ivp

    shape = K0.shape
    found = solve_ivp(
        lambda _, K: -objective.followed(K.reshape(shape)).ravel(),
        (0.0, times[-1]),
        K0.ravel(),
        method="LSODA",
        t_eval=times,
        jac=lambda _, K: -objective.hessian(K.reshape(shape)),
        rtol=_TOLERANCE,
        atol=_TOLERANCE * max(1e-3, float(np.abs(K0).max())),
    )
    path = np.full((len(times), *shape), np.nan)
    path[: found.y.shape[1]] = found.y.T.reshape(-1, *shape)
    is_stable = np.array([bool(np.isfinite(K).all() and lqr.is_stabilising(objective.tasks, K).all()) for K in path])
    reached = len(path) if is_stable.all() else int(np.argmin(is_stable))
    ratios = np.full(len(path), np.inf)
    ratios[:reached] = costs(objective.tasks, path[:reached]).sum(axis=1) / scale - 1.0
    # Beyond, gains are those of the last stable point, so that everything can be computed there.
    path[reached:] = path[reached - 1]
    return Flow(times, ratios, path)

"""The best single gain for all tasks: the floor that no gain common to all tasks can pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, common_gain, cost, spectral_radius
from metalqr.objectives.landscapes import MeanCost
from metalqr.optimal.newton_cg import DescentError, descend
from metalqr.optimal.stabilising import candidate_gains, stabilising_gain

#: Relative gradient norm at which the descent stops.
GRADIENT_TOLERANCE = 1e-10
#: Relative gradient norm above which the result would not deserve its name.
ACCEPTED_GRADIENT = 1e-8
MOST_ITERATIONS = 500
#: How many starting gains are tried: the mean cost need not be convex, and a poor start could end in a local minimum.
MOST_STARTS = 3


@dataclass(frozen=True, eq=False)
class SharedGain:
    """The best single gain for all tasks.

    Attributes
    ----------
    K : array, shape (k, d)
        The gain.
    cost : array, shape (I,)
        J_i(K), for every task.
    objective : float
        Σ p_i J_i(K).
    gradient_norm : float
        Norm of the gradient of the objective, relative to the two terms that cancel in it.
    iterations : int
        Newton steps from the start that led here.
    """

    K: FloatArray
    cost: FloatArray
    objective: float
    gradient_norm: float
    iterations: int


def shared_gain(tasks: LQRTasks, start: ArrayLike | None = None) -> SharedGain:
    r"""Minimise :math:`\sum_i p_i J_i(K)` over the gains that stabilise every task.

    An exact truncated Newton descent that never leaves the common stabilising set. The mean cost of several tasks is
    not gradient dominant and may have several minima; without ``start`` the descent runs from the three cheapest of the
    gains at hand (zero, every task's optimum, their means) and the best end counts. The result is a stationary
    point, and the global minimum where the objective is unimodal.

    Tasks of probability zero take no part: their cost is reported, and may be infinite.

    Parameters
    ----------
    tasks : LQRTasks
    start : array_like, shape (k, d), optional
        A gain that stabilises every task (of positive probability). Default: found as described.

    Returns
    -------
    SharedGain

    Raises
    ------
    UnstablePolicyError
        If ``start`` is given and does not stabilise the tasks.
    NotStabilisableError
        If some task has no stabilising gain at all.
    NoCommonStabilisingGainError
        If no gain that stabilises all tasks can be found.
    DescentError
        If no stationary point is reached, because the minimum lies too close to instability.
    """
    likely = np.flatnonzero(tasks.p > 0)
    weighted = tasks if likely.size == tasks.count else tasks.subset(likely)
    landscape = MeanCost(weighted)
    if start is None:
        starts = sorted(_starts(landscape), key=landscape.value)[:MOST_STARTS]
    else:
        given = common_gain(weighted, start, "start")
        radii = spectral_radius(weighted, given)
        if not np.all(radii < 1.0):
            unstable = np.flatnonzero(~(radii < 1.0))
            raise UnstablePolicyError(likely[unstable], radii[unstable], policy="start")
        starts = [given]
    descents = [descend(landscape, gain, GRADIENT_TOLERANCE, MOST_ITERATIONS) for gain in starts]
    best = min(descents, key=lambda descent: descent.objective)
    if best.gradient_norm > ACCEPTED_GRADIENT:
        raise DescentError(
            f"the descent stopped after {best.iterations} steps at the mean cost {best.objective:.6g} with the "
            f"relative gradient norm {best.gradient_norm:.3g} > {ACCEPTED_GRADIENT}: the best single gain lies too "
            "close to instability, or the tasks are too badly scaled; give another start or scale the tasks"
        )
    K = best.K.copy()
    costs = cost(tasks, K)
    for array in (K, costs):
        array.setflags(write=False)
    return SharedGain(
        K=K, cost=costs, objective=best.objective, gradient_norm=best.gradient_norm, iterations=best.iterations
    )


def _starts(landscape: MeanCost) -> list[FloatArray]:
    gains = [gain for _, gain in candidate_gains(landscape.tasks) if np.isfinite(landscape.value(gain))]
    return gains or [stabilising_gain(landscape.tasks)]

"""The best single gain found for all tasks."""

import functools

from numpy.typing import ArrayLike

from metalqr.lqr import LQRTasks, common_gain, cost, require_stabilising
from metalqr.objectives.mean_cost import MeanCost
from metalqr.optimal.newton_cg import Minimum, cheapest, find_minimum
from metalqr.optimal.stabilising import candidate_gains, stabilising_gain

MAX_ITERATIONS = 500


def shared_gain(tasks: LQRTasks, start: ArrayLike | None = None) -> Minimum:
    r"""Minimise :math:`\sum_i p_i J_i(K)` over the gains that stabilise every task.

    An exact truncated Newton descent that never leaves the common stabilising set. The mean cost of several tasks is
    not gradient dominant and may have several minima, in components that no descent connects (entry 26 of
    ``docs/errata.md`` has an example); without ``start`` the descent runs from the three cheapest of the gains at hand
    (zero, every task's optimum, their means) and the best end counts. The result is a stationary point. For d = k = 1
    it is the global minimum, because every cost is convex there,

    .. math:: J_i(K) = \frac{\psi (q + r K^2)}{1 - f^2}, \quad f = a - bK, \qquad
              \frac1{1 - f^2} = \frac12\Bigl(\frac1{1 - f} + \frac1{1 + f}\Bigr),

    as each term :math:`(q + r K^2)/y` with :math:`y = 1 \mp f > 0`, which is affine in K, is an affine function of y
    and a positive multiple of :math:`1/y`.

    A ``start``, shape (k, d), must stabilise every task. This is simultaneous stabilisation at the lowest
    infinite-horizon average cost.

    Raises
    ------
    UnstablePolicyError
        If ``start`` is given and does not stabilise the tasks.
    NotStabilisableError, NoCommonStabilisingGainError
        If no gain that stabilises all tasks is found, see :func:`stabilising_gain`.
    DescentError
        If no stationary point is reached, because the minimum lies too close to instability.
    """
    objective = MeanCost(tasks)
    if start is None:
        starts = cheapest(objective, candidate_gains(tasks).values()) or [stabilising_gain(tasks)]
    else:
        starts = [common_gain(tasks, start, "start")]
        require_stabilising(tasks, starts[0], "start")
    return find_minimum(objective, starts, functools.partial(cost, tasks), MAX_ITERATIONS)

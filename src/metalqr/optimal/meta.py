"""The optimum of the meta-objective: the gain that costs least after one step of adaptation to each task."""

from numpy.typing import ArrayLike

from metalqr.lqr import LQRTasks, common_gain, require_stabilising
from metalqr.objectives.meta import MetaObjective, adapted_cost, adapted_gains
from metalqr.optimal.adaptable import maml_stabilising_gain
from metalqr.optimal.newton_cg import Minimum, cheapest, find_minimum
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import candidate_gains

MAX_ITERATIONS = 200
#: Hessian-vector products of a step.
MAX_PRODUCTS = 200


def meta_gain(tasks: LQRTasks, adaptation_rate: float, start: ArrayLike | None = None) -> Minimum:
    r"""Minimise :math:`L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))` (equation 4) over the MAML-stabilising gains.

    An exact truncated Newton descent that never leaves the MAML-stabilising set. Without ``start`` it runs from the
    three cheapest of the gains at hand (the best single gain, zero, every task's optimum, their means) that are
    MAML-stabilising at :math:`\eta`, or from one that :func:`maml_stabilising_gain` finds, and the best end counts. The
    result is a stationary point: the minimum of the valley in which gains lie that are good for all tasks. Near
    instability L can have further minima, also lower ones: there a steep gradient carries a gain that hardly stabilises
    some task to one that is good for it. They are not searched.

    A ``start``, shape (k, d), must be MAML-stabilising.

    Raises
    ------
    UnstablePolicyError
        If ``start`` is given and is not MAML-stabilising.
    NotStabilisableError, NoCommonStabilisingGainError, NoMamlStabilisingGainError
        If no MAML-stabilising gain is found to start from, see :func:`maml_stabilising_gain`.
    DescentError
        If no stationary point is reached, because the minimum lies too close to instability.

    Notes
    -----
    The optimum of a single task does not move when it adapts, so that K* is the task's own and L(K*) = J*.

    Examples
    --------
    Two scalar tasks that by symmetry have K* = 0, from where each moves towards its own optimum:

    >>> ones = [[[1.0]], [[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]], [[-0.5]]], B=ones, Q=ones, R=ones, Psi=ones)
    >>> [round(meta_gain(tasks, rate).objective, 3) for rate in (0.0, 0.01, 0.1)]
    [1.333, 1.303, 1.151]
    """
    objective = MetaObjective(tasks, adaptation_rate)
    if start is None:
        gains = [shared_gain(tasks).K, *candidate_gains(tasks).values()]
        starts = cheapest(objective, gains) or [maml_stabilising_gain(tasks, adaptation_rate).K]
    else:
        starts = [common_gain(tasks, start, "start")]
        require_stabilising(tasks, starts[0], "start")
        adapted = adapted_gains(tasks, starts[0], adaptation_rate)
        require_stabilising(tasks, adapted, "start, after its adaptation with the gradient of the task,")
    return find_minimum(
        objective, starts, lambda K: adapted_cost(tasks, K, adaptation_rate), MAX_ITERATIONS, MAX_PRODUCTS
    )

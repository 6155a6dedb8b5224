"""The optimum of the meta-objective: the gain that costs least after one step of adaptation to each task."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, common_gain, spectral_radius
from metalqr.objectives.landscapes import MetaObjective
from metalqr.objectives.meta import adapted_cost, adapted_gains
from metalqr.optimal.adaptable import maml_stabilising_gain
from metalqr.optimal.newton_cg import DescentError, descend
from metalqr.optimal.shared import shared_gain
from metalqr.optimal.stabilising import candidate_gains

#: Relative gradient norm at which the descent stops.
GRADIENT_TOLERANCE = 1e-10
#: Relative gradient norm above which the result would not deserve its name.
ACCEPTED_GRADIENT = 1e-8
MOST_ITERATIONS = 200
#: How many Hessian-vector products a step may take.
MOST_PRODUCTS = 200
#: How many starting gains are tried: the meta-objective is not convex, and a poor start could end in a local minimum.
MOST_STARTS = 3


@dataclass(frozen=True, eq=False)
class MetaGain:
    r"""The optimum of the meta-objective.

    Attributes
    ----------
    K : array, shape (k, d)
        The gain K*.
    cost : array, shape (I,)
        :math:`J_i(K^* - \eta \nabla J_i(K^*))`, for every task.
    objective : float
        :math:`L(K^*) = \sum_i p_i J_i(K^* - \eta \nabla J_i(K^*))`.
    gradient_norm : float
        Norm of the gradient of the objective, relative to the terms that cancel in it.
    iterations : int
        Newton steps from the start that led here.
    """

    K: FloatArray
    cost: FloatArray
    objective: float
    gradient_norm: float
    iterations: int


def meta_gain(tasks: LQRTasks, adaptation_rate: float, start: ArrayLike | None = None) -> MetaGain:
    r"""Minimise :math:`L(K) = \sum_i p_i J_i(K - \eta \nabla J_i(K))` (equation 4) over the MAML-stabilising gains.

    An exact truncated Newton descent that never leaves the MAML-stabilising set. Without ``start`` it runs from the
    three cheapest of the gains at hand (the best single gain, zero, every task's optimum, their means) that are
    MAML-stabilising at :math:`\eta`, or from one that :func:`maml_stabilising_gain` finds, and the best end counts. The
    result is a stationary point: the minimum of the valley in which gains lie that are good for all tasks. Near
    instability L can have further minima, also lower ones: there a steep gradient carries a gain that hardly stabilises
    some task to one that is good for it. They are not searched.

    Tasks of probability zero take no part: their cost is reported, and may be infinite.

    Parameters
    ----------
    tasks : LQRTasks
    adaptation_rate : float
        :math:`\eta \ge 0`.
    start : array_like, shape (k, d), optional
        A gain that is MAML-stabilising for every task (of positive probability). Default: found as described.

    Returns
    -------
    MetaGain

    Raises
    ------
    UnstablePolicyError
        If ``start`` is given and is not MAML-stabilising.
    NotStabilisableError
        If some task has no stabilising gain at all.
    NoCommonStabilisingGainError
        If no gain that stabilises all tasks can be found.
    NoMamlStabilisingGainError
        If no MAML-stabilising gain can be found at this adaptation rate.
    DescentError
        If no stationary point is reached, because the minimum lies too close to instability.
    ValueError
        If ``start`` has another shape or is not finite, or if the adaptation rate is not a finite number >= 0.

    Notes
    -----
    The optimum of a single task does not move when it adapts, so that K* is the task's own and L(K*) = J*.

    Two scalar tasks with a = 1/2 and a = -1/2, b = q = r = ψ = 1, have :math:`J(K) = (1 + K^2) / (1 - (a - K)^2)` and
    :math:`J'(0) = \mp 16/9`. By symmetry K* = 0, and after the adaptation, each task towards its own optimum,

    .. math:: L(K^*) = \frac{1 + (16 \eta / 9)^2}{1 - (1/2 - 16 \eta / 9)^2} .

    Examples
    --------
    >>> from metalqr.optimal import meta_gain
    >>> ones = [[[1.0]], [[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]], [[-0.5]]], B=ones, Q=ones, R=ones, Psi=ones)
    >>> [round(meta_gain(tasks, rate).objective, 3) for rate in (0.0, 0.01, 0.1)]
    [1.333, 1.303, 1.151]
    >>> round((1 + (1.6 / 9) ** 2) / (1 - (0.5 - 1.6 / 9) ** 2), 3)
    1.151
    """
    likely = np.flatnonzero(tasks.p > 0)
    weighted = tasks if likely.size == tasks.count else tasks.subset(likely)
    landscape = MetaObjective(weighted, adaptation_rate)
    starts = _starts(landscape) if start is None else [_checked_start(landscape, start, likely)]
    descents = [descend(landscape, gain, GRADIENT_TOLERANCE, MOST_ITERATIONS, MOST_PRODUCTS) for gain in starts]
    best = min(descents, key=lambda descent: descent.objective)
    if best.gradient_norm > ACCEPTED_GRADIENT:
        raise DescentError(
            f"the descent stopped after {best.iterations} steps at the meta-objective {best.objective:.6g} with the "
            f"relative gradient norm {best.gradient_norm:.3g} > {ACCEPTED_GRADIENT}: at the adaptation rate "
            f"{adaptation_rate:.6g} the optimum lies too close to instability, or the tasks are too badly scaled; "
            "lower the adaptation rate, give another start or scale the tasks"
        )
    K = best.K.copy()
    costs = adapted_cost(tasks, K, adaptation_rate)
    for array in (K, costs):
        array.setflags(write=False)
    return MetaGain(
        K=K, cost=costs, objective=best.objective, gradient_norm=best.gradient_norm, iterations=best.iterations
    )


def _starts(landscape: MetaObjective) -> list[FloatArray]:
    tasks = landscape.tasks
    gains = [shared_gain(tasks).K, *(gain for _, gain in candidate_gains(tasks))]
    gains = sorted((gain for gain in gains if np.isfinite(landscape.value(gain))), key=landscape.value)
    return gains[:MOST_STARTS] or [maml_stabilising_gain(tasks, landscape.adaptation_rate).K]


def _checked_start(landscape: MetaObjective, start: ArrayLike, task_indices: NDArray[np.int_]) -> FloatArray:
    """Refuse a start that is not MAML-stabilising for the landscape's tasks, whose indices are given."""
    tasks = landscape.tasks
    gain = common_gain(tasks, start, "start")
    radii, policy = spectral_radius(tasks, gain), "start"
    if np.all(radii < 1.0):
        radii = spectral_radius(tasks, adapted_gains(tasks, gain, landscape.adaptation_rate))
        policy = "start, after its adaptation with the gradient of the task,"
    unstable = np.flatnonzero(~(radii < 1.0))
    if unstable.size:
        raise UnstablePolicyError(task_indices[unstable], radii[unstable], policy=policy)
    return gain

"""A gain that stabilises all tasks at once, or a clear statement that none was found."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, common_gain, is_stabilising, spectral_radius
from metalqr.objectives.landscapes import MeanCost
from metalqr.optimal.newton_cg import descend
from metalqr.optimal.riccati import NotStabilisableError, optimal_gains

#: Part of the way to the next limit of stability that one annealing round goes.
ANNEALING_SHARE = 0.9
MOST_ANNEALING_ROUNDS = 60
#: A round that raises the discount by a smaller relative amount than this has stalled.
SMALLEST_ANNEALING_GAIN = 1e-4
#: Accuracy and length of the descent of one round: a start is wanted, not an optimum.
ANNEALING_TOLERANCE = 1e-4
ANNEALING_ITERATIONS = 50


class NoCommonStabilisingGainError(ValueError):
    """No gain that stabilises every task exists (d = k = 1), or none was found; the message says what was tried."""


def stabilising_gain(tasks: LQRTasks, start: ArrayLike | None = None) -> FloatArray:
    r"""Find a gain K of shape (k, d) with :math:`\rho(A_i - B_i K) < 1` for every task.

    The first of these that stabilises every task: ``start``; zero; for d = k = 1 the middle of the common interval,
    which decides the question; every task's own optimum and their means; the end of a discount annealing. Annealing
    (as in reference [40] of the paper) minimises the mean cost of the damped tasks :math:`(s A_i, s B_i)`, starting
    with an s so small that zero stabilises them, and raises s as far as the last gain allows, until s = 1.

    Parameters
    ----------
    tasks : LQRTasks
    start : array_like, shape (k, d), optional
        Tried first.

    Returns
    -------
    array, shape (k, d)

    Raises
    ------
    NotStabilisableError
        If some task has no stabilising gain at all.
    NoCommonStabilisingGainError
        If the tasks have no common stabilising gain (d = k = 1, with every task's interval), or if none was found.

    Examples
    --------
    The pair of tasks in Section 3.2 of the paper:

    >>> from metalqr.lqr import LQRTasks
    >>> ones = [[[1.0]], [[1.0]]]
    >>> tasks = LQRTasks(A=[[[3.0]], [[1.0]]], B=[[[4.0]], [[-1.0]]], Q=ones, R=ones, Psi=ones)
    >>> scalar_intervals(tasks).tolist()
    [[0.5, 1.0], [-2.0, 0.0]]
    >>> try:
    ...     stabilising_gain(tasks)
    ... except NoCommonStabilisingGainError as error:
    ...     print(str(error)[:92])
    no gain stabilises all tasks: task 0 needs K in (0.5, 1), task 1 needs K in (-2, 0), and the
    """
    first = [] if start is None else [common_gain(tasks, start, "start")]
    for gain in [*first, np.zeros((tasks.action_dim, tasks.state_dim))]:
        if is_stabilising(tasks, gain).all():
            return gain
    if tasks.state_dim == tasks.action_dim == 1:
        return _middle_of_intervals(tasks)
    candidates = candidate_gains(tasks)
    for _, gain in candidates:
        if is_stabilising(tasks, gain).all():
            return gain
    gain, factor = _anneal(tasks)
    if factor == 1.0:
        return gain
    tried = "".join(
        f"\n  {name}: largest spectral radius {spectral_radius(tasks, candidate).max():.4g}"
        for name, candidate in candidates
    )
    raise NoCommonStabilisingGainError(
        f"no gain was found that stabilises all {tasks.count} tasks at once. Tried:{tried}\n  discount annealing: "
        f"stopped with A and B scaled by {factor:.4g} < 1\nThe tasks may be too different for one gain; use fewer or "
        "more similar tasks, or give a start that stabilises them"
    )


def scalar_intervals(tasks: LQRTasks) -> FloatArray:
    r"""Open intervals of stabilising gains of scalar tasks (d = k = 1), shape (I, 2).

    :math:`|a - bK| < 1` holds for K strictly between :math:`(a - 1)/b` and :math:`(a + 1)/b`, and with b = 0 for every
    K (when \|a\| < 1) or none.

    Raises
    ------
    ValueError
        If the tasks are not scalar.
    NotStabilisableError
        If a task has b = 0 and \|a\| >= 1.
    """
    if (tasks.state_dim, tasks.action_dim) != (1, 1):
        raise ValueError(f"the tasks have d = {tasks.state_dim}, k = {tasks.action_dim}; intervals need d = k = 1")
    intervals = np.empty((tasks.count, 2))
    for task, (a, b) in enumerate(zip(tasks.A[:, 0, 0], tasks.B[:, 0, 0], strict=True)):
        if b != 0:
            # Adding zero turns -0 into 0, for the reader of a message.
            intervals[task] = sorted(((a - 1) / b + 0.0, (a + 1) / b + 0.0))
        elif abs(a) < 1:
            intervals[task] = -np.inf, np.inf
        else:
            raise NotStabilisableError(
                f"task {task} cannot be stabilised by any gain: B is 0 and A is {a:.6g}, with absolute value >= 1; "
                "change A or B of this task or leave it out"
            )
    return intervals


def candidate_gains(tasks: LQRTasks) -> list[tuple[str, FloatArray]]:
    """Gains worth a try, with a name each: zero, every task's optimum, and the optima's two means, shape (k, d)."""
    optima = optimal_gains(tasks).K
    return [
        ("zero", np.zeros((tasks.action_dim, tasks.state_dim))),
        *((f"the optimum of task {task}", gain) for task, gain in enumerate(optima)),
        ("the mean of the optima", optima.mean(axis=0)),
        ("the mean of the optima weighted with p", np.tensordot(tasks.p, optima, axes=1)),
    ]


def _middle_of_intervals(tasks: LQRTasks) -> FloatArray:
    intervals = scalar_intervals(tasks)
    low, high = intervals[:, 0].max(), intervals[:, 1].min()
    gain = np.array([[0.5 * (low + high)]])
    if low < high and is_stabilising(tasks, gain).all():
        return gain
    named = ", ".join(f"task {task} needs K in ({low:.6g}, {high:.6g})" for task, (low, high) in enumerate(intervals))
    raise NoCommonStabilisingGainError(
        f"no gain stabilises all tasks: {named}, and these intervals have no point in common; use tasks whose "
        "intervals overlap"
    )


def _anneal(tasks: LQRTasks) -> tuple[FloatArray, float]:
    """Return the last gain and the factor on A and B up to which annealing came: 1 when it stabilises the tasks."""
    gain = np.zeros((tasks.action_dim, tasks.state_dim))
    factor = 0.0
    for _ in range(MOST_ANNEALING_ROUNDS):
        radius = float(spectral_radius(tasks, gain).max())
        if radius < 1.0:
            return gain, 1.0
        limit = 1.0 / radius
        raised = factor + ANNEALING_SHARE * (limit - factor)
        if raised - factor <= SMALLEST_ANNEALING_GAIN * raised:
            break
        factor = raised
        # Every task counts alike: a gain is wanted that stabilises them all, however unlikely some are.
        damped = LQRTasks(factor * tasks.A, factor * tasks.B, tasks.Q, tasks.R, tasks.Psi)
        gain = descend(MeanCost(damped), gain, ANNEALING_TOLERANCE, ANNEALING_ITERATIONS).K
    return gain, factor

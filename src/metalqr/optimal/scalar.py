"""All stabilising and MAML-stabilising gains of scalar tasks: the case in which Definition 1 can be decided."""

import itertools
import math
from collections.abc import Iterable

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks
from metalqr.lqr.existence import NotStabilisableError

#: Bound of the adaptation's coefficients: beyond it, an interval is far shorter than doubles resolve.
MAX_SHIFT = 1e100

#: Open intervals of gains, in ascending order and without a point in common.
Intervals = tuple[tuple[float, float], ...]


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
            # Adding zero turns -0 into 0, for messages.
            intervals[task] = sorted(((a - 1) / b + 0.0, (a + 1) / b + 0.0))
        elif abs(a) < 1:
            intervals[task] = -np.inf, np.inf
        else:
            raise NotStabilisableError(
                f"task {task} cannot be stabilised by any gain: B is 0 and A is {a:.6g}, with absolute value >= 1; "
                "change A or B of this task or leave it out"
            )
    return intervals


def adaptable_intervals(tasks: LQRTasks, adaptation_rate: float) -> tuple[Intervals, ...]:
    r"""Every scalar task's MAML-stabilising gains (Definition 1 for the task alone), as open intervals.

    In the closed loop :math:`c = a - bK` the cost is :math:`J = \psi (q + r K^2) / (1 - c^2)`, and the closed loop of
    the adapted gain :math:`K - \eta J'(K)` is

    .. math::

        c + \eta b J'(K) = c + \frac{\eta\, g(c)}{(1 - c^2)^2}, \qquad
        g(c) = 2 \psi \left( r a (1 + c^2) - (r (1 + a^2) + q b^2)\, c \right) .

    It is :math:`\pm 1` at the roots of the polynomials :math:`(c \mp 1)(1 - c^2)^2 + \eta\, g(c)` of degree five, and
    their roots between -1 and 1 cut that interval into pieces on which it is inside (-1, 1) or outside. With a cross
    term s, a - bs/r and q - s²/r stand in g for a and q. Derived here.

    The optimum, which does not move, always lies in one of them. If doubles cannot resolve it, its two ends are equal.
    Errors are those of :func:`scalar_intervals`.

    Examples
    --------
    With a = 0 and b = q = r = ψ = 1 the adapted closed loop is :math:`c - 4 \eta c / (1 - c^2)^2`. For
    :math:`\eta = 27/64` it is :math:`1/2 - (27/32) / (9/16) = -1` at c = 1/2, so that the adaptation overshoots from
    there on.

    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.0]]], B=one, Q=one, R=one, Psi=one)
    >>> [(round(low, 9), round(high, 9)) for low, high in adaptable_intervals(tasks, 27 / 64)[0]]
    [(-0.5, 0.5)]
    """
    return tuple(
        ((float(low), float(high)),) if math.isinf(low) else _of_task(tasks, task, adaptation_rate)
        for task, (low, high) in enumerate(scalar_intervals(tasks))
    )


def common_intervals(per_task: Iterable[Intervals], margin: float = 0.0) -> Intervals:
    """The points that the intervals of all tasks, each widened by a margin, have in common; the longest first."""
    common: Intervals = ((-math.inf, math.inf),)
    for intervals in per_task:
        wider = [(low - margin, high + margin) for low, high in intervals]
        overlaps = [(max(low, a), min(high, b)) for low, high in common for a, b in wider]
        common = tuple((low, high) for low, high in overlaps if low < high)
    return tuple(sorted(common, key=lambda interval: interval[0] - interval[1]))


def in_words(per_task: Iterable[Intervals]) -> str:
    """The gains that every task needs, as a list for a message."""
    return ", ".join(
        f"task {task} needs K in " + " or ".join(f"({low:.6g}, {high:.6g})" for low, high in intervals)
        for task, intervals in enumerate(per_task)
    )


def middle(interval: tuple[float, float]) -> FloatArray:
    """The gain (1, 1) in the middle of an interval; zero if it is all numbers."""
    low, high = interval
    return np.array([[0.0 if math.isinf(low) else 0.5 * (low + high)]])


def _of_task(tasks: LQRTasks, task: int, adaptation_rate: float) -> Intervals:
    a, b, q, r, noise, cross = (getattr(tasks, name)[task].item() for name in ("A", "B", "Q", "R", "excitation", "S"))
    # Without the cross term: the same closed loops and costs, with K smaller by s / r.
    shifted, q = a - b * cross / r, q - cross**2 / r
    slope = 2.0 * noise * np.array([r * shifted, -(r * (1.0 + shifted**2) + q * b**2), r * shifted])
    shift = min(adaptation_rate, MAX_SHIFT / (np.abs(slope).max() or 1.0)) * slope
    squared = np.array([1.0, 0.0, -2.0, 0.0, 1.0])
    roots = [np.roots(np.polyadd(np.polymul([1.0, -side], squared), shift)) for side in (1.0, -1.0)]
    # The real parts of all roots: a double root that rounding made complex is among them. Superfluous cuts do no harm:
    # the pieces on both of its sides are joined below.
    cuts = np.unique(np.concatenate(roots).real)
    bounds = [-1.0, *cuts[np.abs(cuts) < 1.0].tolist(), 1.0]

    def inside(loop: float) -> bool:
        return bool(abs(loop + np.polyval(shift, loop) / (1.0 - loop**2) ** 2) < 1.0)

    pieces: list[list[float]] = []
    for low, high in itertools.pairwise(bounds):
        if not inside(0.5 * (low + high)):
            continue
        if pieces and pieces[-1][1] == low and inside(low):
            pieces[-1][1] = high
        else:
            pieces.append([low, high])
    if not pieces:
        # Shorter than the distance of two doubles. The product of the roots of g is 1, so one of them is the optimum's.
        pieces = [2 * [root] for root in np.roots(slope).real.tolist() if abs(root) < 1.0]
    gains = [sorted(((a - low) / b + 0.0, (a - high) / b + 0.0)) for low, high in pieces]
    return tuple((low, high) for low, high in sorted(gains))

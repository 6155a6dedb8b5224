"""Simultaneous stabilisation: a gain that stabilises all tasks at once, or a clear statement that none was found."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr import FloatArray, LQRTasks, common_gain, is_stabilising, spectral_radius
from metalqr.objectives.mean_cost import MeanCost
from metalqr.optimal.newton_cg import minimise
from metalqr.optimal.riccati import optimal_gains
from metalqr.optimal.scalar import common_intervals, in_words, middle, scalar_intervals

#: Fraction of the way to the next limit of stability that one annealing round takes.
ANNEALING_FRACTION = 0.9
MAX_ANNEALING_ROUNDS = 60
#: A round that raises the discount by a smaller relative amount than this has stalled.
MIN_ANNEALING_GAIN = 1e-4
#: Accuracy and length of the descent of one round: a starting point is needed, not an optimum.
ANNEALING_TOLERANCE = 1e-4
ANNEALING_ITERATIONS = 50


class NoCommonStabilisingGainError(ValueError):
    """No gain that stabilises every task exists (d = k = 1), or none was found; the message lists what was tried."""


def stabilising_gain(tasks: LQRTasks, start: ArrayLike | None = None) -> FloatArray:
    r"""Find a simultaneously stabilising gain: one K of shape (k, d) with :math:`\rho(A_i - B_i K) < 1` for every task.

    The first of these that stabilises every task: ``start``; zero; for d = k = 1 the middle of the common interval,
    which decides the question; every task's own optimum and their means; the end of a discount annealing. Annealing
    (as in reference [40] of the paper) minimises the mean cost of the damped tasks :math:`(s A_i, s B_i)`, starting
    with an s so small that zero stabilises them, and raises s as far as the last gain allows, until s = 1.

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
    for gain in candidates.values():
        if is_stabilising(tasks, gain).all():
            return gain
    gain, factor = _anneal(tasks)
    if factor == 1.0:
        return gain
    tried = "".join(
        f"\n  {name}: largest spectral radius {spectral_radius(tasks, candidate).max():.4g}"
        for name, candidate in candidates.items()
    )
    raise NoCommonStabilisingGainError(
        f"no gain was found that stabilises all {tasks.count} tasks at once. Tried:{tried}\n  discount annealing: "
        f"stopped with A and B scaled by {factor:.4g} < 1\nThe tasks may be too different for one gain; use fewer or "
        "more similar tasks, or give an initial gain that stabilises them"
    )


def candidate_gains(tasks: LQRTasks) -> dict[str, FloatArray]:
    """Candidate gains by their names: zero, every task's optimum, and the optima's two means, shape (k, d)."""
    optima = optimal_gains(tasks).K
    return {
        "zero": np.zeros((tasks.action_dim, tasks.state_dim)),
        **{f"the optimum of task {task}": gain for task, gain in enumerate(optima)},
        "the mean of the optima": optima.mean(axis=0),
        "the mean of the optima weighted with p": np.tensordot(tasks.p, optima, axes=1),
    }


def _middle_of_intervals(tasks: LQRTasks) -> FloatArray:
    intervals = [((low, high),) for low, high in scalar_intervals(tasks).tolist()]
    for interval in common_intervals(intervals):
        gain = middle(interval)
        if is_stabilising(tasks, gain).all():
            return gain
    raise NoCommonStabilisingGainError(
        f"no gain stabilises all tasks: {in_words(intervals)}, and these intervals have no point in common; use tasks "
        "whose intervals overlap"
    )


def _anneal(tasks: LQRTasks) -> tuple[FloatArray, float]:
    """The last gain, and the factor on A and B that annealing reached: 1 when the gain stabilises the tasks."""
    gain = np.zeros((tasks.action_dim, tasks.state_dim))
    factor = 0.0
    for _ in range(MAX_ANNEALING_ROUNDS):
        radius = float(spectral_radius(tasks, gain).max())
        if radius < 1.0:
            return gain, 1.0
        limit = 1.0 / radius
        raised = factor + ANNEALING_FRACTION * (limit - factor)
        if raised - factor <= MIN_ANNEALING_GAIN * raised:
            break
        factor = raised
        # Uniform weights, because the gain must stabilise every task, however unlikely.
        damped = tasks.replace(A=factor * tasks.A, B=factor * tasks.B, p=None)
        gain = minimise(MeanCost(damped), gain, ANNEALING_TOLERANCE, ANNEALING_ITERATIONS).K
    return gain, factor

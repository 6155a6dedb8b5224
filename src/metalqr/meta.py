"""The meta-objective with its exact gradient, and training with the ratio of Figure 1, for use without the pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr import optimal, training
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks
from metalqr.objectives.meta import adapted_gains, gradient, is_maml_stabilising, objective
from metalqr.results.runs import Status, cost_difference_ratio, cost_gap
from metalqr.training.observers import Observer

__all__ = ["History", "Status", "adapted_gains", "gradient", "is_maml_stabilising", "objective", "train"]


@dataclass(frozen=True, eq=False)
class History(training.History):
    r"""A training run, as in :class:`metalqr.training.History`, with the optima of its tasks.

    Attributes
    ----------
    optimal_cost : ndarray, shape (I,)
        :math:`J_i^*`.
    """

    optimal_cost: NDArray[np.float64] = field(kw_only=True)

    @property
    def ratio(self) -> NDArray[np.float64]:
        r""":math:`\sum_i (J_i(K_n) - J_i^*) / \sum_i J_i^*`, the quantity of Figure 1, shape (n + 1,).

        NaN where :math:`\sum_i J_i^*` is zero up to rounding; :attr:`gap` remains.
        """
        return cost_difference_ratio(self.cost, self.optimal_cost, self.cost[0])

    @property
    def gap(self) -> NDArray[np.float64]:
        r""":math:`\sum_i (J_i(K_n) - J_i^*)`, shape (n + 1,)."""
        return cost_gap(self.cost, self.optimal_cost)

    @property
    def ratio_average(self) -> float | None:
        """The same of the mean of the last gains; None without ``average_last``."""
        cost = self.cost_average
        return None if cost is None else float(cost_difference_ratio(cost, self.optimal_cost, self.cost[0]))


def train(
    tasks: LQRTasks,
    K0: ArrayLike,
    settings: MetaSettings,
    seed: int,
    observers: Sequence[Observer] = (),
    *,
    resume: training.History | None = None,
) -> History:
    """:func:`metalqr.training.train`, of which this takes the arguments, with the ratio of Figure 1.

    Examples
    --------
    A run in two parts:

    >>> from metalqr import LQRTasks, MetaSettings, meta, training
    >>> class Stop(training.Observer):
    ...     def stops(self, state):
    ...         return True
    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]]], B=one, Q=one, R=one, Psi=one)
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=1.0e-5, iterations=4)
    >>> first = meta.train(tasks, [[0.0]], settings, 0, [Stop()])
    >>> first.status.value, first.status_iteration
    ('interrupted', 1)
    >>> meta.train(tasks, [[0.0]], settings, 0, resume=first).status_iteration
    4
    """
    history = training.train(tasks, K0, settings, seed, observers, resume=resume)
    return History(**vars(history), optimal_cost=optimal.optimal_gains(tasks).cost)

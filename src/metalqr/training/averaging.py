"""Polyak-Ruppert averaging: the mean of the last gains of a run."""

from dataclasses import replace

import numpy as np

from metalqr.results.runs import ENDED
from metalqr.training.costs import AnyTasks, costs_of
from metalqr.training.history import History


def averaged_gains(count: int, share: float) -> int:
    """Number of gains in the last share of ``count``: q times ``count``, rounded to a whole number, at least one."""
    return max(1, round(share * count))


def with_average(history: History, tasks: AnyTasks, share: float) -> History:
    r"""The history of a run that has ended, with the mean of its last gains and the costs of that, exact or measured.

    .. math:: \bar K = \frac1m \sum_{j=n-m+1}^{n} K_j, \qquad m = \max(1, [q (n + 1)])

    over the last m of the n + 1 gains that the run reached, also where it ended before its last iteration: by the
    tolerance, or as it diverged; the gain that left the stabilising set is then one of them. With q = 1 the mean is
    over all gains, :math:`K_0` included. The cost is infinite where the mean does not stabilise a task.

    With a share q of 0, or if the run is interrupted, the history is returned as it is.

    Source: Polyak, Juditsky (1992), *Acceleration of Stochastic Approximation by Averaging*; Ruppert (1988).
    """
    if not share or history.status not in ENDED:
        return history
    K_average = history.K[-averaged_gains(len(history.K), share) :].mean(axis=0)
    return replace(history, K_average=K_average, cost_average=costs_of(tasks, K_average[np.newaxis]).cost[0])

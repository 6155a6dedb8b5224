"""The chance that a run has left the common stabilising set, from sampled paths of its fluctuations."""

from collections.abc import Callable

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.mean_path import Point
from metalqr.prediction.spread import factor, stabilise

#: Sampled paths.
PATHS = 500
#: From several gains (P, k, d) to the gradients of F there.
Gradients = Callable[[FloatArray], FloatArray]


class Passage:
    r"""Gaussian paths around the mean path, seen at its points.

    From a point to the next one the fluctuations z of a path become :math:`z' = M z + \zeta` with the memory M of the
    recursion and a Gaussian :math:`\zeta` of covariance :math:`\Sigma' - M \Sigma M^\top`, so that their covariance is
    that of every point. A path that has left the stabilising set does not come back. It has also left if a mean step
    from its gain does: near the edge of the set the curvature is larger than on the mean path, and the step overshoots.
    Between two points only the steps are seen that leave by the noise of their own direction, where it is measured.

    Parameters
    ----------
    tasks : LQRTasks
    seed : int
    """

    def __init__(self, tasks: LQRTasks, seed: int) -> None:
        self._tasks, self._rng = tasks, np.random.default_rng([seed, 3])
        self._inside = np.ones(PATHS, dtype=bool)
        self._log_kept = 0.0
        self._last: tuple[Point, FloatArray] | None = None

    def at(self, point: Point, rate: float, gradients: Gradients | None) -> float:
        """The chance to have left until a point; ``gradients``, where given, are those of the step from there."""
        size = point.K.size
        if self._last is None:
            z = np.zeros((PATHS, len(point.state)))
        else:
            before, z = self._last
            steps = point.iteration - before.iteration
            # Between points the share of steps that leave is taken as linear: its mean is that of both ends.
            share = min(0.5 * (before.leaving + point.leaving) if steps > 1 else before.leaving, 1.0)
            self._log_kept += steps * np.log1p(-share) if share < 1.0 else -np.inf
            entered = point.state - point.memory @ before.state @ point.memory.T
            z = z @ point.memory.T + self._rng.standard_normal(z.shape) @ factor(entered).T
        self._last = point, z
        gains = point.K + z[:, :size].reshape(-1, *point.K.shape)
        self._inside &= stabilise(self._tasks, gains)
        chance = 1.0 - float(self._inside.mean()) * float(np.exp(self._log_kept))
        if gradients is not None and self._inside.any():
            stepped = gains[self._inside] - rate * gradients(gains[self._inside])
            self._inside[self._inside] = stabilise(self._tasks, stepped)
        return chance

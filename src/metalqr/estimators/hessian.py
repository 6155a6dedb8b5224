"""Hessians from the costs of rollouts, as operators on gains: Stein's identity of second order."""

import numpy as np
from numpy.typing import NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import directions
from metalqr.estimators.estimator import Array, Direction
from metalqr.lqr import LQRTasks
from metalqr.simulation import streams
from metalqr.simulation.simulators import simulator_of
from metalqr.simulation.streams import Purpose, Stream


class HessianEstimation:
    r"""Estimates of the Hessians of the tasks' costs, applied to a gain; no matrix of the Hessian is made.

    .. math:: \hat H[X] = \frac1{\kappa M} \sum_{m=1}^M c_m \left(\langle U_m, X \rangle U_m
              - \frac{n \kappa}{r^2} X\right), \qquad c_m = \tfrac12 (f(K + U_m) + f(K - U_m)) - f(K)

    with n = dk, :math:`\kappa = E \|U\|_F^4 / n (n + 2)`, and one rollout for each of the three values. Whatever has a
    uniform direction has :math:`E[u_a u_b u_c u_d] = \kappa (\delta_{ab} \delta_{cd} + \delta_{ac} \delta_{bd} +
    \delta_{ad} \delta_{bc})`, so that the mean is :math:`\nabla^2 J^{(\ell)}(K)[X]` where the cost is quadratic. For
    ``gaussian`` directions, with :math:`\kappa = \sigma^4` and :math:`\sigma^2 = r^2 / n`, it is the Hessian of the
    cost averaged over :math:`N(0, \sigma^2 I)`, exactly; on the sphere, with :math:`\kappa = r^4 / n (n + 2)`, the
    Hessian up to :math:`O(r^2)`. The noise of the rollouts gives an entry of
    :math:`\hat H[X]`, for a unit X across it, the variance :math:`\frac{3 n^2}{2 r^4 M} \operatorname{Var} f`; with
    ``common_noise``, which gives the three rollouts the same noise, there is no such term.

    With ``is_printed`` it is the estimate that Toso, Zhan, Anderson, Wang (2024) print, a matrix of the shape (k, k):

    .. math:: \hat H = \frac{k^2}{r^2 M} \sum_m (f(K + U_m) - f(K)) (U_m U_m^\top - I)

    Its mean is about :math:`-\frac{k}{2 d} \operatorname{Tr}(\nabla^2 J) I` for small r, because :math:`U U^\top` has
    the size :math:`r^2` beside I: it is no estimate of the Hessian.

    Parameters
    ----------
    tasks : LQRTasks
    settings : MetaSettings
        Of which it uses ``directions``, ``common_noise``, ``rollout_length`` and ``precision``.
    perturbations : int
        :math:`M`.
    radius : float
        :math:`r`.
    is_printed : bool
    """

    def __init__(
        self, tasks: LQRTasks, settings: MetaSettings, perturbations: int, radius: float, *, is_printed: bool = False
    ) -> None:
        self._shape, self._count, self._radius = (tasks.action_dim, tasks.state_dim), perturbations, radius
        self._length, self._shares, self._is_printed = settings.rollout_length, settings.common_noise, is_printed
        self._simulator = simulator_of(tasks, settings.precision)
        self._directions = directions.get(settings.directions)(settings)

    # A rollout of an unstable policy may overflow. The result shows it, so no warning is needed.
    @np.errstate(over="ignore", invalid="ignore")
    def product(self, K: Array, X: Array, stream: Stream, tasks: NDArray[np.int64]) -> Direction:
        r"""The estimates :math:`\hat H_i(K)[X_i]` of some tasks at a gain (k, d), X of the shape (n, k, d)."""
        before, count = self._simulator.simulated_steps, self._count
        draws = streams.outer_draws(stream, len(tasks), count, Purpose.HESSIAN_PERTURBATION)
        U = self._directions.draw(draws, self._shape, self._radius, count)
        moved = np.concatenate([K + U] if self._is_printed else [K + U, K - U], axis=1)
        policies = np.concatenate([moved, np.broadcast_to(K, U.shape)], axis=1)
        values = self._simulator.costs(
            policies,
            self._length,
            stream,
            tasks=tasks,
            purpose=Purpose.HESSIAN_ROLLOUT,
            sharing=policies.shape[1] // count if self._shares else 1,
        ).reshape(len(tasks), -1, count)
        unstable = self._simulator.count_unstable(moved, tasks)
        applied = self._printed if self._is_printed else self._stein
        change = values[:, :-1].mean(axis=1) - values[:, -1]
        found = applied(change, U, X)
        return Direction(found, {}, self._simulator.simulated_steps - before, unstable)

    def _stein(self, change: Array, U: Array, X: Array) -> Array:
        size = self._shape[0] * self._shape[1]
        law = self._directions.law(self._radius, size, 2)
        if law is None:
            raise ValueError(f"directions: {self._directions.name} does not state its law, which a Hessian needs")
        inverse = size * (size + 2) / (law.kurtosis * self._radius**4)
        along = np.einsum("im,imab,iab->im", change, U, X)
        trace = change.mean(axis=1)[:, np.newaxis, np.newaxis] * X * (size / (self._radius**2 * inverse))
        return inverse * (np.einsum("im,imab->iab", along, U) / self._count - trace)

    def _printed(self, change: Array, U: Array, X: Array) -> Array:
        actions = self._shape[0]
        square = np.einsum("im,imab,imcb->iac", change, U, U) / self._count
        matrix = square - change.mean(axis=1)[:, np.newaxis, np.newaxis] * np.eye(actions)
        return (actions / self._radius) ** 2 * matrix @ X

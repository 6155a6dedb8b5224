"""Algorithms 1 and 2 of the paper over any estimator: gradients from rollouts, without model or Hessian.

Algorithm 1 is the one-point zeroth-order estimator with sphere smoothing, Algorithm 2 the zeroth-order MAML gradient.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.config.algorithm import MetaSettings
from metalqr.estimators.estimator import Array, Direction, Memory
from metalqr.lqr import LQRTasks, common_gain, gains_per_task
from metalqr.simulation import streams
from metalqr.simulation.simulators import simulator_of
from metalqr.simulation.streams import Purpose, Stream

# Arrays that an iteration holds for each policy: perturbation, perturbed and adapted gain, estimate, and one copy.
_COPIES = 5


def estimate_gradient(tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream) -> NDArray[np.float64]:
    r"""Estimate the gradient of each task's cost: Algorithm 1, the one-point zeroth-order estimator.

    .. math:: \tilde\nabla J_i(K) = \frac1M \sum_{m=1}^M \frac{dk}{r^2} \tilde J_i^{(\ell)}(K + U_m) U_m,
              \qquad U_m \sim \mathrm{Unif}\{\|U\|_F = r\}

    With another estimator than ``one_point``, the same from its values. The expectation is the gradient at K of
    :func:`metalqr.lqr.finite_horizon_cost`, averaged over the ball of radius r.

    K is one gain for all tasks or one for each, (k, d) or (I, k, d), and the estimate is (I, k, d). Of the settings it
    uses those of the inner layer of Algorithm 2: ``inner_estimator``, by default ``estimator``, ``inner_perturbations``
    (M), ``inner_smoothing_radius``, by default ``smoothing_radius`` (r), ``directions``, ``common_noise``,
    ``rollout_length`` (:math:`\ell`) and ``precision``.

    Raises
    ------
    ValueError
        If K has neither shape, or holds something that is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from metalqr import lqr
    >>> tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=0.0, inner_perturbations=1_000_000)
    >>> estimate = estimate_gradient(tasks, np.zeros((1, 1)), settings, Stream(0))
    >>> bool(abs(estimate - lqr.gradient(tasks, np.zeros((1, 1)))) < 0.2)
    True
    """
    gains = gains_per_task(tasks, K)[:, np.newaxis]
    simulator, every = simulator_of(tasks, settings.precision), np.arange(tasks.count)
    estimator = settings.inner.estimator(settings, settings.inner)
    return estimator.gradients(simulator, gains, stream, every)[:, 0]


def estimate_meta_gradient(
    tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream
) -> NDArray[np.float64]:
    r"""Estimate the gradient of the meta-objective: Algorithm 2, the zeroth-order MAML gradient.

    For each task i of the batch and m = 1..M: draw :math:`U_m` on the sphere of radius r, estimate the gradient at
    :math:`\hat K_m = K + U_m` by Algorithm 1, adapt, :math:`K_m^i = \hat K_m - \eta \tilde\nabla J_i(\hat K_m)`, and
    simulate the adapted policy once more; no Hessian is needed:

    .. math:: \tilde\nabla L(K) = \frac{1}{|T_n|} \sum_{i \in T_n} \frac1M \sum_{m=1}^M
              \frac{dk}{r^2} \tilde J_i^{(\ell)}(K_m^i) U_m^i

    With ``task_batch: all`` every task counts once with its probability :math:`p_i` instead of :math:`1/|T_n|`; for a
    uniform p that is the same.

    K and the estimate have the shape (k, d); it is not finite where a rollout of an unstable policy overflowed.

    Raises
    ------
    ValueError
        If K does not have the shape (k, d), or holds something that is not finite.
    MemoryError
        If the gains of all perturbed policies do not fit.

    See Also
    --------
    metalqr.meta.gradient : the exact gradient that this estimates.
    """
    return estimate_with_counts(tasks, K, settings, stream).gradient


def estimate_with_counts(
    tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream, memory: Memory | None = None
) -> Direction:
    """:func:`estimate_meta_gradient` with what it took, and with what the estimator keeps from call to call."""
    return Estimation(tasks, settings).meta_gradient(common_gain(tasks, K), stream, memory)


def estimate_mean_gradient(
    tasks: LQRTasks, K: ArrayLike, settings: MetaSettings, stream: Stream, memory: Memory | None = None
) -> Direction:
    r"""Estimate the gradient of the mean cost, :math:`\sum_i p_i \nabla J_i(K)`, without any adaptation.

    Parameters and errors are those of :func:`estimate_meta_gradient`; ``memory`` is what the estimator kept from the
    call before.
    """
    return Estimation(tasks, settings).mean_gradient(common_gain(tasks, K), stream, memory)


class Batch(NamedTuple):
    """The tasks of an iteration, with the weight of each in the mean over them."""

    tasks: NDArray[np.int64]
    weights: Array


class Estimation:
    """All estimates of some tasks by the same settings, one for each stream.

    It is made once for many iterations, since what the checks and the choice of plug-ins take counts where a rollout is
    short. Gains are not checked.
    """

    def __init__(self, tasks: LQRTasks, settings: MetaSettings) -> None:
        self._tasks, self._settings = tasks, settings
        self._simulator = simulator_of(tasks, settings.precision)
        self._outer = settings.outer.estimator(settings)
        self._adapts = settings.adaptation_rate > 0
        self._inner = settings.inner.estimator(settings, settings.inner) if self._adapts else None
        self._every = np.arange(tasks.count)
        self._every.setflags(write=False)  # so that the simulator checks it once
        self._chosen: Batch | None = None

    def choose(self, tasks: NDArray[np.int64]) -> None:
        """Make some tasks the batch, with equal weights, until others are chosen."""
        self._chosen = Batch(tasks, np.full(len(tasks), 1.0 / len(tasks)))

    def batch(self, stream: Stream) -> Batch:
        """The batch :math:`T_n`: all tasks with their probabilities, as many as ``task_batch`` drawn, or the chosen."""
        if self._chosen is not None:
            return self._chosen
        if self._settings.task_batch == "all":
            return Batch(self._every, self._tasks.p)
        drawn = streams.task_batch(stream, self._tasks.p, self._settings.task_batch)
        return Batch(drawn, np.full(len(drawn), 1.0 / len(drawn)))

    def meta_gradient(self, K: Array, stream: Stream, memory: Memory | None = None) -> Direction:
        """Algorithm 2 at a gain (k, d), with what it took, and what the outer estimator keeps from call to call."""
        batch = self.batch(stream)
        return self._estimate(K, self._adapted_cost, stream, batch.tasks, memory, batch.weights)

    def mean_gradient(self, K: Array, stream: Stream, memory: Memory | None = None) -> Direction:
        """The same without any adaptation."""
        batch = self.batch(stream)
        return self._estimate(K, self._cost, stream, batch.tasks, memory, batch.weights)

    def task_gradients(
        self, gains: Array, stream: Stream, tasks: NDArray[np.int64], memory: Memory | None = None
    ) -> Direction:
        r""":math:`\nabla J_i(K_i)` for each of some tasks at a gain of its own, (n, k, d)."""
        return self._estimate(gains[:, np.newaxis], self._cost, stream, tasks, memory)

    def adapted(self, K: Array, stream: Stream, tasks: NDArray[np.int64]) -> tuple[Array, int]:
        r"""The gains :math:`K - \eta \hat g_i(K)` of some tasks, (n, k, d), by the inner estimator, and its steps."""
        before, gains = self._simulator.simulated_steps, np.repeat(K[np.newaxis, np.newaxis], len(tasks), axis=0)
        if self._inner is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                gradients = self._inner.gradients(self._simulator, gains, stream, tasks)
                gains = gains - self._settings.adaptation_rate * gradients
        return gains[:, 0], self._simulator.simulated_steps - before

    def _cost(self, policies: Array, stream: Stream, tasks: NDArray[np.int64]) -> Array:
        """Cost of one rollout of each policy (n, P, k, d)."""
        length, sharing = self._settings.rollout_length, self._outer.sharing
        return self._simulator.costs(policies, length, stream, tasks=tasks, purpose=Purpose.ROLLOUT, sharing=sharing)

    def _adapted_cost(self, policies: Array, stream: Stream, tasks: NDArray[np.int64]) -> Array:
        """Cost of one rollout of each policy after its adaptation."""
        if self._inner is None:
            return self._cost(policies, stream, tasks)
        gradients = self._inner.gradients(self._simulator, policies, stream, tasks, self._outer.sharing)
        return self._cost(policies - self._settings.adaptation_rate * gradients, stream, tasks)

    # A rollout of an unstable policy may overflow. The result shows it, so no warning is needed.
    @np.errstate(over="ignore", invalid="ignore")
    def _estimate(
        self,
        gains: Array,
        value: Callable[[Array, Stream, NDArray[np.int64]], Array],
        stream: Stream,
        batch: NDArray[np.int64],
        memory: Memory | None,
        weights: Array | None = None,
    ) -> Direction:
        """The gradient of the mean value at a gain (k, d); without weights, each task's own at gains (n, 1, k, d)."""
        tasks, count, outer, radius = self._tasks, self._settings.perturbations, self._outer, self._outer.layer.radius
        before = self._simulator.simulated_steps
        try:
            draws = streams.outer_draws(stream, len(batch), count)
            U = outer.directions.draw(draws, (tasks.action_dim, tasks.state_dim), radius, count)
            members = [gains + (U if sign == 1 else sign * U) for sign in outer.signs]
            policies = members[0] if len(members) == 1 else np.concatenate(members, axis=1)
            values = value(policies, stream, batch).reshape(len(batch), -1, count)
            coefficients, kept = outer.coefficients(values, memory or {}, batch)
        except MemoryError:
            numbers = _COPIES * len(batch) * outer.rollouts(count) * tasks.action_dim * tasks.state_dim
            raise MemoryError(
                f"an iteration with {len(batch)} tasks and perturbations: {count} takes about {8e-9 * numbers:.2g} GB, "
                "more than is available; lower perturbations or task_batch"
            ) from None
        if weights is None:
            total = np.einsum("im,imkd->ikd", coefficients, U)
        else:
            total = np.einsum("i,im,imkd->kd", weights, coefficients, U)
        scale = tasks.state_dim * tasks.action_dim / (radius**2 * count)
        unstable = self._simulator.count_unstable(policies, batch)
        return Direction(scale * total, kept, self._simulator.simulated_steps - before, unstable)

"""The base of all estimators: a gradient from the costs of perturbed policies near a gain."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.config.registry import Plugin

if TYPE_CHECKING:
    from metalqr.config.algorithm import MetaSettings
    from metalqr.simulation.simulator import Simulator
    from metalqr.simulation.streams import Stream

Array = NDArray[np.float64]
#: What an estimator keeps from one iteration to the next, by name; it is part of a run's saved state.
Memory = Mapping[str, NDArray[Any]]


class Estimator(Plugin):
    r"""A zeroth-order estimate of the gradient of any function F observed through noisy values f, :math:`E f = F`.

    .. math:: g(K) = \frac{1}{M} \sum_{m=1}^M \frac{dk}{r^2} c_m U_m,
              \qquad c_m \text{ made from the values } f(K + s U_m), \; s \in \mathtt{signs}

    with perturbations :math:`\|U_m\|_F = r`. An estimator declares at which points near K it needs values, and computes
    the coefficient of each perturbation from them. For a weighted sum of the values, ``signs`` and ``weights`` are
    enough, and inside Algorithm 2 the compiled rollouts do the summation. Other estimators override
    :meth:`coefficients`.

    Attributes
    ----------
    settings : MetaSettings
        All settings of the run; those of the estimator itself are ``own``.
    signs : tuple of int
        The values of each perturbation are at K + s U for each s of these.
    weights : tuple of float or None
        The coefficient is the sum of weight times value. None where :meth:`coefficients` is overridden.
    """

    signs: ClassVar[tuple[int, ...]] = (1,)
    weights: ClassVar[tuple[float, ...] | None] = (1.0,)

    def __init__(self, settings: "MetaSettings") -> None:
        self.settings = settings
        self.own = settings.of(type(self))

    @classmethod
    def rollouts(cls, perturbations: int) -> int:
        """Values that an estimate takes with so many perturbations."""
        return perturbations * len(cls.signs)

    @classmethod
    def is_compiled(cls) -> bool:
        """True if compiled rollouts can sum its estimates: a weighted sum of values on both sides of a gain."""
        own = {Estimator.coefficients, Estimator.points}
        return cls.weights is not None and set(cls.signs) <= {1, -1} and {cls.coefficients, cls.points} == own

    def coefficients(self, values: Array, memory: Memory, tasks: NDArray[np.int64]) -> tuple[Array, Memory]:
        """The coefficient of each perturbation (n, M), and the memory for the next iteration.

        The values (n, S, M) are those at K + s U_m, for each s of ``signs``, of the task of each row; they may be
        infinite or not a number. The memory is what this method returned an iteration before, and empty at the first.
        """
        if self.weights is None:
            raise NotImplementedError(f"{type(self).__name__} sets no weights, so it must override coefficients")
        coefficients = self.weights[0] * values[:, 0]
        for weight, value in zip(self.weights[1:], np.moveaxis(values, 1, 0)[1:], strict=True):
            coefficients = coefficients + weight * value
        return coefficients, memory

    def points(self, gains: Array, U: Array) -> Array:
        """The policies to evaluate, (n, S M, k, d), for gains that broadcast to perturbations (n, M, k, d)."""
        return np.concatenate([gains + sign * U for sign in self.signs], axis=1)

    def gradients(
        self, simulator: "Simulator", gains: Array, perturbations: int, stream: "Stream", tasks: NDArray[np.int64]
    ) -> Array:
        """Estimates of the gradient of the rollout's cost at many gains at once: the inner layer of Algorithm 2.

        They are at P gains (n, P, k, d) for each of the tasks (n,), each from M perturbations, and of the shape of the
        gains; not finite where a rollout overflowed. Nothing is kept for the next iteration.
        """
        radius, length = self.settings.smoothing_radius, self.settings.rollout_length
        compiled = getattr(simulator, "weighted_directions", None)
        if compiled is not None and self.is_compiled():
            assert self.weights is not None
            halves = [
                # A mirrored perturbation -U carries its sign already.
                weight * sign * compiled(gains, perturbations, radius, length, stream, tasks=tasks, mirrored=sign < 0)
                for sign, weight in zip(self.signs, self.weights, strict=True)
            ]
            return halves[0] if len(halves) == 1 else np.sum(halves, axis=0)
        return self._gradients_one_by_one(simulator, gains, perturbations, stream, tasks)

    def _gradients_one_by_one(
        self, simulator: "Simulator", gains: Array, perturbations: int, stream: "Stream", tasks: NDArray[np.int64]
    ) -> Array:
        """As :meth:`gradients`, for any estimator and simulator: every perturbed policy is held in memory."""
        from metalqr.simulation.streams import Purpose, inner_perturbations

        slots, policies, action_dim, state_dim = gains.shape
        radius = self.settings.smoothing_radius
        U = inner_perturbations(stream, slots * policies, perturbations, action_dim, state_dim, radius)
        points = self.points(gains.reshape(-1, 1, action_dim, state_dim), U)
        values = simulator.costs(
            points.reshape(slots, -1, action_dim, state_dim),
            self.settings.rollout_length,
            stream,
            tasks=tasks,
            purpose=Purpose.INNER_ROLLOUT,
        )
        values = values.reshape(slots * policies, len(self.signs), perturbations)
        coefficients, _ = self.coefficients(values, {}, np.repeat(tasks, policies))
        scale = state_dim * action_dim / (radius**2 * perturbations)
        return (scale * np.einsum("nm,nmkd->nkd", coefficients, U)).reshape(gains.shape)


class Direction(NamedTuple):
    """A gradient or an estimate of it, with what it took: the gain moves by -learning_rate times the gradient.

    Unstable are the perturbed policies K + s U_m that do not stabilise their task. Their cost over a finite rollout is
    finite, so the estimate uses it.
    """

    gradient: Array  # of the shape of the gain
    memory: Mapping[str, NDArray[Any]] = {}  # of the estimator or the method, for the next iteration
    rollout_steps: int = 0  # simulated steps, all rollouts together
    unstable_perturbations: int = 0

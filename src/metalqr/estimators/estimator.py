"""The base of all estimators: a gradient from the costs of perturbed policies near a gain."""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metalqr.config.registries import directions
from metalqr.config.registry import Plugin

if TYPE_CHECKING:
    from metalqr.config.algorithm import Layer, MetaSettings
    from metalqr.estimators.directions.directions import Directions
    from metalqr.estimators.neighbourhood import Neighbourhood
    from metalqr.simulation.simulator import Simulator, WeightedDirections
    from metalqr.simulation.streams import Stream

Array = NDArray[np.float64]
#: What an estimator keeps from one iteration to the next, by name; it is part of a run's saved state.
Memory = Mapping[str, NDArray[Any]]


#: Perturbations that no compiled loop draws are drawn for groups of gains, of so many bytes at most.
_GROUP_BYTES = 2**21


class Estimator(Plugin):
    r"""A zeroth-order estimate of the gradient of any function F observed through noisy values f, :math:`E f = F`.

    .. math:: g(K) = \frac{1}{M} \sum_{m=1}^M \frac{dk}{r^2} c_m U_m,
              \qquad c_m \text{ made from the values } f(K + s U_m), \; s \in \mathtt{signs}

    with perturbations :math:`U_m` of the distribution ``directions``. An estimator declares at which points near K it
    needs values, and computes the coefficient of each perturbation from them. For a weighted sum of the values,
    ``signs`` and ``weights`` are enough, and inside Algorithm 2 compiled rollouts do the summation. Other estimators
    override :meth:`coefficients`.

    Parameters
    ----------
    settings : MetaSettings
    layer : Layer, optional
        Perturbations and radius: those of the outer layer of Algorithm 2, by default, or of the inner one.

    Attributes
    ----------
    settings : MetaSettings
        All settings of the run; those of the estimator itself are ``own``.
    signs : tuple of int
        The values of each perturbation are at K + s U for each s of these.
    weights : tuple of float or None
        The coefficient is the sum of weight times value. None where :meth:`coefficients` is overridden.
    leaves_one_out : bool
        Whether the mean of the coefficients of the other perturbations is subtracted from each, a baseline.
    makes_pairs : bool
        Whether the values of a perturbation may see the same noise, ``common_noise``.
    remembers_tasks : bool
        Whether its memory belongs to tasks, which must then be the same in every iteration.
    min_perturbations : int
        Least number of perturbations of an estimate.
    is_outer_only : bool
        Whether it needs earlier iterations, so that it cannot estimate the gradients inside Algorithm 2.
    inner_default : str or None
        The ``inner_estimator`` by default, if it is not this one.
    needs : str
        In words, what it takes beside costs of rollouts; for tables, captions and the docs.
    """

    signs: ClassVar[tuple[int, ...]] = (1,)
    weights: ClassVar[tuple[float, ...] | None] = (1.0,)
    leaves_one_out: ClassVar[bool] = False
    makes_pairs: ClassVar[bool] = False
    remembers_tasks: ClassVar[bool] = False
    min_perturbations: ClassVar[int] = 1
    is_outer_only: ClassVar[bool] = False
    inner_default: ClassVar[str | None] = None
    needs: ClassVar[str] = ""

    def __init__(self, settings: "MetaSettings", layer: "Layer | None" = None) -> None:
        self.settings = settings
        self.own = settings.of(type(self))
        self.layer = layer or settings.outer
        self.directions: Directions = directions.get(settings.directions)(settings)
        if self.layer.too_few:
            raise ValueError(f"{self.layer.perturbations_key}: {self.layer.too_few}")

    @classmethod
    def rollouts(cls, perturbations: int) -> int:
        """Values that an estimate takes with so many perturbations."""
        return perturbations * len(cls.signs)

    @classmethod
    def is_compiled(cls, settings: "MetaSettings") -> bool:
        """True if compiled rollouts can sum its estimates inside Algorithm 2, so that no policy is held in memory."""
        is_declared = cls.weights is not None and cls.coefficients is Estimator.coefficients
        return is_declared and directions.get(settings.directions).rotation_invariant

    @cached_property
    def _sums(self) -> "WeightedDirections | None":
        """What compiled rollouts add up inside Algorithm 2, if they can."""
        from metalqr.simulation.simulator import WeightedDirections

        if self.weights is None or not self.is_compiled(self.settings):
            return None
        _, perturbations, radius, _ = self.layer
        name, shares_noise = self.directions.name, self.sharing > 1
        return WeightedDirections(
            perturbations, radius, name, self.signs, self.weights, self.leaves_one_out, shares_noise
        )

    @property
    def sharing(self) -> int:
        """Number of values of a perturbation that see the same noise."""
        return len(self.signs) if self.settings.common_noise and self.makes_pairs else 1

    def coefficients(self, values: Array, memory: Memory, tasks: NDArray[np.int64]) -> tuple[Array, Memory]:
        """The coefficient of each perturbation (n, M), and the memory for the next iteration.

        The values (n, S, M) are those at K + s U_m, for each s of ``signs``, of the task of each row; they may be
        infinite or not a number. The memory is what this method returned an iteration before, and empty at the first.
        """
        if self.weights is None:
            raise NotImplementedError(f"{type(self).__name__} sets no weights, so it must override coefficients")
        coefficients = self.weights[0] * values[:, 0]
        for place in range(1, len(self.weights)):
            coefficients = coefficients + self.weights[place] * values[:, place]
        if self.leaves_one_out:
            # Each less the mean of the others is M / (M - 1) times it less the mean of all.
            count = coefficients.shape[1]
            coefficients = (coefficients - coefficients.mean(axis=1, keepdims=True)) * (count / (count - 1))
        return coefficients, memory

    def covariance(self, near: "Neighbourhood") -> Array | None:
        """Covariance of one estimate without adaptation, (I, dk, dk), from the costs around the gain.

        It is known for weighted sums of values. An estimator with other coefficients states it by their mean and
        variance at a given perturbation, and :meth:`metalqr.estimators.neighbourhood.Neighbourhood.terms`. None if it
        is not known: :func:`metalqr.estimators.covariance` then measures it.
        """
        if self.weights is None or type(self).coefficients is not Estimator.coefficients:
            return None
        values = list(zip(self.weights, self.signs, strict=True))
        mean: Any = sum(weight * near.cost(sign) for weight, sign in values)
        if self.sharing == 1:
            variance: Any = sum(weight**2 * near.variance(sign) for weight, sign in values)
        elif set(self.signs) == {1, -1} and len(self.signs) == 2:
            # The covariance of two values is half of what the variance of their difference lacks to the sum of theirs.
            total, product = sum(self.weights), math.prod(self.weights)
            variance = sum(weight * total * near.variance(sign) for weight, sign in values)
            variance = variance - product * near.difference_variance()
        else:
            return None
        return near.leave_one_out(mean, variance) if self.leaves_one_out else near.terms(mean, variance)

    def gradients(
        self,
        simulator: "Simulator",
        gains: Array,
        stream: "Stream",
        tasks: NDArray[np.int64],
        sharing: int = 1,
    ) -> Array:
        """Estimates of the gradient of the rollout's cost at many gains at once: the inner layer of Algorithm 2.

        They are at P gains (n, P, k, d) for each of the tasks (n,), each from M perturbations, and of the shape of the
        gains; not finite where a rollout overflowed. Nothing is kept for the next iteration. As many gains as
        ``sharing`` says have all their random numbers in common: those that are P / sharing entries apart.
        """
        if self.sharing > 1 or sharing > 1:
            require_replay(simulator)
        if sharing == 1:
            return self._gradients(simulator, gains, stream, tasks, len(gains))
        slots, policies, action_dim, state_dim = gains.shape
        places = policies // sharing
        # The gains that share random numbers become further slots.
        stacked = gains.reshape(slots, sharing, places, action_dim, state_dim).swapaxes(0, 1)
        stacked = stacked.reshape(sharing * slots, places, action_dim, state_dim)
        found = self._gradients(simulator, stacked, stream, np.tile(tasks, sharing), slots)
        return found.reshape(sharing, slots, places, action_dim, state_dim).swapaxes(0, 1).reshape(gains.shape)

    def _gradients(
        self, simulator: "Simulator", gains: Array, stream: "Stream", tasks: NDArray[np.int64], places: int
    ) -> Array:
        """Estimates at gains of which those of slots that are ``places`` apart share all random numbers."""
        compiled = getattr(simulator, "weighted_directions", None)
        if compiled is None or self._sums is None:
            return self._gradients_at_points(simulator, gains, stream, tasks, places)
        sums, count, length = self._sums, gains.shape[1], self.settings.rollout_length
        slots = np.arange(len(gains)) % places * count
        if self.directions.is_compiled:
            return compiled(gains, sums, length, stream, tasks=tasks, first_policy=slots)

        from metalqr.simulation.streams import inner_draws

        shape, perturbations, radius = (gains.shape[2], gains.shape[3]), self.layer.perturbations, self.layer.radius
        parts = []
        group = max(1, _GROUP_BYTES // (8 * places * perturbations * math.prod(shape)))
        for first in range(0, count, group):
            part = gains[:, first : first + group]
            policies = slots[:places, np.newaxis] + np.arange(first, first + part.shape[1])
            draws = inner_draws(stream, policies.ravel(), perturbations)
            U = self.directions.draw(draws, shape, radius, perturbations)
            given = sums._replace(drawn=U.reshape(places, -1, perturbations, *shape))
            parts.append(compiled(part, given, length, stream, tasks=tasks, first_policy=slots + first))
        return np.concatenate(parts, axis=1)

    def _gradients_at_points(
        self, simulator: "Simulator", gains: Array, stream: "Stream", tasks: NDArray[np.int64], places: int
    ) -> Array:
        """The same for any distribution and simulator: every perturbed policy is held in memory."""
        from metalqr.simulation.streams import Purpose, inner_draws

        slots, count, shape = *gains.shape[:2], (gains.shape[2], gains.shape[3])
        perturbations, members = self.layer.perturbations, (slots // places, len(self.signs))
        draws = inner_draws(stream, np.arange(places * count), perturbations)
        U = self.directions.draw(draws, shape, self.layer.radius, perturbations)
        U = U.reshape(places, count, perturbations, *shape)
        bases = gains.reshape(-1, places, count, 1, *shape)
        points = np.stack([np.stack([base + sign * U for sign in self.signs]) for base in bases])
        # From (outer member, sign, place, ...) to the place first, then what shares its noise, then what does not.
        shared = [axis for axis, is_shared in enumerate((members[0] > 1, self.sharing > 1)) if is_shared]
        order = [2, *shared, *(axis for axis in (0, 1) if axis not in shared), 3, 4]
        moved = points.transpose(*order, 5, 6)
        values = simulator.costs(
            moved.reshape(places, -1, *shape),
            self.settings.rollout_length,
            stream,
            tasks=tasks[:places],
            purpose=Purpose.INNER_ROLLOUT,
            sharing=math.prod(members[axis] for axis in shared),
        )
        values = values.reshape(moved.shape[:5]).transpose(*np.argsort(order))
        values = values.transpose(0, 2, 3, 1, 4)
        rows = values.reshape(slots * count, len(self.signs), perturbations)
        coefficients = self.coefficients(rows, {}, np.repeat(tasks, count))[0].reshape(-1, places, count, perturbations)
        scale = math.prod(shape) / (self.layer.radius**2 * perturbations)
        return (scale * np.einsum("onpm,npmkd->onpkd", coefficients, U)).reshape(gains.shape)


def require_replay(simulator: "Simulator") -> None:
    """Refuse common noise where the simulator cannot replay it."""
    if not simulator.replays_noise:
        raise ValueError(
            f"common_noise: true needs a simulator that replays its noise, which {type(simulator).__name__} cannot do; "
            "set common_noise: false"
        )


class Direction(NamedTuple):
    """A gradient or an estimate of it, with what it took: the gain moves by -learning_rate times the gradient.

    Unstable are the perturbed policies K + s U_m that do not stabilise their task. Their cost over a finite rollout is
    finite, so the estimate uses it.
    """

    gradient: Array  # of the shape of the gain
    memory: Mapping[str, NDArray[Any]] = {}  # of the estimator or the method, for the next iteration
    rollout_steps: int = 0  # simulated steps, all rollouts together
    unstable_perturbations: int = 0

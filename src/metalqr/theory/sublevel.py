"""Sub-level set of Definition 2, and gains drawn inside it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.common.validation import real_array, whole_number
from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, common_gain, cost, tiled
from metalqr.optimal import OptimalGains, optimal_gains

#: Gains on one chord of the set, including its two ends.
GAINS_ON_A_CHORD = 10
#: Rounds of chords, each through gains of the previous round.
MAX_GENERATIONS = 5
#: First distance tried along a chord, and numbers of times that it is doubled and then halved.
FIRST_REACH, MAX_DOUBLINGS, BISECTIONS = 0.01, 20, 8
#: Relative excess of a cost over its level that counts as rounding: the gain that defines the set is inside.
LEVEL_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class SublevelSet:
    r"""Stabilising sub-level set of Definition 2.

    .. math:: S = \{K : J_i(K) \le \bar J_i \text{ for all } i\}, \qquad
              \bar J_i = J_i^* + \gamma_i (J_i(K_0) - J_i^*).

    ``K0``, shape (k, d), is a gain inside, ``initial_cost`` its :math:`J_i(K_0)`, and ``levels`` are the
    :math:`\bar J_i`, both of shape (I,).
    """

    tasks: LQRTasks
    K0: FloatArray
    levels: FloatArray
    initial_cost: FloatArray
    optima: OptimalGains

    @classmethod
    def around(cls, tasks: LQRTasks, K0: ArrayLike, factor: float = 1.0) -> "SublevelSet":
        r"""Return the set with the same factor :math:`\gamma_i` for every task.

        Raises
        ------
        ValueError
            If the factor is below one: K0 would not be in its own set (the paper allows any positive constant).
        """
        if not 1.0 <= factor < np.inf:
            raise ValueError(f"factor is {factor!r}; give a finite number >= 1, or K0 is not in the set")
        gain = common_gain(tasks, K0, "K0")
        initial_cost = PolicyEvaluation(tasks, gain, "K0").cost()
        optima = optimal_gains(tasks)
        return cls(tasks, gain, optima.cost + factor * (initial_cost - optima.cost), initial_cost, optima)

    def with_levels(self, levels: ArrayLike) -> "SublevelSet":
        """Return the set around the same gain with other levels, shape (I,)."""
        return replace(self, levels=real_array("levels", levels))

    def of_task(self, task: int) -> "SublevelSet":
        """Return the set of one task alone, in which the others may cost more."""
        one = slice(task, task + 1)
        optima = OptimalGains(self.optima.K[one], self.optima.P[one], self.optima.cost[one])
        alone = self.tasks.subset([task])
        return SublevelSet(alone, self.K0, self.levels[one], self.initial_cost[one], optima)

    @property
    def mean_gap(self) -> float:
        r""":math:`\bar\Delta_0 = \sum_i p_i (J_i(K_0) - J_i^*)`."""
        return float(self.tasks.p @ (self.initial_cost - self.optima.cost))

    def contains(self, gains: FloatArray) -> NDArray[np.bool_]:
        """Check which of the gains (n, k, d) are in the set, shape (n,)."""
        return self._holds(tiled(self.tasks, len(gains)), gains)

    def draw(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Draw gains in the set, shape (count, k, d): on random chords of the set and at their ends.

        A chord is a line through a gain of the set, first K0 and then gains of earlier chords; doubling and bisection
        find where it leaves the set on either side. Of the gains on a chord two are its ends and the others random
        points between; a point outside, for the set is not convex, is replaced by the gain that the chord passes
        through. The inequalities hold for every gain in the set, so the distribution does not matter.
        """
        chords = -(-whole_number("count", count) // GAINS_ON_A_CHORD)
        centres, drawn = self.K0[np.newaxis], [self.K0[np.newaxis]]
        for generation in np.array_split(np.arange(chords), min(chords, MAX_GENERATIONS)):
            starts = centres[generator.integers(len(centres), size=len(generation))]
            gains = self._on_chords(starts, generator)
            centres = gains
            drawn.append(gains)
        return np.concatenate(drawn)[:count]

    def _on_chords(self, starts: FloatArray, generator: np.random.Generator) -> FloatArray:
        directions = generator.standard_normal(starts.shape)
        directions /= np.linalg.norm(directions, axis=(1, 2), keepdims=True)
        low, high = -self._reach(starts, -directions), self._reach(starts, directions)
        shares = generator.uniform(size=(GAINS_ON_A_CHORD, len(starts)))
        shares[0], shares[1] = 0.0, 1.0
        steps = low + shares * (high - low)
        gains = (starts + steps[..., np.newaxis, np.newaxis] * directions).reshape(-1, *self.K0.shape)
        inside = self.contains(gains)[:, np.newaxis, np.newaxis]
        return np.where(inside, gains, np.tile(starts, (GAINS_ON_A_CHORD, 1, 1)))

    def _reach(self, gains: FloatArray, directions: FloatArray) -> FloatArray:
        """Distance from each gain to the boundary in its direction, a lower bound accurate to a few thousandths."""
        batch = tiled(self.tasks, len(gains))

        def inside_at(distances: FloatArray) -> NDArray[np.bool_]:
            return self._holds(batch, gains + distances[:, np.newaxis, np.newaxis] * directions)

        inner, outer = np.zeros(len(gains)), np.full(len(gains), FIRST_REACH)
        growing = np.ones(len(gains), dtype=bool)
        for _ in range(MAX_DOUBLINGS):
            growing &= inside_at(outer)
            if not growing.any():
                break
            inner, outer = np.where(growing, outer, inner), np.where(growing, 2 * outer, outer)
        for _ in range(BISECTIONS):
            middle = 0.5 * (inner + outer)
            inside = inside_at(middle)
            inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
        return inner

    def _holds(self, batch: LQRTasks, gains: FloatArray) -> NDArray[np.bool_]:
        costs = cost(batch, np.repeat(gains, self.tasks.count, axis=0)).reshape(len(gains), -1)
        return np.asarray((costs <= self.levels * (1 + LEVEL_ROUNDING)).all(axis=1))

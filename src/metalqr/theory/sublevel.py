"""The sub-level set of Definition 2, and gains drawn inside it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation, common_gain, cost, tiled
from metalqr.optimal import OptimalGains, optimal_gains

#: Gains on one chord of the set, its two ends among them.
GAINS_ON_A_CHORD = 10
#: How often new chords are laid through the gains of the last ones.
GENERATIONS = 5
#: The first distance that is tried along a chord, and how often it is doubled at most and then halved.
FIRST_REACH, DOUBLINGS, BISECTIONS = 0.01, 20, 8
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class SublevelSet:
    r"""The stabilising sub-level set of Definition 2.

    .. math:: S = \{K : J_i(K) \le \bar J_i \text{ for all } i\}, \qquad
              \bar J_i = J_i^* + \gamma_i (J_i(K_0) - J_i^*).

    Attributes
    ----------
    tasks : LQRTasks
    K0 : array, shape (k, d)
        A gain inside.
    levels : array, shape (I,)
        :math:`\bar J_i`.
    initial_cost : array, shape (I,)
        :math:`J_i(K_0)`.
    optima : OptimalGains
        Of the tasks.
    """

    tasks: LQRTasks
    K0: FloatArray
    levels: FloatArray
    initial_cost: FloatArray
    optima: OptimalGains

    @classmethod
    def around(cls, tasks: LQRTasks, K0: ArrayLike, factor: float = 1.0) -> "SublevelSet":
        r"""The set with the same factor :math:`\gamma_i` for every task.

        Raises
        ------
        ValueError
            If the factor is below one: K0 would not be in its own set (the paper allows any positive constant).
        UnstablePolicyError
            If K0 does not stabilise every task.
        """
        if not 1.0 <= factor < np.inf:
            raise ValueError(f"factor is {factor!r}; give a finite number >= 1, or K0 is not in the set")
        gain = common_gain(tasks, K0, "K0")
        initial_cost = PolicyEvaluation(tasks, gain, "K0").cost()
        optima = optimal_gains(tasks)
        return cls(tasks, gain, optima.cost + factor * (initial_cost - optima.cost), initial_cost, optima)

    def with_levels(self, levels: ArrayLike) -> "SublevelSet":
        """The set around the same gain with other levels, shape (I,)."""
        return replace(self, levels=np.array(levels, dtype=np.float64))

    @property
    def mean_gap(self) -> float:
        r""":math:`\bar\Delta_0 = \sum_i p_i (J_i(K_0) - J_i^*)`."""
        return float(self.tasks.p @ (self.initial_cost - self.optima.cost))

    def contains(self, gains: FloatArray) -> NDArray[np.bool_]:
        """Whether each of the gains (n, k, d) is in the set, shape (n,)."""
        return self._holds(tiled(self.tasks, len(gains)), gains)

    def draw(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Draw gains in the set, shape (count, k, d): on random chords of the set and at their ends.

        A chord is a line through a gain of the set, first K0 and then gains of earlier chords; doubling and bisection
        find where it leaves the set to either side. Of the gains on a chord two are its ends and the others random
        points between; a point that is outside, because the set is not convex, is replaced by the gain that the chord
        was drawn through. What is checked holds for every gain in the set, so the distribution does not matter.
        """
        if count < 1:
            raise ValueError(f"count is {count!r}; draw at least one gain")
        chords = -(-count // GAINS_ON_A_CHORD)
        centres, drawn = self.K0[np.newaxis], [self.K0[np.newaxis]]
        for generation in np.array_split(np.arange(chords), min(chords, GENERATIONS)):
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
        """How far each gain can go in its direction; a lower bound, accurate to some thousandths."""
        batch = tiled(self.tasks, len(gains))

        def inside_at(distances: FloatArray) -> NDArray[np.bool_]:
            return self._holds(batch, gains + distances[:, np.newaxis, np.newaxis] * directions)

        inner, outer = np.zeros(len(gains)), np.full(len(gains), FIRST_REACH)
        growing = np.ones(len(gains), dtype=bool)
        for _ in range(DOUBLINGS):
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
        # A rounding of the last digits must not put the gain that defines the set outside.
        return np.asarray((costs <= self.levels * (1 + ROUNDING)).all(axis=1))

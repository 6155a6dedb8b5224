"""Discount annealing: a gain that stabilises every task, from costs of rollouts alone."""

from collections import deque
from typing import Any

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.estimators.two_point import TwoPoint
from metalqr.lqr import FloatArray
from metalqr.simulation.simulator import Simulator
from metalqr.simulation.streams import Purpose, Stream, Use

#: A cost has settled if rollouts of twice the length cost at most so much more: a sign that the closed loop is stable.
SETTLED = 1.1
#: Fraction of the decrease that the slope promises which a step must reach.
SUFFICIENT_DECREASE = 1e-4
#: Steps over which the decrease of a descent is measured.
STEPS = 10
#: A step that moves the gain by less than this, relative to it or to 1, is none.
LEAST_MOVE = 1e-12
#: Relative accuracy of the search for the next discount.
SEARCH_ACCURACY = 1e-3
#: Rollouts are doubled up to this multiple of the length they have at first.
LONGEST = 256
#: Discounts below this weight nothing but the initial state.
LEAST_DISCOUNT = 2.0**-60


#: What to do where no gain is found, if there is a model.
WITH_MODEL = "write stabilising, which finds a gain with the model or says why there is none"
#: The same of a simulator without one.
WITHOUT_MODEL = "start from initial states nearer to the equilibrium, lower multiple, or give a gain"


class AnnealingError(ValueError):
    """Annealing ended before the discount was 1; the message says where, the task that holds it back and what to do."""


class Annealing:
    r"""Descents of the discounted cost, mean over the tasks, at discounts that rise to 1.

    Parameters
    ----------
    simulator : Simulator
        It replays noise, and nothing but its initial states is random.
    settings : Annealed.Settings
    seed : int
    remedy : str
        What to do where no gain is found, for messages.

    See Also
    --------
    metalqr.initial_gains.annealed.Annealed : the algorithm and its source.
    """

    def __init__(self, simulator: Simulator, settings: Any, seed: int, remedy: str = WITH_MODEL) -> None:
        self._simulator, self._settings, self._remedy = simulator, settings, remedy
        self._tasks = np.arange(simulator.count)
        self._stream = Stream(seed, 0, Use.ANNEALING)
        self._length: int = settings.rollout_length

    def gain(self) -> FloatArray:
        """Find the gain, shape (k, d).

        Raises
        ------
        AnnealingError
            If the discount does not reach 1 within ``rounds``, or rollouts of any length do not settle there.
        """
        K = np.zeros((self._simulator.action_dim, self._simulator.state_dim))
        discount = self.first_discount(K)
        for number in range(1, self._settings.rounds + 1):
            self._stream = self._stream.at(number)
            K = self.descend(K, discount)
            if discount < 1.0:
                discount = self.raised(K, discount)
            elif self.has_settled(K, 1.0):
                return K
            elif self._length == LONGEST * self._settings.rollout_length:
                break
            else:
                # Too short to tell a slow closed loop from an unstable one.
                self._length *= 2
        raise self._failure(K, discount, number)

    def costs(self, K: FloatArray, discount: float, length: int | None = None) -> FloatArray:
        """Mean cost of the rollouts of each task, shape (I,), from the same initial states in the whole round."""
        gains = np.broadcast_to(K, (len(self._tasks), self._settings.perturbations, *K.shape))
        # A rollout of an unstable gain may overflow, which the mean shows.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._simulator.costs(
                gains,
                length or self._length,
                self._stream,
                tasks=self._tasks,
                purpose=Purpose.ROLLOUT,
                discount=discount,
            ).mean(axis=1)

    def gradient(self, K: FloatArray, discount: float) -> FloatArray:
        """Two-point estimate of the gradient of the mean over the tasks, shape (k, d)."""
        chosen = MetaSettings(
            learning_rate=1.0,
            adaptation_rate=0.0,
            estimator="two_point",
            directions="orthogonal",
            common_noise=True,
            perturbations=self._settings.perturbations,
            smoothing_radius=self._settings.smoothing_radius,
            rollout_length=self._length,
        )
        gains = np.broadcast_to(K, (len(self._tasks), 1, *K.shape))
        simulator = _Discounted(self._simulator, discount)
        with np.errstate(over="ignore", invalid="ignore"):
            return TwoPoint(chosen).gradients(simulator, gains, self._stream, self._tasks)[:, 0].mean(axis=0)

    def has_settled(self, K: FloatArray, discount: float) -> bool:
        """True if longer rollouts of every task cost hardly more, so that the cost of endless ones is finite."""
        longer = self.costs(K, discount, 2 * self._length)
        return bool((np.isfinite(longer) & (longer <= SETTLED * self.costs(K, discount))).all())

    def first_discount(self, K: FloatArray) -> float:
        """The first of 1, 1/2, 1/4, ... at which the costs of every task are finite."""
        discount = 1.0
        while not self.has_settled(K, discount):
            discount /= 2
            if discount < LEAST_DISCOUNT:
                task = int(np.argmax(np.nan_to_num(self.costs(K, discount), nan=np.inf)))
                raise AnnealingError(
                    f"initial_gain: annealed: no discount makes the cost of the gain zero finite, that of task {task} "
                    f"is the largest at {discount:.3g}; {self._remedy}"
                )
        return discount

    def raised(self, K: FloatArray, discount: float) -> float:
        """The largest discount, to 1e-3, at which the mean cost is at most ``multiple`` times that at this one."""
        limit = self._settings.multiple * self.costs(K, discount).mean()
        if self.costs(K, 1.0).mean() <= limit:
            return 1.0
        low, high = discount, 1.0
        while high > low * (1.0 + SEARCH_ACCURACY):
            middle = np.sqrt(low * high)
            low, high = (middle, high) if self.costs(K, middle).mean() <= limit else (low, middle)
        return float(low)

    def descend(self, K: FloatArray, discount: float) -> FloatArray:
        """Descend from a gain until ten steps lower the cost by less than the fraction ``gap``.

        The steps are those of Barzilai and Borwein, halved until the cost falls sufficiently, so no step size is
        asked for: at the same initial states the cost is a smooth function of the gain.
        """
        cost, gradient = self.costs(K, discount).mean(), self.gradient(K, discount)
        step = 1.0 / max(float(np.linalg.norm(gradient)), np.finfo(float).tiny)
        last: deque[float] = deque([cost], maxlen=STEPS + 1)
        for _ in range(self._settings.iterations):
            slope = float(np.sum(gradient**2))
            least = LEAST_MOVE * max(1.0, float(np.linalg.norm(K)))
            # Not a number compares as false, too.
            while step * np.sqrt(slope) > least:
                moved = K - step * gradient
                moved_cost = self.costs(moved, discount).mean()
                if moved_cost <= cost - SUFFICIENT_DECREASE * step * slope:
                    break
                step /= 2
            else:
                return K
            before, (K, cost, move) = gradient, (moved, moved_cost, moved - K)
            last.append(cost)
            if len(last) > STEPS and last[0] - cost < self._settings.gap * last[0]:
                return K
            gradient = self.gradient(K, discount)
            bend = float(np.sum(move * (gradient - before)))
            step = float(np.sum(move**2)) / bend if bend > 0 else 2 * step
        return K

    def _failure(self, K: FloatArray, discount: float, number: int) -> AnnealingError:
        """The error, with the task whose cost without discount is the largest multiple of that with it."""
        with np.errstate(all="ignore"):
            ratios = self.costs(K, 1.0, 2 * self._length) / self.costs(K, discount)
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        task = int(np.argmax(ratios))
        # The digits of a large power are rounding.
        more = f"{ratios[task]:.2g}" if ratios[task] < 1e6 else "more than a million"
        # All digits where three would round to 1.
        shown = f"{discount:.3g}" if discount < 0.9995 else repr(discount)
        reached = f"{shown}, not 1" if discount < 1.0 else f"1, but rollouts of {2 * self._length} steps do not settle"
        ended, more_rounds = f"round {number}", ""
        if number == self._settings.rounds:
            ended, more_rounds = f"rounds: {number}", ", or raise rounds"
        return AnnealingError(
            f"initial_gain: annealed: {ended} ended at a discount of {reached}; without one, task {task} costs {more} "
            f"times as much, the most of all; {self._remedy}{more_rounds}"
        )


class _Discounted:
    """A simulator whose costs are discounted, for an estimator that knows of no discount."""

    def __init__(self, simulator: Simulator, discount: float) -> None:
        self._simulator, self._discount = simulator, discount
        self.replays_noise = simulator.replays_noise
        self.count, self.state_dim, self.action_dim = simulator.count, simulator.state_dim, simulator.action_dim

    def costs(self, *arguments: Any, discount: float = 1.0, **options: Any) -> FloatArray:
        return self._simulator.costs(*arguments, discount=discount * self._discount, **options)

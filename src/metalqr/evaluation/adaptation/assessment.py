"""Assessment of starting gains: adapted to unseen tasks by the exact gradient and by estimators, at two step sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.adaptation import measures
from metalqr.evaluation.adaptation.addresses import Part, noise
from metalqr.evaluation.adaptation.paths import adapt_by_rollouts, adapt_exactly, steps_per_adaptation
from metalqr.lqr import FloatArray, LQRTasks, cost
from metalqr.optimal import optimal_gains

#: The name of the exact gradient among the estimators.
EXACT = "exact"


@dataclass(frozen=True, eq=False)
class Protocol:
    """The rules of an evaluation, the same for all starting gains that are compared.

    Attributes
    ----------
    estimators : mapping of str to MetaSettings or None
        The settings of each estimate by name, None for the exact gradient.
    learning_rates : sequence of float
        Step sizes to choose from, ascending.
    steps, repeats : int
        Adaptation steps, and repetitions of them with other noise.
    seed : int
        Of all noise; starts, estimators and step sizes share it.
    """

    estimators: Mapping[str, MetaSettings | None]
    learning_rates: Sequence[float]
    steps: int
    repeats: int
    seed: int

    @property
    def rollouts(self) -> dict[str, int]:
        """Rollouts that an adaptation step takes on one task, by estimator."""
        return {
            name: steps_per_adaptation(settings) // settings.rollout_length if settings else 0
            for name, settings in self.estimators.items()
        }

    @property
    def rollout_steps(self) -> dict[str, int]:
        """Rollout steps that an adaptation step takes on one task, by estimator."""
        return {name: steps_per_adaptation(settings) if settings else 0 for name, settings in self.estimators.items()}


@dataclass(frozen=True, eq=False)
class UnseenTasks:
    """Tasks to adapt to, with their optima."""

    tasks: LQRTasks
    optimal_gain: FloatArray  # (I, k, d)
    optimal_cost: FloatArray  # (I,)
    #: False where an optimum costs nothing up to rounding, so that gaps are absolute.
    is_relative: bool

    @classmethod
    def of(cls, tasks: LQRTasks, K0: FloatArray) -> "UnseenTasks":
        """Solve for the optima; an initial gain (k, d) gives the scale of a cost."""
        best = optimal_gains(tasks)
        return cls(tasks, best.K, best.cost, measures.is_relative(best.cost, cost(tasks, K0)))

    def gaps(self, costs: FloatArray) -> FloatArray:
        """Gaps of costs (..., I, s + 1)."""
        return measures.gap(costs - self.optimal_cost[:, np.newaxis], self.optimal_cost, self.is_relative)


@dataclass(frozen=True, eq=False)
class Assessment:
    """Adaptation of n starting gains by E estimators, at the own and at the tuned step size.

    Attributes
    ----------
    excess : ndarray, shape (n, E, 2, R, I, s + 1)
        :math:`J_i(K_i^j) - J_i^*`, infinite where unstable; of R repetitions, which differ for estimates alone.
    adaptation_rate : ndarray, shape (n, E, 2)
        The step sizes.
    validation_gap : ndarray, shape (n, E, C)
        Median gap after the last step on the validation tasks, for each step size that was tried.
    """

    excess: FloatArray
    adaptation_rate: FloatArray
    validation_gap: FloatArray


def assess(
    starts: FloatArray,
    own_rate: float,
    validation: UnseenTasks,
    test: UnseenTasks,
    protocol: Protocol,
    share_rate: bool = False,
) -> Assessment:
    """Adapt n gains (n, k, d) to the test tasks, with ``own_rate`` and with a step size tuned on the validation tasks.

    The tuned one has the lowest median gap after the last step, over validation tasks and repetitions; with
    ``share_rate`` over the starts as well, which then are one method: the runs of one configuration.
    """
    rates = np.sort(np.asarray(protocol.learning_rates, dtype=np.float64))
    excess, chosen, scores = [], [], []
    for settings in protocol.estimators.values():
        tried = np.repeat(rates[:, np.newaxis], len(starts), axis=1)
        gaps = validation.gaps(_costs(validation, starts, tried, settings, protocol, Part.VALIDATION))
        axes = (1, 2, 3) if share_rate else (2, 3)
        medians = measures.median(gaps[..., -1], axes).reshape(len(rates), -1)
        scores.append(np.broadcast_to(medians, tried.shape).T)
        best = np.broadcast_to(rates[measures.best_rate(medians)], len(starts))
        both = np.stack([np.full(len(starts), own_rate), best])
        costs = _costs(test, starts, both, settings, protocol, Part.TEST)
        excess.append(np.moveaxis(costs - test.optimal_cost[:, np.newaxis], 0, 1))
        chosen.append(both.T)
    return Assessment(np.stack(excess, axis=1), np.stack(chosen, axis=1), np.stack(scores, axis=1))


def _costs(
    unseen: UnseenTasks,
    starts: FloatArray,
    rates: FloatArray,
    settings: MetaSettings | None,
    protocol: Protocol,
    part: Part,
) -> FloatArray:
    """Costs (C, n, R, I, s + 1) at step sizes (C, n)."""
    gains, steps, repeats = np.tile(starts, (len(rates), 1, 1)), protocol.steps, range(protocol.repeats)
    if settings is None:
        once = adapt_exactly(unseen.tasks, gains, rates.ravel(), steps)
        found = np.repeat(once[:, np.newaxis], protocol.repeats, axis=1)
    else:
        streams = [noise(protocol.seed, repeat, part) for repeat in repeats]
        stand_in = unseen.optimal_gain
        each = [
            adapt_by_rollouts(unseen.tasks, gains, rates.ravel(), steps, settings, stream, stand_in)
            for stream in streams
        ]
        found = np.stack(each, axis=1)
    return found.reshape(*rates.shape, *found.shape[1:])

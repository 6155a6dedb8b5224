"""What an evaluation is: its rules, the unseen tasks with their optima, and the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from metalqr.config.algorithm import MetaSettings
from metalqr.evaluation.adaptation import measures
from metalqr.lqr import FloatArray, LQRTasks


def steps_per_adaptation(settings: MetaSettings) -> int:
    """Rollout steps that one adaptation step takes on one task."""
    outer = settings.outer
    return outer.estimator.rollouts(outer.perturbations) * settings.rollout_length


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
    regret : ndarray, of the same shape
        The sum of the excess costs of the gains at which the steps so far were taken.
    adaptation_rate : ndarray, shape (n, E, 2)
        The step sizes.
    validation_gap : ndarray, shape (n, E, C)
        Median gap after the last step on the validation tasks, for each step size that was tried.
    """

    excess: FloatArray
    regret: FloatArray
    adaptation_rate: FloatArray
    validation_gap: FloatArray

    @classmethod
    def together(cls, parts: Sequence["Assessment"]) -> "Assessment":
        """The starting gains of all parts, one after the other."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

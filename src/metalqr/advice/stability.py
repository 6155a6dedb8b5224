"""Which candidates keep the constraints on stability, to leading order."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.advice.candidates import Candidate
from metalqr.advice.sketch import Sketch
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import FloatArray, LQRTasks
from metalqr.prediction.noise import count_adapted, has_heavy_tails, simulated_adaptations
from metalqr.prediction.spread import Spread
from metalqr.simulation.streams import Stream, Use

#: The largest share of perturbations that may be unstable, and the largest chance that a gain is.
MOST_UNSTABLE = 1e-3
#: The largest share of inner perturbations and of adapted policies that may be unstable at the initial gain. Costs of
#: their short rollouts are finite, and the gain is none of them.
MOST_UNSTABLE_INSIDE = 0.02
#: Candidates whose stability is sampled before the search gives up.
_SAMPLED = 600
#: Early iterations at which it is sampled, beside the last one.
_EARLY = (1, 2, 4, 8, 16)
#: Samples of the policies inside an adaptation.
_INSIDE = 500


class _Refused(NamedTuple):
    """A candidate that failed: with its step, more noise and a radius that is not smaller fail too."""

    length: int
    learning_rate: float
    first_noise: float
    radius: float

    def refuses(self, other: Candidate) -> bool:
        """Whether another candidate fails with it."""
        return (
            self.length == other.others.rollout_length
            and self.learning_rate == other.learning_rate
            and self.first_noise <= other.first_noise
            and self.radius <= other.radius
        )


class Stability:
    """The constraints on stability, with what is known of candidates that did not keep them.

    Parameters
    ----------
    tasks : LQRTasks
    sketch : Sketch
    seed : int
        Of the samples.
    """

    def __init__(self, tasks: LQRTasks, sketch: Sketch, seed: int) -> None:
        self._tasks, self._sketch, self._seed = tasks, sketch, seed
        self._refused: list[_Refused] = []
        self._adapting: dict[tuple[object, ...], bool] = {}
        # Radii at which the initial gain has too many unstable perturbations; with larger ones it has more.
        self._widest = self._widest_inside = np.inf

    def kept(self, listed: Iterable[Candidate], most: dict[tuple[object, ...], float]) -> Iterator[Candidate]:
        """Candidates that keep them, in order, with at most the learning rates given by key."""
        sampled = 0
        for candidate in listed:
            if candidate.radius >= self._widest or candidate.inner_reach >= self._widest_inside:
                continue
            if candidate.learning_rate > most.get(candidate.key, np.inf):
                continue
            if any(each.refuses(candidate) for each in self._refused):
                continue
            sampled += 1
            if sampled > _SAMPLED:
                return
            settings = candidate.settings
            if not self._starts_stable(settings, candidate.inner_reach):
                continue
            if self._stays_stable(settings):
                yield candidate
            else:
                step, length = candidate.learning_rate, settings.rollout_length
                self._refused.append(_Refused(length, step, candidate.first_noise, candidate.radius))

    def _starts_stable(self, settings: MetaSettings, inner_reach: float) -> bool:
        """Whether perturbations of the initial gain are."""
        start = self._sketch.gains(settings.rollout_length)[0]
        spread = Spread(self._tasks, settings, self._seed)
        if spread.chances(start, np.zeros((start.size, start.size))).unstable_share >= MOST_UNSTABLE:
            self._widest = settings.smoothing_radius
            return False
        if settings.adaptation_rate:
            inner = self._perturbed(settings) + self._on_sphere(settings.inner.radius, start.shape, 3)
            if self._unstable_share(inner) >= MOST_UNSTABLE_INSIDE:
                self._widest_inside = inner_reach
                return False
        return True

    def _stays_stable(self, settings: MetaSettings) -> bool:
        """Whether adapted policies of the initial gain are, and perturbations of later gains."""
        if settings.adaptation_rate and not self._adapts_well(settings):
            return False
        spread = Spread(self._tasks, settings, self._seed)
        # Early steps are the noisiest.
        marks = sorted({min(n, settings.iterations) for n in (*_EARLY, settings.iterations)})
        found = (spread.chances(*state) for state in self._sketch.states(settings, marks))
        return all(max(each.unstable_share, each.leaving) < MOST_UNSTABLE for each in found)

    def _adapts_well(self, settings: MetaSettings) -> bool:
        """Whether perturbations of the initial gain are stable after noisy adaptations, and cost about the same."""
        inner = settings.inner
        outer = (settings.rollout_length, settings.smoothing_radius)
        key = (*outer, inner.estimator.name, inner.perturbations, inner.radius)
        if key not in self._adapting:
            start = self._sketch.gains(settings.rollout_length)[0]
            perturbed = self._perturbed(settings, count_adapted(settings, start.size))
            policies = np.repeat(perturbed, self._tasks.count, axis=1)
            adapted = simulated_adaptations(self._tasks, policies, settings, Stream(self._seed, 2, Use.COVARIANCE))
            is_stable = self._unstable_share(adapted) < MOST_UNSTABLE_INSIDE
            self._adapting[key] = is_stable and not has_heavy_tails(self._tasks, adapted, settings.rollout_length)
        return self._adapting[key]

    def _perturbed(self, settings: MetaSettings, count: int = _INSIDE) -> FloatArray:
        """Perturbations of the initial gain, (samples, 1, k, d)."""
        start = self._sketch.gains(settings.rollout_length)[0]
        return start + self._on_sphere(settings.smoothing_radius, start.shape, 2, count)

    def _on_sphere(self, radius: float, shape: tuple[int, ...], stream: int, count: int = _INSIDE) -> FloatArray:
        found = np.random.default_rng([self._seed, stream]).standard_normal((count, 1, *shape))
        return np.asarray(radius * found / np.linalg.norm(found, axis=(2, 3), keepdims=True))

    def _unstable_share(self, policies: FloatArray) -> float:
        """Of policies (samples, I or 1, k, d)."""
        every = np.arange(self._tasks.count)
        each = np.broadcast_to(policies, (len(policies), len(every), *policies.shape[2:])).swapaxes(0, 1)
        return float(lqr.are_unstable(self._tasks, each, every).mean(axis=1) @ self._tasks.p)

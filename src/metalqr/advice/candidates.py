"""The grid of settings within a budget, scored by the sketch, best first."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from metalqr.advice.sketch import Losses, Sketch
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import methods

#: Lengths of rollouts, smoothing radii, iterations, shares of the largest monotone step, and of the run after which
#: the learning rate is half of the first (0: never).
LENGTHS, RADII = (5, 10, 20, 50), (0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
ITERATIONS = (25, 50, 100, 200, 400, 800, 1600)
RATES, DECAYS = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05), (0.0, 0.3, 0.1, 0.03)
#: For gains with more entries than the first, coarser: a prediction takes minutes there.
LARGE, LARGE_LENGTHS, LARGE_ITERATIONS = 16, (10, 20), (25, 50, 100, 200, 400)
#: The most perturbations an iteration: more change little and take memory.
MOST_PERTURBATIONS = 2000


class Candidate(NamedTuple):
    """Settings, the smoothing radius in place of theirs, and the parts of the final ratio by the sketch."""

    others: MetaSettings
    radius: float
    losses: Losses

    @property
    def key(self) -> tuple[object, ...]:
        """What neighbours that differ in steps alone have in common."""
        names = ("rollout_length", "estimator", "iterations", "inner_perturbations")
        return (*(getattr(self.others, name) for name in names), self.radius)

    @property
    def settings(self) -> MetaSettings:
        """All of them; checked here, since few candidates are looked at."""
        return self.others.replace(smoothing_radius=self.radius)


class Budget(NamedTuple):
    """What the user can spend and simulate."""

    rollout_steps: int
    task_count: int
    adaptation_rate: float
    has_common_noise: bool


def lengths(size: int) -> tuple[int, ...]:
    """Lengths of rollouts to try for a gain of this size."""
    return LENGTHS if size <= LARGE else LARGE_LENGTHS


def iterations(size: int) -> tuple[int, ...]:
    """Numbers of iterations to try for a gain of this size."""
    return ITERATIONS if size <= LARGE else LARGE_ITERATIONS


def rollout_steps(settings: MetaSettings, task_count: int) -> int:
    """Steps that a run simulates."""
    work = methods.get(settings.method).work(task_count, settings)
    return int(work.rollouts * settings.rollout_length * settings.iterations)


def candidates(sketch: Sketch, budget: Budget) -> list[Candidate]:
    """All settings of the grid within the budget, with every radius, best first."""
    found = []
    for settings in _grid(sketch, budget):
        scored = sketch.losses(settings, np.array(RADII))
        for radius, losses in zip(RADII, scored, strict=True):
            if np.isfinite(losses.total):
                found.append(Candidate(settings, radius, losses))
    return sorted(found, key=lambda each: each.losses.total)


def _grid(sketch: Sketch, budget: Budget) -> Iterator[MetaSettings]:
    for length in lengths(sketch.size):
        for base in _estimators(budget):
            for count in iterations(sketch.size):
                fitted = fit(base.replace(rollout_length=length, iterations=count), budget)
                if fitted is None:
                    continue
                for share in RATES:
                    for decay in DECAYS:
                        rate = _rounded(share * sketch.largest_step)
                        yield fitted.replace(learning_rate=rate, learning_rate_decay=decay * count)


def fit(settings: MetaSettings, budget: Budget) -> MetaSettings | None:
    """The settings with as many perturbations as the budget has; None if it has too few."""
    least = settings.outer.estimator.min_perturbations
    one, two = (rollout_steps(settings.replace(perturbations=m), budget.task_count) for m in (least, 2 * least))
    count = least + (budget.rollout_steps - one) * least // (two - one)
    if count < least:
        return None
    return settings.replace(perturbations=min(count, MOST_PERTURBATIONS))


def _estimators(budget: Budget) -> Iterator[MetaSettings]:
    method = "zeroth_order_maml" if budget.adaptation_rate else "mean_cost"
    shared = {"learning_rate": 1.0, "adaptation_rate": budget.adaptation_rate, "directions": "orthogonal"}
    if budget.has_common_noise:
        kinds: list[dict[str, object]] = [{"estimator": "two_point", "common_noise": True}]
    else:
        kinds = [{"estimator": "two_point"}, {"estimator": "one_point_baseline"}]
    for kind in kinds:
        least = 2 if kind["estimator"] == "one_point_baseline" else 1
        for inner in (least, 8 * least) if budget.adaptation_rate else (least,):
            yield MetaSettings.model_validate({"method": method, **shared, **kind, "inner_perturbations": inner})


def _rounded(rate: float) -> float:
    """Down to two digits, as one writes it."""
    unit = 10.0 ** (np.floor(np.log10(rate)) - 1)
    return float(f"{np.floor(rate / unit * (1 + 1e-12)) * unit:.2g}")

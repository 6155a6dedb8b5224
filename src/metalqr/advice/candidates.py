"""The grid of settings within a budget, scored by the sketch, best first."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from metalqr import lqr, optimal
from metalqr.advice.sketch import Losses, Schedules, Sketch, learning_rates
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import estimators, methods
from metalqr.lqr import FloatArray, LQRTasks

#: Lengths of rollouts and smoothing radii, each in a unit that the system sets, iterations, shares of the largest
#: monotone step, and of the run after which the learning rate is half of the first (0: never).
LENGTHS, RADII = (5, 10, 20, 50), (0.01, 0.02, 0.035, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
ITERATIONS = (25, 50, 100, 200, 400, 800, 1600)
RATES, DECAYS = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05), (0.0, 0.3, 0.1, 0.03)
#: Perturbations of an inner estimate, in the fewest of its estimator, and its radius, in the outer one.
INNER_PERTURBATIONS, INNER_RADII = (1, 4, 16, 64), (0.5, 1.0, 2.0)
#: For gains with more entries than the first, coarser: a prediction takes many seconds there.
LARGE, LARGE_LENGTHS, LARGE_ITERATIONS = 16, (10, 20), (25, 50, 100, 200, 400)
#: The most perturbations an iteration: more change little and take memory.
MOST_PERTURBATIONS = 2000


#: The longest rollouts, in time constants of the optimal closed loops, and the largest unit of lengths.
_TIME_CONSTANTS, _LONGEST_UNIT = 3, 4


class Ranges(NamedTuple):
    """What is tried for some tasks."""

    lengths: tuple[int, ...]
    iterations: tuple[int, ...]
    radii: tuple[float, ...]


def ranges(tasks: LQRTasks) -> Ranges:
    """Rollouts that are long enough for slow systems, and radii of a size that fits the optimal gains."""
    K = optimal.optimal_gains(tasks).K
    is_large = K[0].size > LARGE
    slowest = float(lqr.spectral_radius(tasks, K).max())
    lengths: tuple[int, ...] = LARGE_LENGTHS if is_large else LENGTHS
    unit, longest = 1, int(max(lengths))
    while unit < _LONGEST_UNIT and unit * longest * (1.0 - slowest) < _TIME_CONSTANTS:
        unit *= 2
    # Twice the norm of the mean optimal gain, rounded to half a decade.
    norm = float(np.linalg.norm(K.mean(axis=0)))
    size = 10.0 ** (0.5 * round(2 * np.log10(2 * max(norm, 1e-3))))
    radii = tuple(float(f"{size * share:.2g}") for share in RADII)
    return Ranges(tuple(unit * each for each in lengths), LARGE_ITERATIONS if is_large else ITERATIONS, radii)


class Candidate(NamedTuple):
    """Settings, those that the grid varies in place of theirs, and the parts of the final ratio by the sketch."""

    others: MetaSettings
    learning_rate: float
    learning_rate_decay: float
    radius: float
    losses: Losses
    first_noise: float  # trace of the covariance of the direction at the initial gain

    @property
    def key(self) -> tuple[object, ...]:
        """What neighbours that differ in steps alone have in common."""
        names = ("rollout_length", "estimator", "iterations", "inner_perturbations", "inner_estimator")
        return (*(getattr(self.others, name) for name in names), self._inner_radius, self.radius)

    @property
    def inner_reach(self) -> float:
        """How far policies of inner estimates are from the gain, the outer perturbation included."""
        return float(np.hypot(self.radius, self._inner_radius or 0.0))

    @property
    def settings(self) -> MetaSettings:
        """All of them; made here, since few candidates are looked at."""
        return self.others.replace(
            learning_rate=self.learning_rate,
            learning_rate_decay=self.learning_rate_decay,
            smoothing_radius=self.radius,
            inner_smoothing_radius=self._inner_radius,
        )

    @property
    def _inner_radius(self) -> float | None:
        given = self.others.inner_smoothing_radius
        return None if given is None else float(f"{given / self.others.smoothing_radius * self.radius:.3g}")


class Budget(NamedTuple):
    """What the user can spend and simulate."""

    rollout_steps: int
    task_count: int
    adaptation_rate: float
    has_common_noise: bool


class Ranking:
    """All settings of the grid within a budget, best first, each made when it is looked at."""

    def __init__(self, sketch: Sketch, tried: Ranges, budget: Budget) -> None:
        self._groups: list[tuple[MetaSettings, _Steps, Losses, FloatArray]] = []
        totals = [np.zeros(0)]
        for count in tried.iterations:
            steps = _steps(sketch, count)
            for settings in _grid(tried.lengths, budget, count):
                losses, first_noise = sketch.losses(settings, steps.schedules, np.array(tried.radii))
                self._groups.append((settings, steps, losses, first_noise))
                totals.append(losses.total.ravel())
        found = np.concatenate(totals)
        order = np.argsort(found, kind="stable")
        self._order = order[np.isfinite(found[order])]
        self._radii, self._size = tried.radii, len(RATES) * len(DECAYS) * len(tried.radii)

    def __len__(self) -> int:
        """Number of settings."""
        return len(self._order)

    def __iter__(self) -> Iterator[Candidate]:
        """Best first."""
        for place in self._order:
            settings, steps, losses, first_noise = self._groups[place // self._size]
            schedule, radius = divmod(int(place) % self._size, len(self._radii))
            parts = Losses(*(part[schedule, radius] for part in losses))
            rate, decay = steps.rates[schedule], steps.decays[schedule]
            yield Candidate(settings, rate, decay, self._radii[radius], parts, float(first_noise[radius]))


class _Steps(NamedTuple):
    """The learning rates of the grid and their decays, for runs of one number of iterations."""

    rates: list[float]
    decays: list[float]
    schedules: Schedules


def _steps(sketch: Sketch, count: int) -> _Steps:
    pairs = [(_rounded(share * sketch.largest_step), decay * count) for share in RATES for decay in DECAYS]
    runs = [
        MetaSettings(learning_rate=rate, learning_rate_decay=decay, adaptation_rate=0.0, iterations=count)
        for rate, decay in pairs
    ]
    rates, decays = (list(each) for each in zip(*pairs, strict=True))
    return _Steps(rates, decays, sketch.schedules([learning_rates(run) for run in runs]))


def rollout_steps(settings: MetaSettings, task_count: int) -> int:
    """Steps that a run simulates."""
    work = methods.get(settings.method).work(task_count, settings)
    return int(work.rollouts * settings.rollout_length * settings.iterations)


def fit(settings: MetaSettings, budget: Budget) -> MetaSettings | None:
    """The settings with as many perturbations as the budget has; None if it has too few."""
    least = settings.outer.estimator.min_perturbations
    one, two = (rollout_steps(settings.replace(perturbations=m), budget.task_count) for m in (least, 2 * least))
    count = least + (budget.rollout_steps - one) * least // (two - one)
    if count < least:
        return None
    return settings.replace(perturbations=min(count, MOST_PERTURBATIONS))


def _grid(lengths: tuple[int, ...], budget: Budget, count: int) -> Iterator[MetaSettings]:
    """All that is no schedule and no outer radius."""
    method = "zeroth_order_maml" if budget.adaptation_rate else "mean_cost"
    shared = {"method": method, "learning_rate": 1.0, "adaptation_rate": budget.adaptation_rate}
    if budget.has_common_noise:
        kinds: list[dict[str, object]] = [{"estimator": "two_point", "common_noise": True}]
    else:
        kinds = [{"estimator": "two_point"}, {"estimator": "one_point_baseline"}]
    for length in lengths:
        for kind in kinds:
            names = [str(each["estimator"]) for each in kinds]
            for inner in _inner(names) if budget.adaptation_rate else [{"inner_perturbations": 2}]:
                base = {**shared, **kind, **inner, "directions": "orthogonal"}
                settings = MetaSettings.model_validate({**base, "rollout_length": length, "iterations": count})
                fitted = fit(settings, budget)
                if fitted is not None:
                    yield fitted


def _inner(names: list[str]) -> Iterator[dict[str, object]]:
    for name in names:
        least = estimators.get(name).min_perturbations
        for count in INNER_PERTURBATIONS:
            for share in INNER_RADII:
                radius = {"smoothing_radius": 0.1, "inner_smoothing_radius": 0.1 * share}
                yield {"inner_estimator": name, "inner_perturbations": count * least, **radius}


def _rounded(rate: float) -> float:
    """Down to two digits, as one writes it."""
    unit = 10.0 ** (np.floor(np.log10(rate)) - 1)
    return float(f"{np.floor(rate / unit * (1 + 1e-12)) * unit:.2g}")

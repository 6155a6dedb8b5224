"""The settings with the least predicted final ratio within a budget, and what limits it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metalqr import lqr
from metalqr.advice.candidates import (
    LARGE,
    RATES,
    Budget,
    Candidate,
    candidates,
    fit,
    iterations,
    lengths,
    rollout_steps,
)
from metalqr.advice.sketch import Losses, Sketch
from metalqr.common.validation import whole_number
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import LQRTasks, common_gain
from metalqr.optimal.margin import stability_margin
from metalqr.prediction import Prediction, predict
from metalqr.prediction.spread import Spread

#: The largest share of perturbations that may be unstable, and the largest chance that a gain is.
MOST_UNSTABLE = 1e-3
#: Candidates that get a full prediction, for small gains and for large ones.
_REFINED, _REFINED_LARGE = 4, 1
#: Candidates whose stability is sampled before the search gives up.
_SAMPLED = 400
#: Early iterations at which it is sampled, beside the last one.
_EARLY = (1, 2, 4, 8, 16)
#: Share of a learning rate with which a full prediction failed that is tried next.
_SMALLER = 0.75


class NoAdviceError(ValueError):
    """No settings within the budget keep the constraints; the message says what to change."""


@dataclass(frozen=True, eq=False)
class Advice:
    """Recommended settings with their prediction.

    Attributes
    ----------
    settings : MetaSettings
    prediction : Prediction
        Of these settings, in full.
    losses : Losses
        The parts of the final ratio, to leading order.
    rollout_steps : int
        Steps that the run simulates, all tasks together; at most the budget.
    largest_step : float
        The largest monotone step: beyond it the mean cost need not fall.
    tried : int
        Settings that were compared to leading order.
    refined : int
        Those of them that were predicted in full.
    """

    settings: MetaSettings
    prediction: Prediction
    losses: Losses
    rollout_steps: int
    largest_step: float
    tried: int
    refined: int

    @property
    def ratio(self) -> float:
        """The predicted final ratio."""
        return float(self.prediction.ratio[-1])

    @property
    def binding(self) -> str:
        """What costs most of what settings can change: noise, horizon, radius, step size or budget."""
        parts = {"noise": self.losses.noise, "horizon": self.losses.horizon, "radius": self.losses.radius}
        at_largest = self.settings.learning_rate > 0.9 * max(RATES) * self.largest_step
        parts["step size" if at_largest else "budget"] = self.losses.unfinished
        return max(parts, key=parts.__getitem__)


def recommend(
    tasks: LQRTasks,
    K0: ArrayLike,
    budget: float,
    *,
    adaptation_rate: float = 0.0,
    common_noise: bool = False,
    seed: int = 0,
) -> Advice:
    r"""Settings that minimise the predicted final ratio within a budget of rollout steps.

    A grid of settings is compared to leading order (:class:`metalqr.advice.sketch.Sketch`). The best ones that keep the
    constraints are predicted in full, and the best of these is returned. The constraints: a share below
    :math:`10^{-3}` of unstable perturbations along the path; a learning rate of at most :math:`1 / \lambda_{\max}`, the
    largest monotone step for the curvature along the path; a chance below :math:`10^{-3}` to leave the stabilising set;
    a prediction that is valid to the end. Nothing is simulated where the covariance of the noise is known.

    Parameters
    ----------
    tasks : LQRTasks
    K0 : array_like, shape (k, d)
        Initial gain, stabilising for every task.
    budget : float
        Rollout steps, all tasks together, those inside an adaptation included.
    adaptation_rate : float
        Of ``zeroth_order_maml``; 0 recommends ``mean_cost``.
    common_noise : bool
        True if the simulator can replay its noise.
    seed : int
        Of the samples of the prediction.

    Returns
    -------
    Advice

    Raises
    ------
    TypeError
        If the tasks are no model.
    ValueError
        If the budget is impossible or too small for one iteration of the grid.
    NoAdviceError
        If no settings keep the constraints.
    UnstablePolicyError
        If K0 does not stabilise every task.

    Examples
    --------
    >>> tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> found = recommend(tasks, [[0.0]], 20_000, common_noise=True)
    >>> found.rollout_steps <= 20_000, bool(found.ratio < 0.05)
    (True, True)
    """
    if not isinstance(tasks, LQRTasks):
        raise TypeError(
            f"tasks: {type(tasks).__name__} is no model, and advice needs the matrices of every task (LQRTasks). For a "
            "simulator alone, measure instead: the mean and variance of the cost in some hundred rollouts at K_0 for "
            "the noise, their change with the rollout length, and how the costs of perturbed gains grow with the "
            "radius; or fit a model to rollouts, metalqr.evaluation.certainty_equivalence"
        )
    gain = common_gain(tasks, K0, "K0")
    lqr.require_stabilising(tasks, gain, "the initial gain")
    steps = whole_number("budget", int(budget) if np.isfinite(budget) else budget, 1)
    given = Budget(steps, tasks.count, adaptation_rate, common_noise)
    _require_enough(given, gain.size)
    sketch = Sketch(tasks, gain, adaptation_rate, max(iterations(gain.size)))
    sketch.prepare(max(lengths(gain.size)))
    listed = candidates(sketch, given)
    refined: list[tuple[float, Candidate, Prediction]] = []
    wanted = _REFINED if gain.size <= LARGE else _REFINED_LARGE
    count = 0
    # Neighbours on the grid of a good candidate bring nothing new; those of a bad one may, with a smaller step.
    most: dict[tuple[object, ...], float] = {}
    for candidate in _stable(tasks, sketch, listed, most, seed):
        found = predict(tasks, gain, candidate.settings, seed=seed)
        count += 1
        most[candidate.key] = _SMALLER * candidate.others.learning_rate
        if keeps_constraints(found):
            most[candidate.key] = 0.0
            refined.append((float(found.ratio[-1]), candidate, found))
        if len(refined) == wanted or count == 3 * wanted:
            break
    if not refined:
        raise NoAdviceError(
            f"none of {len(listed)} settings within {steps} rollout steps keeps the constraints: unstable "
            f"perturbations below {MOST_UNSTABLE:g} and a prediction that is valid to the end; raise the budget, or "
            "choose an initial gain with a larger stability margin, such as initial_gain: stabilising"
        )
    _, best, prediction = min(refined, key=lambda each: each[0])
    spent = int(prediction.rollout_steps[-1])
    return Advice(best.settings, prediction, best.losses, spent, sketch.largest_step, len(listed), count)


def keeps_constraints(found: Prediction) -> bool:
    """Whether a prediction keeps the constraints on stability and validity."""
    unstable, leaving = np.nanmax(found.unstable_share), np.nanmax(found.leaving_chance)
    is_valid = found.valid_until >= len(found.ratio) - 1
    return bool(is_valid and unstable < MOST_UNSTABLE and leaving < MOST_UNSTABLE and np.isfinite(found.ratio[-1]))


def _require_enough(budget: Budget, size: int) -> None:
    shortest = MetaSettings(
        method="zeroth_order_maml" if budget.adaptation_rate else "mean_cost",
        learning_rate=1.0,
        adaptation_rate=budget.adaptation_rate,
        estimator="two_point",
        inner_perturbations=1,
        rollout_length=min(lengths(size)),
        iterations=min(iterations(size)),
    )
    if fit(shortest, budget) is None:
        least = rollout_steps(shortest.replace(perturbations=1), budget.task_count)
        one = least // shortest.iterations
        raise ValueError(
            f"budget: {budget.rollout_steps} rollout steps are too few for {budget.task_count} tasks: an iteration "
            f"takes at least {one}, and {shortest.iterations} iterations, the fewest of a recommendation, {least}"
        )


def _stable(
    tasks: LQRTasks, sketch: Sketch, listed: list[Candidate], most: dict[tuple[object, ...], float], seed: int
) -> Iterator[Candidate]:
    """Candidates that keep the constraints to leading order, with at most the learning rates given by key."""
    margins: dict[int, float] = {}
    sampled, refused = 0, np.inf
    for candidate in listed:
        length, radius = candidate.others.rollout_length, candidate.radius
        if length not in margins:
            gains = sketch.gains(length)
            tiled, each = lqr.tiled(tasks, len(gains)), np.repeat(gains, tasks.count, axis=0)
            margins[length] = float(stability_margin(tiled, each).min())
        # Where the initial gain has unstable perturbations it has them with a larger radius too.
        others = candidate.others
        if radius >= refused or others.learning_rate > most.get(candidate.key, np.inf):
            continue
        sampled += 1
        if sampled > _SAMPLED:
            return
        settings = candidate.settings
        spread = Spread(tasks, settings, seed)
        if radius > margins[length]:
            start = spread.chances(sketch.gains(length)[0], np.zeros((sketch.size, sketch.size)))
            if start.unstable_share >= MOST_UNSTABLE:
                refused = radius
                continue
        # Early steps are the noisiest.
        marks = sorted({min(n, others.iterations) for n in (*_EARLY, others.iterations)})
        chances = (spread.chances(*sketch.state(settings, n)) for n in marks)
        if all(max(each.unstable_share, each.leaving) < MOST_UNSTABLE for each in chances):
            yield candidate

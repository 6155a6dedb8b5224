"""The settings with the least predicted final ratio within a budget, and what limits it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from metalqr import lqr
from metalqr.advice.candidates import (
    LARGE,
    RATES,
    Budget,
    Candidate,
    Ranges,
    Ranking,
    fit,
    ranges,
    rollout_steps,
)
from metalqr.advice.sketch import Losses, Sketch
from metalqr.advice.stability import MOST_UNSTABLE, Stability
from metalqr.common.validation import whole_number
from metalqr.config.algorithm import MetaSettings
from metalqr.lqr import FloatArray, LQRTasks, common_gain
from metalqr.prediction import Prediction, predict

#: Candidates that get a full prediction, for small gains and for large ones, and times as many that may fail.
_REFINED, _REFINED_LARGE, _FAILING = 4, 1, 3
#: Share of a learning rate with which a full prediction failed that is tried next.
_SMALLER = 0.75
_NO_MODEL = (
    "tasks: {} is no model, and advice needs the matrices of every task (LQRTasks). For a simulator alone, measure "
    "instead: the mean and variance of the cost in some hundred rollouts at K_0 for the noise, their change with the "
    "rollout length, and how the costs of perturbed gains grow with the radius; or fit a model to rollouts, "
    "metalqr.evaluation.certainty_equivalence"
)


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
    search = Search(tasks, K0, adaptation_rate=adaptation_rate, common_noise=common_noise, seed=seed)
    return search.within(budget)


class Search:
    """:func:`recommend` for several budgets: what does not depend on them is computed once.

    Parameters and errors are those of :func:`recommend`.
    """

    def __init__(
        self,
        tasks: LQRTasks,
        K0: ArrayLike,
        *,
        adaptation_rate: float = 0.0,
        common_noise: bool = False,
        seed: int = 0,
    ) -> None:
        if not isinstance(tasks, LQRTasks):
            raise TypeError(_NO_MODEL.format(type(tasks).__name__))
        gain = common_gain(tasks, K0, "K0")
        lqr.require_stabilising(tasks, gain, "the initial gain")
        if adaptation_rate:
            _require_no_overshoot(tasks, gain, adaptation_rate)
        self._tasks, self._K0, self._seed = tasks, gain, seed
        self._adaptation_rate, self._common_noise = adaptation_rate, common_noise

    @cached_property
    def _sketch(self) -> Sketch:
        tried = self._ranges
        return Sketch(self._tasks, self._K0, self._adaptation_rate, max(tried.iterations), max(tried.lengths))

    @cached_property
    def _ranges(self) -> Ranges:
        return ranges(self._tasks)

    def within(self, budget: float, refined: int | None = None) -> Advice:
        """The settings for a budget, the best of 4 that are predicted in full, or of 1 if large, or of ``refined``."""
        tasks, gain = self._tasks, self._K0
        steps = whole_number("budget", int(budget) if np.isfinite(budget) else budget, 1)
        given = Budget(steps, tasks.count, self._adaptation_rate, self._common_noise)
        _require_enough(given, self._ranges)
        listed = Ranking(self._sketch, self._ranges, given)
        found: list[tuple[float, Candidate, Prediction]] = []
        usual = _REFINED if gain.size <= LARGE else _REFINED_LARGE
        wanted = refined or usual
        count = 0
        # Neighbours on the grid of a good candidate bring nothing new; those of a bad one may, with a smaller step.
        most: dict[tuple[object, ...], float] = {}
        for candidate in Stability(tasks, self._sketch, self._seed).kept(listed, most):
            prediction = predict(tasks, gain, candidate.settings, seed=self._seed)
            count += 1
            most[candidate.key] = _SMALLER * candidate.learning_rate
            if keeps_constraints(prediction):
                most[candidate.key] = 0.0
                found.append((float(prediction.ratio[-1]), candidate, prediction))
            if len(found) == wanted or count == _FAILING * usual:
                break
        if not found:
            raise NoAdviceError(
                f"none of {len(listed)} settings within {steps} rollout steps keeps the constraints: unstable "
                f"perturbations below {MOST_UNSTABLE:g} and a prediction that is valid to the end; raise the budget, "
                "or choose an initial gain with a larger stability margin, such as initial_gain: stabilising"
            )
        _, best, prediction = min(found, key=lambda each: each[0])
        spent = int(prediction.rollout_steps[-1])
        return Advice(best.settings, prediction, best.losses, spent, self._sketch.largest_step, len(listed), count)


def keeps_constraints(found: Prediction) -> bool:
    """Whether a prediction keeps the constraints on stability and validity."""
    unstable, leaving = np.nanmax(found.unstable_share), np.nanmax(found.leaving_chance)
    is_valid = found.valid_until >= len(found.ratio) - 1
    return bool(is_valid and unstable < MOST_UNSTABLE and leaving < MOST_UNSTABLE and np.isfinite(found.ratio[-1]))


def _require_enough(budget: Budget, tried: Ranges) -> None:
    shortest = MetaSettings(
        method="zeroth_order_maml" if budget.adaptation_rate else "mean_cost",
        learning_rate=1.0,
        adaptation_rate=budget.adaptation_rate,
        estimator="two_point",
        inner_perturbations=1,
        rollout_length=min(tried.lengths),
        iterations=min(tried.iterations),
    )
    if fit(shortest, budget) is None:
        least = rollout_steps(shortest.replace(perturbations=1), budget.task_count)
        one = least // shortest.iterations
        raise ValueError(
            f"budget: {budget.rollout_steps} rollout steps are too few for {budget.task_count} tasks: an iteration "
            f"takes at least {one}, and {shortest.iterations} iterations, the fewest of a recommendation, {least}"
        )


def _require_no_overshoot(tasks: LQRTasks, K0: FloatArray, adaptation_rate: float) -> None:
    """Refuse an adaptation that turns gradients around: the direction of Algorithm 2 leads away then."""
    curvature = float(np.linalg.eigvalsh(lqr.hessian_matrix(tasks, K0)).max())
    if adaptation_rate * curvature >= 1.0:
        raise ValueError(
            f"adaptation_rate: {adaptation_rate:g} times the largest curvature of a task at the initial gain, "
            f"{curvature:.3g}, is not below 1: an adaptation overshoots there; give less than {1 / curvature:.2g}, or "
            "an initial gain that is nearer to the optimum, such as initial_gain: stabilising"
        )

"""Descent with a constant step, and the search for the longest step with sufficient decrease at every iteration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import positive, real_array, whole_number
from metalqr.evaluation.exact_methods.dataset import ExactDescent
from metalqr.evaluation.exact_methods.linearisation import Linearisation, measured_rates
from metalqr.lqr import FloatArray, PolicyEvaluation, UnstablePolicyError
from metalqr.results.runs import Status
from metalqr.simulation.streams import Stream
from metalqr.training.history import History
from metalqr.training.loop import run
from metalqr.training.method import Method
from metalqr.training.observers import Observer
from metalqr.training.updates.gradient import Gradient

#: Halvings of the step after which the search gives up.
MAX_HALVINGS = 100
#: A relative change of the gain below this is rounding.
MIN_CHANGE = 1e-13


class StepSizeError(ArithmeticError):
    """No step with sufficient decrease was found; the message lists what was tried."""


@dataclass(frozen=True, eq=False)
class EvaluatedGains:
    """Gains K, one for each of n descents that run side by side, and their exact quantities.

    The objective is made of the costs of K - adaptation, which is zero without adaptation, and the evaluation is of
    these. The next gain is K - step * direction.
    """

    K: FloatArray  # (n, k, d)
    direction: FloatArray  # (n, k, d)
    slope: FloatArray  # (n,), inner product of gradient and direction
    adaptation: FloatArray  # (I, k, d)
    evaluation: PolicyEvaluation


class DescentObjective(Protocol):
    """The n objectives of as many independent descents."""

    optimum: FloatArray  # (n, k, d)
    resolution: FloatArray  # (n,); changes of the objective of this size and below are rounding
    searches: bool  # True if the step is searched for, from `longest_step` downwards

    def at(self, K: FloatArray, name: str) -> EvaluatedGains:
        """Evaluate gains, shape (n, k, d); ``name`` is that of an unstable one in the error."""

    def gap(self, here: EvaluatedGains) -> FloatArray:
        """Objective here less its optimum, shape (n,)."""

    def fall(self, here: EvaluatedGains, there: EvaluatedGains) -> FloatArray:
        """Objective here less the objective there, shape (n,)."""

    def longest_step(self, start: EvaluatedGains) -> FloatArray:
        """Default step, or the longest that is tried, shape (n,)."""

    def guaranteed_rate(self, step: FloatArray, start: EvaluatedGains, curvature: FloatArray) -> FloatArray:
        """Bound on the ratio of successive gaps, shape (n,); NaN where none is known."""

    def linearisation(self, step: FloatArray) -> Linearisation:
        """The iteration linearised at the optimum."""


class _Path(NamedTuple):
    K: FloatArray
    gap: FloatArray
    curvature: FloatArray


def descend(
    objective: DescentObjective, method: Method, K0: FloatArray, iterations: int, step: ArrayLike | None
) -> ExactDescent:
    """Run n descents from K0 (n, k, d), with the given step, () or (n,), or the default one, and measure their rates.

    Raises
    ------
    UnstablePolicyError
        If K0 or a step leaves the stabilising set.
    ValueError
        If the step is impossible.
    StepSizeError
        If no step is found.
    """
    start = objective.at(K0, "K0")
    if step is None and objective.searches:
        steps, path = _search(objective, method, start, iterations)
    else:
        steps = objective.longest_step(start) if step is None else _checked(step, len(K0))
        path = _follow(objective, method, start, steps, iterations)
    linearisation = objective.linearisation(steps)
    linearised, measured = measured_rates(path.K, path.gap, objective.optimum, objective.resolution, linearisation)
    return ExactDescent(
        method=method.name,
        K=path.K,
        gap=path.gap,
        step=steps,
        curvature=path.curvature,
        guaranteed_rate=objective.guaranteed_rate(steps, start, path.curvature),
        asymptotic_rate=linearisation.asymptotic_rate(),
        linearised_rate=linearised,
        measured_rate=measured,
    )


def require_finite(K: FloatArray, tasks: Sequence[int], name: str) -> None:
    """Raise an UnstablePolicyError if gains have left the range of double precision."""
    if not np.isfinite(K).all():
        raise UnstablePolicyError(tasks, [np.inf] * len(tasks), name)


def _checked(step: ArrayLike, count: int) -> FloatArray:
    steps = real_array("step", step)
    if steps.shape not in ((), (count,)):
        raise ValueError(f"step has shape {steps.shape}, expected () or ({count},)")
    return np.array([positive("step", each) for each in np.broadcast_to(steps, (count,)).tolist()])


def _follow(
    objective: DescentObjective,
    method: Method,
    start: EvaluatedGains,
    step: FloatArray,
    iterations: int,
    *,
    monotone: bool = False,
) -> _Path:
    """Go ``iterations`` steps; with ``monotone``, only until one that does not fall sufficiently."""
    watcher = _Watcher(objective, start, step, monotone)
    method.learning_rate = step[:, np.newaxis, np.newaxis] if method.gain_per_task else step[0]
    method.rule = Gradient(method.settings)  # imported, not looked up: the build system follows imports
    history = run(method, Stream(0), whole_number("iterations", iterations), [watcher])
    if history.status is Status.DIVERGED:  # the watcher has evaluated every gain that is finite
        name = f"the gain of iteration {history.status_iteration + 1}"
        require_finite(np.full(1, np.nan), range(method.tasks.count), name)
    # A gradient of zero ends a run: all further gains are the last one.
    missing = iterations - history.status_iteration if history.status is Status.TOLERANCE else 0
    points = watcher.points + watcher.points[-1:] * missing
    gaps = np.stack([objective.gap(point) for point in points])
    return _Path(np.stack([point.K for point in points]), gaps, watcher.curvature)


class _Watcher(Observer):
    """Evaluates the gains of a descent as it runs, and measures its curvature."""

    def __init__(self, objective: DescentObjective, start: EvaluatedGains, step: FloatArray, monotone: bool) -> None:
        self._objective, self._step, self._monotone = objective, step, monotone
        self.points = [start]
        self.curvature = np.zeros_like(step)

    def reached(self, iteration: int, K: FloatArray, cost: FloatArray) -> None:
        if iteration == 0:
            return
        here = self.points[-1]
        there = self._objective.at(K.reshape(here.K.shape), f"the gain of iteration {iteration}")
        promised = self._step * here.slope
        with np.errstate(over="ignore"):
            change = self._step[:, np.newaxis, np.newaxis] * here.direction
        counts = (promised > self._objective.resolution) & (_size(change) > MIN_CHANGE * _size(here.K))
        kept = np.divide(self._objective.fall(here, there), promised, where=counts, out=np.ones_like(promised))
        self.curvature = np.maximum(self.curvature, 2.0 * (1.0 - kept) / self._step)
        self.points.append(there)

    def stops(self, state: Callable[[], History]) -> bool:
        return self._monotone and bool(np.any(self._step * self.curvature > 1.0))


def _search(
    objective: DescentObjective, method: Method, start: EvaluatedGains, iterations: int
) -> tuple[FloatArray, _Path]:
    r"""The first of ``longest_step``, its half, its quarter, ... with a sufficient decrease at every step.

    .. math:: f(K_n) - f(K_{n+1}) \ge \tfrac{1}{2} \eta \langle \nabla f(K_n), D_n \rangle ,

    that is, :math:`\eta h \le 1` with the curvature h of the path. A step that theory can guarantee beforehand is
    shorter by orders of magnitude.
    """
    step = longest = objective.longest_step(start)
    for _ in range(MAX_HALVINGS):
        try:
            path = _follow(objective, method, start, step, iterations, monotone=True)
        except UnstablePolicyError as error:
            # Each task has its own descent, or all have one together.
            too_long = np.isin(np.arange(step.size), error.task_indices) | (step.size == 1)
        else:
            too_long = step * path.curvature > 1.0
        if not too_long.any():
            return step, path
        step = np.where(too_long, 0.5 * step, step)
    raise StepSizeError(
        f"no step among {MAX_HALVINGS} halvings of {longest.tolist()} gives a sufficient decrease at every "
        "iteration: the start lies too close to instability; start from another gain, or give the step"
    )


def _size(gains: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(gains, axis=(1, 2)))

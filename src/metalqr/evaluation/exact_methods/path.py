"""Descent with a constant step: the path, and the longest step whose path falls as fast as its gradient promises."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from metalqr.lqr import FloatArray, PolicyEvaluation, UnstablePolicyError
from metalqr.simulation.streams import Stream
from metalqr.training.history import History, Status
from metalqr.training.loop import run
from metalqr.training.method import Method
from metalqr.training.observers import Observer

#: Halvings of the step after which the search gives up.
MOST_HALVINGS = 100
#: A change of the gain by less than this part of it is rounding.
SMALLEST_CHANGE = 1e-13


class StepSizeError(ArithmeticError):
    """No step was found whose path falls as fast as its gradient promises; the message says what was tried."""


@dataclass(frozen=True, eq=False)
class Point:
    """What is known at gains K, one for each of n descents that run side by side.

    Attributes
    ----------
    K : array, shape (n, k, d)
    gap : array, shape (n,)
        The objective less its optimum.
    direction : array, shape (n, k, d)
        The descent goes on to K - step * direction.
    slope : array, shape (n,)
        Inner product of gradient and direction: how fast the objective falls along it.
    adaptation : array, shape (I, k, d)
        The objective is made of the costs of K - adaptation; zero without adaptation.
    evaluation : PolicyEvaluation
        Of K - adaptation.
    """

    K: FloatArray
    gap: FloatArray
    direction: FloatArray
    slope: FloatArray
    adaptation: FloatArray
    evaluation: PolicyEvaluation


class Landscape(Protocol):
    """An objective with a direction of descent at every gain; n of them, which do not know of one another."""

    #: Changes of the objective by this and less are rounding, shape (n,).
    resolution: FloatArray

    def at(self, K: FloatArray, name: str) -> Point:
        """Evaluate gains, shape (n, k, d); ``name`` is what the error calls one that does not stabilise its tasks."""

    def fall(self, here: Point, there: Point) -> FloatArray:
        """Objective here less the objective there, shape (n,)."""

    def descents_of(self, tasks: Sequence[int]) -> list[int]:
        """Which of the n objectives these tasks belong to."""


@dataclass(frozen=True, eq=False)
class Path:
    r"""A descent with a constant step; iteration 0 is the start.

    Attributes
    ----------
    K : array, shape (N + 1, n, k, d)
    gap : array, shape (N + 1, n)
    curvature : array, shape (n,)
        The largest curvature met on the way: the least :math:`h \ge 0` with which every step
        :math:`K_{n+1} = K_n - \eta D_n` obeys

        .. math:: f(K_{n+1}) \le f(K_n) - \eta \langle \nabla f(K_n), D_n \rangle (1 - \tfrac{1}{2} \eta h) .

        For gradient descent on an h-smooth f this is the descent lemma. Here h is measured, on this path and no other;
        steps that are lost in rounding do not count.
    """

    K: FloatArray
    gap: FloatArray
    curvature: FloatArray


def follow(
    landscape: Landscape, method: Method, start: Point, step: FloatArray, iterations: int, *, sure: bool = False
) -> Path:
    """Go ``iterations`` steps; with ``sure``, only until one that :func:`longest_sure_step` would refuse.

    Raises
    ------
    UnstablePolicyError
        If a step leaves the stabilising set.
    """
    watcher = _Watcher(landscape, start, step, sure)
    method.learning_rate = step[:, np.newaxis, np.newaxis] if method.gain_per_task else step[0]
    history = run(method, Stream(0), iterations, [watcher])
    if history.status is Status.DIVERGED:  # the watcher has seen every gain that is finite
        name = f"the gain of iteration {history.status_iteration + 1}"
        raise UnstablePolicyError(range(method.tasks.count), [np.inf] * method.tasks.count, name)
    # A gradient of zero ends a run: all further gains are the last one.
    missing = iterations - history.status_iteration if history.status is Status.TOLERANCE else 0
    points = watcher.points + watcher.points[-1:] * missing
    return Path(
        K=np.stack([point.K for point in points]),
        gap=np.stack([point.gap for point in points]),
        curvature=watcher.curvature,
    )


class _Watcher(Observer):
    """Evaluates the gains of a descent as it goes, and measures its curvature."""

    def __init__(self, landscape: Landscape, start: Point, step: FloatArray, sure: bool) -> None:
        self._landscape, self._step, self._sure = landscape, step, sure
        self.points = [start]
        self.curvature = np.zeros_like(step)

    def reached(self, iteration: int, K: FloatArray, cost: FloatArray) -> None:
        if iteration == 0:
            return
        here = self.points[-1]
        there = self._landscape.at(K.reshape(here.K.shape), f"the gain of iteration {iteration}")
        promised = self._step * here.slope
        with np.errstate(over="ignore"):
            change = self._step[:, np.newaxis, np.newaxis] * here.direction
        counts = (promised > self._landscape.resolution) & (_size(change) > SMALLEST_CHANGE * _size(here.K))
        kept = np.divide(self._landscape.fall(here, there), promised, where=counts, out=np.ones_like(promised))
        self.curvature = np.maximum(self.curvature, 2.0 * (1.0 - kept) / self._step)
        self.points.append(there)

    def stops(self, state: Callable[[], History]) -> bool:
        return self._sure and bool(np.any(self._step * self.curvature > 1.0))


def longest_sure_step(
    landscape: Landscape, method: Method, start: Point, longest: FloatArray, iterations: int
) -> tuple[FloatArray, Path]:
    r"""Find the longest step of ``longest``, ``longest / 2``, ``longest / 4``, ... whose path is a sure descent.

    That is, at every step

    .. math:: f(K_n) - f(K_{n+1}) \ge \tfrac{1}{2} \eta \langle \nabla f(K_n), D_n \rangle ,

    or :math:`\eta h \le 1` with the curvature h of :class:`Path`. A step that theory can guarantee beforehand is
    shorter by orders of magnitude; this one is tried, and the guarantee checked, afterwards.

    Returns
    -------
    step : array, shape (n,)
    path : Path
        With this step.

    Raises
    ------
    StepSizeError
        If there is none among the first hundred.
    """
    step = longest
    for _ in range(MOST_HALVINGS):
        try:
            path = follow(landscape, method, start, step, iterations, sure=True)
        except UnstablePolicyError as error:
            too_long = np.isin(np.arange(step.size), landscape.descents_of(error.task_indices))
        else:
            too_long = step * path.curvature > 1.0
        if not too_long.any():
            return step, path
        step = np.where(too_long, 0.5 * step, step)
    raise StepSizeError(
        f"no step among {MOST_HALVINGS} halvings of {longest.tolist()} makes the objective fall as fast as its "
        "gradient promises: the start lies too close to instability; start from another gain, or give the step"
    )


def _size(gains: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(gains, axis=(1, 2)))

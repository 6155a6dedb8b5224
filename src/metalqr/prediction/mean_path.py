"""The mean path of a training run and the covariance around it, from point to point."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metalqr import lqr
from metalqr.lqr import FloatArray
from metalqr.prediction.inner_noise import InnerNoise
from metalqr.prediction.noise import DirectionNoise, Noise
from metalqr.prediction.objective import Objective
from metalqr.prediction.recursion import Recursion, Sums, entering, moved, turned

#: Points of the path at which derivatives and noise are computed, of a stage.
MAX_POINTS = 40


class Stage(NamedTuple):
    """Iterations that follow one objective: the warm-up, or what comes after it."""

    first: int
    last: int
    objective: Objective
    noise: DirectionNoise
    inner: InnerNoise | None

    def at(self, K: FloatArray, before: FloatArray | None, rate: float) -> "Local":
        """The quantities of the path at a gain, from which a step is made; the gain before is None for the first."""
        noise = self.noise.at(K, before, rate)
        curvature, remainder = self.objective.hessian(K), self.objective.remainder(K)
        if self.inner is not None:
            if noise.bias is None:
                remainder = remainder + self.inner.gradient(K)
            curvature = curvature + self.inner.hessian(K)
        if noise.bias is not None:
            remainder = remainder + noise.bias
        return Local(K, curvature, noise, remainder)

    def points(self, and_at: int) -> list[int]:
        """Iterations at which to compute them: ever farther apart from the start, and a given one."""
        length = self.last - self.first
        if length == 0:
            return [self.first]
        steps = np.unique(np.geomspace(1, length, MAX_POINTS).round().astype(int))
        found = {self.first, *(self.first + steps).tolist()}
        return sorted(found | {and_at} if self.first < and_at < self.last else found)


class Local(NamedTuple):
    """Quantities at a gain of the path (k, d)."""

    K: FloatArray
    curvature: FloatArray  # Hessian of F, (n, n)
    noise: Noise
    remainder: FloatArray  # of the gradient of F, (k, d)


@dataclass(frozen=True, eq=False)
class Point:
    """A place on the path where everything is known.

    Attributes
    ----------
    K : array, shape (k, d)
    covariance : array, shape (n, n)
        S.
    shift : array, shape (k, d)
        What the fluctuations have done to the mean so far.
    radius : float
        Spectral radius of a step of the fluctuations from here.
    growth : float
        Largest variance of a direction, by that of a walk with the same noise whose steps lead back nowhere: above 1
        steps have overshot.
    state : array, shape (m, m)
        Covariance of the gain, and with momentum of the velocity: S and more.
    memory : array, shape (m, m)
        What becomes of the fluctuations at the last point until here.
    leaving : float
        Share of the steps from here that leave the stabilising set by the noise of one direction, where it is measured.
    """

    iteration: int
    K: FloatArray
    covariance: FloatArray
    shift: FloatArray
    radius: float
    growth: float
    state: FloatArray
    memory: FloatArray
    leaving: float
    noise_kind: str


class MeanPath:
    r"""The recursion of mean and covariance.

    .. math::

        \bar K_{t+1} &= \bar K_t - \alpha_t \left( \nabla F(\bar K_t) + \tfrac12 \nabla^3 F(\bar K_t)[S_t] \right), \\
        S_{t+1} &= (I - \alpha_t H) S_t (I - \alpha_t H)^\top + \alpha_t^2 C

    and likewise with momentum and for the sum of the gains that are averaged. The gradient is that of every iteration.
    Between two points H is its mean and C is interpolated; what :meth:`Objective.followed` leaves out of
    the gradient is interpolated too: kept at first, then corrected by the linear response.

    Parameters
    ----------
    recursion : Recursion
    rate : callable
        The learning rate of an iteration.
    first_averaged : int
        The first gain of the average; beyond the last one if there is none.
    corrects : bool
        With the third derivative in the mean path.
    ratio_curvature : callable
        From a gain to the Hessian (n, n) whose product with S is followed.

    Attributes
    ----------
    gains : list of array, shape (k, d)
        The mean gain of every iteration.
    excess : list of float
        Half of the product of S and the curvature of the ratio.
    state : array, shape (q, q, n, n)
        The covariance of the state of the recursion at the end, in the basis of the entries.
    left_at : int or None
        Iteration at which the mean path leaves the stabilising set.
    """

    def __init__(
        self,
        recursion: Recursion,
        rate: Callable[[int], float],
        first_averaged: int,
        corrects: bool,
        ratio_curvature: Callable[[FloatArray], FloatArray],
    ) -> None:
        self._recursion, self._rate, self._first_averaged = recursion, rate, first_averaged
        self._ratio_curvature, self.corrects = ratio_curvature, corrects
        self.gains: list[FloatArray] = []
        self.excess: list[float] = []
        self.left_at: int | None = None

    def run(self, stages: list[Stage], K0: FloatArray) -> Iterator[Point]:
        """All points, the first gain included; it ends early where the mean path is unstable."""
        order, size = self._recursion.order, K0.size
        self.gains, self.excess = [K0], [0.0]
        self.state = np.zeros((order, order, size, size))
        self._velocity, self._shift = np.zeros_like(K0), np.zeros((order, size))
        self._walk = np.zeros((size, size))
        for stage in stages:
            points = stage.points(self._first_averaged)
            before = self.gains[-2] if len(self.gains) > 1 else None
            here = stage.at(self.gains[-1], before, self._rate(stage.first))
            pull, curved = self._pull(stage, here.K, self.state), self._ratio_curvature(here.K)
            self._memory = np.eye(K0.size * self._recursion.moving)
            yield self._point(stage.first, here)
            queue = points[:0:-1]
            while queue:
                if here.noise.leaving == 1.0:
                    self.left_at = len(self.gains)
                    return
                end = queue[-1]
                found = self._interval(stage, end, here, pull, curved)
                if found is None:
                    start = len(self.gains) - 1
                    if end == start + 1:
                        self.left_at = end
                        return
                    queue.append(start + (end - start) // 2)
                    continue
                queue.pop()
                here, pull, curved = found
                yield self._point(end, here)

    def _interval(
        self, stage: Stage, end: int, here: Local, pull: FloatArray, curved: FloatArray
    ) -> tuple[Local, FloatArray, FloatArray] | None:
        """Advance to an iteration, and what is known there; None if the mean path becomes unstable before."""
        start = len(self.gains) - 1
        steps = end - start
        gains, velocity = self._followed(stage, steps, here.remainder + pull)
        if not (np.isfinite(gains[-1]).all() and lqr.is_stabilising(stage.objective.tasks, gains[-1]).all()):
            return None
        there = stage.at(gains[-1], gains[-2], self._rate(end))
        curved_there = self._ratio_curvature(there.K)
        # The mean of what is linear between the ends, over the gains from which steps are made.
        curvature = _between(here.curvature, there.curvature, 0.5 * (steps - 1) / steps)
        values, basis = np.linalg.eigh(curvature)
        noises = [turned(basis, each.noise.covariance) for each in (here, there)]
        curves = [turned(basis, each) for each in (curved, curved_there)]
        state, walk = turned(basis, self.state), turned(basis, self._walk)
        transitions, excess = [], []
        # At the edge of the stabilising set curvatures are absurd; an overflow shows in the state.
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                T, b = self._recursion.transition(values, self._rate(start + step), self._sums(start + step))
                transitions.append((T, b))
                noise = _between(noises[0], noises[1], step / steps)
                walk = walk + (b[0] / (1.0 - self._recursion.momentum)) ** 2 * noise
                state = moved(T, state) + entering(b, noise)
                excess.append(0.5 * float(np.vdot(_between(curves[0], curves[1], (step + 1) / steps), state[0, 0])))
        if not np.isfinite(state).all():
            return None
        state = turned(basis.T, state)
        pull_there = self._pull(stage, there.K, state)
        # The response of the path to the change of what was kept, and that of the shift to the pull.
        change = basis.T @ (there.remainder + pull_there - here.remainder - pull).ravel()
        pulls = [basis.T @ each.ravel() for each in (pull, pull_there)]
        response, shift = np.zeros_like(self._shift), self._shift @ basis
        for step, (T, b) in enumerate(transitions):
            response = _driven(T, b, response, step / steps * change)
            shift = _driven(T, b, shift, _between(pulls[0], pulls[1], step / steps))
            gains[step + 1] = gains[step + 1] + (basis @ response[0]).reshape(there.K.shape)
        if not (np.isfinite(gains[-1]).all() and lqr.is_stabilising(stage.objective.tasks, gains[-1]).all()):
            return None
        if self._recursion.momentum:
            velocity = velocity + (basis @ response[1]).reshape(velocity.shape)
        self._velocity, self._shift, self.state = velocity, shift @ basis.T, state
        self._walk = turned(basis.T, walk)
        self._memory = self._recursion.memory([T for T, _ in transitions], basis)
        self.gains += gains[1:]
        self.excess += excess
        return there._replace(K=gains[-1]), pull_there, curved_there

    def _followed(self, stage: Stage, steps: int, offset: FloatArray) -> tuple[list[FloatArray], FloatArray]:
        """The gains of some steps, the present one first, and the last velocity."""
        start, gains, velocity = len(self.gains) - 1, [self.gains[-1]], self._velocity
        for step in range(steps):
            if not np.isfinite(gains[-1]).all():
                gains.append(gains[-1])
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                velocity = self._recursion.momentum * velocity + stage.objective.followed(gains[-1]) + offset
                gains.append(gains[-1] - self._rate(start + step) * velocity)
        return gains, velocity

    def _pull(self, stage: Stage, K: FloatArray, state: FloatArray) -> FloatArray:
        return stage.objective.correction(K, state[0, 0]) if self.corrects else np.zeros_like(K)

    def _sums(self, iteration: int) -> Sums:
        """The sum after the step of an iteration."""
        reached = iteration + 1
        return Sums(float(reached > self._first_averaged), float(reached >= self._first_averaged))

    def _point(self, iteration: int, here: Local) -> Point:
        count = self._recursion.moving
        curvature: FloatArray = np.asarray(np.linalg.eigvalsh(here.curvature), dtype=np.float64)
        covariance = _symmetric(self.state[0, 0])
        return Point(
            iteration,
            here.K,
            covariance,
            self._shift[0].reshape(here.K.shape),
            radius=self._recursion.radius(curvature, self._rate(iteration)),
            growth=_growth(covariance, self._walk),
            state=_symmetric(np.block([[self.state[i, j] for j in range(count)] for i in range(count)])),
            memory=self._memory,
            leaving=here.noise.leaving,
            noise_kind=here.noise.kind,
        )


def _symmetric(matrix: FloatArray) -> FloatArray:
    return 0.5 * (matrix + matrix.T)


def _growth(covariance: FloatArray, walk: FloatArray) -> float:
    """The largest eigenvalue of one covariance relative to another; 0 before there is any noise."""
    scale = float(np.trace(walk))
    if not 0.0 < scale < np.inf:
        return 0.0
    # Directions without noise count as if they had a little.
    root = np.linalg.cholesky(_symmetric(walk) + 1e-9 * scale * np.eye(len(walk)))
    half = np.linalg.solve(root, covariance)
    return float(np.linalg.eigvalsh(_symmetric(np.linalg.solve(root, half.T))).max())


def _between(first: FloatArray, last: FloatArray, share: float) -> FloatArray:
    return (1.0 - share) * first + share * last


def _driven(T: FloatArray, b: FloatArray, state: FloatArray, force: FloatArray) -> FloatArray:
    """A step of the mean of the state (q, n), with a force (n,) in the gradient."""
    return np.asarray(np.einsum("abn,bn->an", T, state) + np.outer(b, force))

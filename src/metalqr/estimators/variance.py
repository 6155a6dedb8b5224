"""Covariance of one estimate: exact, to leading order in the smoothing radius, or measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.frames import orthonormal_frames
from metalqr.common.frozen import ReadOnlyArrays
from metalqr.common.validation import whole_number
from metalqr.config.algorithm import MetaSettings
from metalqr.config.registries import estimators
from metalqr.estimators.cubature import Cubature, regular_frames
from metalqr.estimators.estimator import Direction, Estimator, Memory
from metalqr.estimators.expansion import Expansion
from metalqr.estimators.meta import Estimation
from metalqr.estimators.neighbourhood import Around, Neighbourhood
from metalqr.lqr import FloatArray, LQRTasks, gains_per_task, tiled
from metalqr.simulation.streams import Stream, Use

N = TypeVar("N", bound=Neighbourhood)
#: Ways to compute a covariance; ``auto`` is the cheapest that is accurate.
How = Literal["auto", "leading", "second_order", "integrated", "measured"]
#: Random frames of perturbed gains, and estimates, if their number is not given.
FRAMES, ESTIMATES = 16, 10_000
#: Parts of the frames that the jackknife leaves out in turn.
MAX_PARTS = 50
#: Gains with so many entries are integrated over all perturbations without random numbers.
MAX_EXACT_SIZE = 2
#: Gains with at most so many entries are expanded to second order by default: it takes as many Hessian products.
MAX_SECOND_ORDER_SIZE = 16
#: The exact integral has converged when twice the nodes change no entry by more than this share of the largest.
_CONVERGED = 1e-12
#: Perturbed policies of one call that measures.
_POLICIES = 100_000


@dataclass(frozen=True)
class Covariance(ReadOnlyArrays):
    """Covariance of one estimate of every task's gradient.

    Attributes
    ----------
    matrix : array, shape (I, dk, dk)
        With the entries of a gain in the order of ``K.ravel()``.
    standard_error : array, shape (I, dk, dk)
        Of each entry; zero unless it is measured.
    kind : str
        "exact", "leading order in r", "second order in r" or "measured".
    """

    matrix: FloatArray
    standard_error: FloatArray
    kind: str


def covariance(
    tasks: LQRTasks,
    K: ArrayLike,
    settings: MetaSettings,
    *,
    how: How = "auto",
    repeats: int | None = None,
    seed: int = 0,
    before: ArrayLike | None = None,
) -> Covariance:
    r"""Covariance of the outer layer's estimate of every :math:`\nabla J_i(K)`, without adaptation.

    That is the estimate of the method ``mean_cost``, before the tasks are averaged: from ``perturbations`` (M)
    perturbations with ``estimator``, ``smoothing_radius`` (r) and ``rollout_length`` (:math:`\ell`) of the settings.
    For the inner layer, give its numbers as those of the outer one. With n = dk, and with J, V and g the mean, variance
    and gradient of the rollout's cost at K, the leading terms are

    .. math::

        \text{one\_point:} \quad & \frac{n (J^2 + V)}{r^2 M} I
        + \frac1M \left( \frac{n}{n+2} (\|g\|^2 I + 2 g g^\top) - g g^\top \right), \\
        \text{two\_point:} \quad & \frac{n V}{2 r^2 M} I
        + \frac1M \left( \frac{n}{n+2} (\|g\|^2 I + 2 g g^\top) - g g^\top \right),

    for independent uniform perturbations; of the terms that do not grow as r shrinks, ``leading`` leaves out those of
    the second derivatives of J and V, a share of :math:`O(r^2)`. ``docs/theory.md`` has the forms of the other
    estimators, and of other directions.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    settings : MetaSettings
    how : {"auto", "leading", "second_order", "integrated", "measured"}
        Way to compute it.

        - ``leading``: the closed form of the estimator, with J taken as linear around K and V as constant.
        - ``second_order``: the same with the second derivatives of J and V, up to :math:`O(r^2)`.
        - ``integrated``: exact moments of the costs of perturbed policies. For n <= 2 they are integrated over all
          perturbations, by a rule that is exact for polynomials as J and V are; otherwise averaged over ``repeats``
          random orthonormal frames, 2 n gains each, with a standard error by the jackknife. On every frame the mean of
          :math:`U U^\top` is exact, so that the term in :math:`1/r^2` has no error.
        - ``measured``: sample covariance of ``repeats`` simulated estimates.
        - ``auto``: ``integrated`` for n <= 2, ``second_order`` for n <= 16, otherwise ``leading``; ``measured`` if no
          formula is known.
    repeats : int, optional
        Random frames, by default 16, or estimates, by default 10^4; at least 2.
    seed : int
        Seed of frames and simulations, which share no random numbers with training.
    before : array_like, shape (k, d) or (I, k, d), optional
        Gain of the iteration before, for estimators with a memory. Default: ``K``.

    Returns
    -------
    Covariance
        Not finite where costs leave the range of double precision.

    Raises
    ------
    ValueError
        If a gain is impossible or ``how`` is unknown, or if the estimator states no formula and ``how`` needs one.

    Examples
    --------
    >>> import numpy as np
    >>> tasks = LQRTasks(A=[[[0.5]]], B=[[[1.0]]], Q=[[[1.0]]], R=[[[1.0]]], Psi=[[[1.0]]])
    >>> settings = MetaSettings(learning_rate=1.0e-3, adaptation_rate=0.0, estimator="two_point")
    >>> found = covariance(tasks, [[0.1]], settings)
    >>> found.kind, f"{found.matrix.item():.3f}"
    ('exact', '0.163')
    """
    if how not in get_args(How):
        raise ValueError(f"how: {how!r} is not one of {', '.join(get_args(How))}")
    gains = gains_per_task(tasks, K)
    old = None if before is None else gains_per_task(tasks, before, name="before")
    count = None if repeats is None else whole_number("repeats", repeats, 2)
    estimate = _Estimate(tasks, gains, old, settings)
    size = gains[0].size
    chosen = _cheapest(size) if how == "auto" else how
    # An overflow shows in the result.
    with np.errstate(over="ignore", invalid="ignore"):
        if chosen == "measured":
            found = None
        elif chosen == "integrated":
            found = estimate.exact() if size <= MAX_EXACT_SIZE else estimate.averaged(count or FRAMES, seed)
        else:
            found = estimate.expanded(curvature=chosen == "second_order")
        if found is None and how not in ("auto", "measured"):
            reason = f"no formula is known for the estimator {settings.estimator} with these settings"
            raise ValueError(f"how: {how!r} is impossible, as {reason}; choose 'measured'")
        return found or estimate.measured(count or ESTIMATES, seed)


def _cheapest(size: int) -> How:
    """The cheapest way that is accurate, for gains with so many entries."""
    if size <= MAX_EXACT_SIZE:
        return "integrated"
    return "second_order" if size <= MAX_SECOND_ORDER_SIZE else "leading"


class _Estimate:
    """The estimate whose covariance is sought, and each way to it; None where the estimator states no formula."""

    def __init__(self, tasks: LQRTasks, gains: FloatArray, before: FloatArray | None, settings: MetaSettings) -> None:
        self._tasks, self._gains, self._before, self._settings = tasks, gains, before, settings
        self._size = gains[0].size
        self._estimator: Estimator = estimators.get(settings.estimator)(settings)

    def expanded(self, curvature: bool) -> Covariance | None:
        """By derivatives at the gain."""
        near = self._near(lambda around: Expansion(around, curvature), 2)
        matrix = None if near is None else self._estimator.covariance(near)
        kind = "second order in r" if curvature else "leading order in r"
        return None if matrix is None else Covariance(matrix, np.zeros_like(matrix), kind)

    def exact(self) -> Covariance | None:
        """With ever more nodes until the integral stays, or the rule is exact for the degree of the polynomials."""
        # In the gain, J and the square root of V have the degree 2 l + 2, and products of two are integrated with UU'.
        nodes, enough = 4, self._settings.rollout_length + 3
        matrix = self._with_nodes(min(nodes, enough))
        while matrix is not None and nodes < enough:
            nodes, coarse = 2 * nodes, matrix
            matrix = self._with_nodes(min(nodes, enough))
            assert matrix is not None
            if not np.abs(matrix - coarse).max() > _CONVERGED * np.abs(matrix).max():
                break
        return None if matrix is None else Covariance(matrix, np.zeros_like(matrix), "exact")

    def averaged(self, count: int, seed: int) -> Covariance | None:
        """Over random frames."""
        frames = orthonormal_frames(count, self._size, self._size, seed)
        # In the length, the costs are smooth over the few radii that occur.
        near = self._near(lambda around: Cubature(around, frames), 8)
        matrix = None if near is None else self._estimator.covariance(near)
        if near is None or matrix is None:
            return None
        parts = min(count, MAX_PARTS)
        rests = np.stack([self._stated(near.without(part, parts)) for part in range(parts)])
        error = np.sqrt((parts - 1) * rests.var(axis=0))
        return Covariance(matrix, error, "measured")

    def measured(self, repeats: int, seed: int) -> Covariance:
        """By simulation, many estimates at once: each is of a copy of the tasks."""
        tasks, settings, size = self._tasks, self._settings, self._size
        policies = self._estimator.rollouts(settings.perturbations)
        copies = max(1, min(repeats, _POLICIES // (tasks.count * policies)))
        estimation, stream = Estimation(tiled(tasks, copies), settings), Stream(seed, 0, Use.COVARIANCE)
        every = np.arange(copies * tasks.count)

        def estimated(gains: FloatArray, iteration: int, memory: Memory) -> Direction:
            return estimation.task_gradients(np.tile(gains, (copies, 1, 1)), stream.at(iteration), every, memory)

        found = []
        for call in range(-(-repeats // copies)):
            estimate = estimated(self._gains if self._before is None else self._before, 2 * call, {})
            if estimate.memory:
                estimate = estimated(self._gains, 2 * call + 1, estimate.memory)
            elif self._before is not None:
                estimate = estimated(self._gains, 2 * call, {})
            found.append(estimate.gradient.reshape(copies, tasks.count, size))
        samples = np.concatenate(found)[:repeats].swapaxes(0, 1)
        samples = samples - samples.mean(axis=1, keepdims=True)
        matrix = samples.mT @ samples / (repeats - 1)
        squares = samples**2
        error = np.sqrt(np.maximum(squares.mT @ squares / repeats - matrix**2, 0.0) / repeats)
        return Covariance(matrix, error, "measured")

    def _with_nodes(self, nodes: int) -> FloatArray | None:
        frames = regular_frames(self._size, nodes)
        near = self._near(lambda around: Cubature(around, frames), nodes)
        return None if near is None else self._estimator.covariance(near)

    def _stated(self, near: Neighbourhood) -> FloatArray:
        found = self._estimator.covariance(near)
        assert found is not None
        return found

    def _near(self, make: Callable[[Around], N], nodes: int) -> N | None:
        """The costs around the gain, and those around the gain before; None if the perturbations are not known."""
        _, count, radius, _ = self._estimator.layer
        law = self._estimator.directions.law(radius, self._size, nodes)
        if law is None:
            return None
        around = Around(self._tasks, self._gains, self._settings.rollout_length, count, radius, law)
        near = make(around)
        near.before = near if self._before is None else make(around._replace(gains=self._before))
        return near

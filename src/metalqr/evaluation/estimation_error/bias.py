"""The bias of an estimate, without the noise of rollouts: that of smoothing and that of a finite length."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_jacobi

from metalqr import lqr
from metalqr.common.frames import orthonormal_frames
from metalqr.common.validation import positive
from metalqr.lqr import FloatArray, LQRTasks, UnstablePolicyError, common_gain
from metalqr.objectives import meta
from metalqr.optimal import destabilising_size

#: Minimum number of directions for the average over the ball where there is no closed form.
DIRECTIONS = 400
#: Maximum number of directions that are mutually orthonormal.
MAX_FRAME = 200
#: Dimension of the space of gains from which one length stands for all in the ball, where they are nearly equal.
_ONE_LENGTH_FROM = 64
#: Numbers that the recursions over a batch of gains may keep at once, and state matrices for each gain beside them.
_MAX_BATCH = 4_000_000
_COPIES = 30


class Bias(NamedTuple):
    """The norm of a bias for every target: the gradient of each task's cost, then the meta-gradient."""

    norm: FloatArray  # (I + 1,)
    standard_error: FloatArray  # (I + 1,), of the vector whose norm it is; 0 where it is exact


def exact_gradients(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, length: int | None = None) -> FloatArray:
    r"""The targets of both algorithms: :math:`\nabla J_i(K)` of every task, then :math:`\nabla L(K)`.

    Their shape is (I + 1, k, d). K has the shape (k, d), the adaptation rate is :math:`\eta`. With a length, all costs
    are those of rollouts of that many steps.

    Where K is not MAML-stabilising, so that without a length there is no meta-gradient, it is NaN.

    Raises
    ------
    UnstablePolicyError
        If, without a length, K does not stabilise every task.
    ValueError
        If an argument is impossible.
    """
    gain = common_gain(tasks, K)
    costs = lqr.gradient(tasks, gain) if length is None else lqr.finite_horizon_gradient(tasks, gain, length)
    try:
        parts = meta.task_gradients(tasks, gain, adaptation_rate, length)
    except UnstablePolicyError:
        parts = np.full_like(costs, np.nan)
    return np.concatenate([costs, np.tensordot(tasks.p, parts, axes=1)[np.newaxis]])


def horizon_bias(tasks: LQRTasks, K: ArrayLike, adaptation_rate: float, length: int) -> FloatArray:
    r"""Compute the bias of a finite rollout length exactly: the error of an estimate for r -> 0 and M -> infinity.

    .. math:: \|\nabla J_i^{(\ell)}(K) - \nabla J_i(K)\|_F, \qquad \|\nabla L^{(\ell)}(K) - \nabla L(K)\|_F,

    with :math:`L^{(\ell)}(K) = \sum_i p_i J_i^{(\ell)}(K - \eta \nabla J_i^{(\ell)}(K))`. A rollout forgets its start
    at a geometric rate, so that the bias of the average over its steps is proportional to :math:`1/\ell` (Lemma 14).
    Without process noise the cost is the sum over the steps, and its bias decays at that rate itself.

    Shape (I + 1,); arguments and errors as for :func:`exact_gradients`.
    """
    difference = exact_gradients(tasks, K, adaptation_rate, length) - exact_gradients(tasks, K, adaptation_rate)
    return _norms(difference)


def smoothing_bias(
    tasks: LQRTasks,
    K: ArrayLike,
    adaptation_rate: float,
    radius: float,
    seed: int,
    length: int | None = None,
) -> Bias:
    r"""Bias of the smoothing radius, alone or together with that of a finite rollout length.

    .. math:: \Bigl\| \frac{dk}{r^2} E[\bar F(K + U)\,U] - \nabla F(K) \Bigr\|_F
              = \| E[\nabla \bar F(K + V)] - \nabla F(K) \|_F,

    where U is uniform on the sphere of radius r, V in the ball, F is a task's cost or the meta-objective, and
    :math:`\bar F` is F itself, or with ``length`` that of finite rollouts. The term of first order in V averages out,
    so that the bias of smoothing alone is :math:`O(r^2)`; Lemma 6 bounds it by :math:`h_\text{grad} r`.

    For d = k = 1 it is :math:`(\bar F(K + r) - \bar F(K - r)) / 2r - F'(K)`, exactly. Otherwise the ball is averaged
    over pairs V and -V whose directions form random orthonormal frames. In a pair the term of first order is zero. In a
    frame of all directions the mean of the quadratic form :math:`\nabla^3 F(K)[V, V]` is its exact mean, a trace, so
    that what the seed decides, and with it the standard error, is of order :math:`r^4`; in more than 200 dimensions,
    where a frame holds but 200, of order :math:`r^2`. Over the length of V the mean is taken by Gauss' rule with three
    nodes, exact up to :math:`r^{10}`; in more than 64 dimensions with one, which takes the term in :math:`r^4` by
    :math:`4/(dk + 2)^2` of it too small. The frames depend on the seed alone, not on r.

    With ``length`` this is exactly the bias of Algorithm 1. For Algorithm 2 it leaves out how its inner estimate
    differs from the exact gradient it stands for: the smoothing of the inner gradient, of order :math:`\eta r^2`, and
    the effect of its noise through the curvature of the cost, of order :math:`\eta^2 / (M r^2)`.

    The bias is infinite where, without a length, some K + V is unstable and the smoothed cost therefore infinite: above
    the :func:`metalqr.optimal.destabilising_size` of a task. Where the response of a task peaks at a frequency between
    0 and :math:`\pi`, and for the adapted gains, it is also infinite below this, as far as the random frames find it.
    With a length, it is infinite where an unstable policy leaves the range of double precision.

    Raises
    ------
    UnstablePolicyError, ValueError
        As :func:`exact_gradients`, or if the radius is not a finite number > 0.
    """
    positive("radius", radius)
    gain = common_gain(tasks, K)
    target = exact_gradients(tasks, gain, adaptation_rate)
    with np.errstate(over="ignore", invalid="ignore"):
        if gain.size == 1:
            high, low = (_values(tasks, gain + step, adaptation_rate, length) for step in (radius, -radius))
            bias = (high - low).reshape(target.shape) / (2 * radius) - target
            return Bias(_norms(bias), np.zeros(len(target)))
        lengths, weights = _lengths_in_ball(gain.size)
        frames = _orthonormal_frames(gain.shape, seed)
        offsets = radius * lengths[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis] * frames
        pairs = np.stack([gain + offsets, gain - offsets])
        found = _gradients(tasks, pairs.reshape(-1, *gain.shape), adaptation_rate, length, gain)
        over_pairs_and_frames = found.reshape(*pairs.shape[:-2], *target.shape).mean(axis=(0, 3))
        terms = np.tensordot(weights, over_pairs_and_frames, axes=1) - target
        spread = np.sqrt(terms.var(axis=0, ddof=1).sum(axis=(1, 2)) / len(terms))
        norm = _norms(terms.mean(axis=0))
    if length is None:
        norm = np.where(_reaches_instability(tasks, gain, radius), np.inf, norm)
    return Bias(norm, np.where(np.isfinite(spread) & np.isfinite(norm), spread, np.inf))


def _reaches_instability(tasks: LQRTasks, gain: FloatArray, radius: float) -> NDArray[np.bool_]:
    """True where some gain in the ball is known not to stabilise: of each task, then of any, shape (I + 1,)."""
    unstable = radius > destabilising_size(tasks, gain)
    return np.append(unstable, unstable.any())


def _norms(vectors: FloatArray) -> FloatArray:
    """Frobenius norms; infinite where a value overflowed or does not exist."""
    norms = np.linalg.norm(vectors, axis=(-2, -1))
    return np.where(np.isfinite(norms), norms, np.inf)


def _orthonormal_frames(shape: tuple[int, ...], seed: int) -> FloatArray:
    """Random sets of orthonormal gains, shape (frames, directions, k, d)."""
    size = shape[0] * shape[1]
    directions = min(size, MAX_FRAME)
    # At least three, for a meaningful standard error.
    count = max(3, -(-DIRECTIONS // directions))
    return orthonormal_frames(count, directions, size, seed).reshape(count, directions, *shape)


def _lengths_in_ball(size: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of Gauss' rule for even functions of the length of a point that is uniform in the unit ball.

    The square s of the length has the density (n/2) s^(n/2 - 1) on (0, 1), a weight of Jacobi's.
    """
    nodes, weights = roots_jacobi(1 if size > _ONE_LENGTH_FROM else 3, 0.0, size / 2 - 1)
    return np.sqrt((1 + nodes) / 2), weights / weights.sum()


def _values(tasks: LQRTasks, gain: FloatArray, rate: float, length: int | None) -> FloatArray:
    """Cost of every task, then the meta-objective, shape (I + 1,)."""
    if length is None:
        return np.append(lqr.cost(tasks, gain), meta.objective(tasks, gain, rate))
    adapted = gain - rate * lqr.finite_horizon_gradient(tasks, gain, length)
    after = lqr.finite_horizon_cost(tasks, adapted, length) if np.isfinite(adapted).all() else np.inf
    return np.append(lqr.finite_horizon_cost(tasks, gain, length), (tasks.p * after).sum())


def _gradients(tasks: LQRTasks, gains: FloatArray, rate: float, length: int | None, centre: FloatArray) -> FloatArray:
    """The targets at many gains (n, k, d), shape (n, I + 1, k, d); NaN where one does not exist."""

    def cost_gradient(batch: LQRTasks, points: FloatArray) -> FloatArray:
        return lqr.gradient(batch, points) if length is None else lqr.finite_horizon_gradient(batch, points, length)

    def meta_gradient_part(batch: LQRTasks, points: FloatArray) -> FloatArray:
        return meta.task_gradients(batch, points, rate, length)

    numbers = tasks.count * tasks.state_dim**2 * (_COPIES + 2 * (length or 0))
    size = max(1, _MAX_BATCH // numbers)
    costs = _at_every_gain(cost_gradient, tasks, gains, centre, size)
    try:
        parts = _at_every_gain(meta_gradient_part, tasks, gains, centre, size)
    except UnstablePolicyError:  # the centre itself has no meta-gradient
        parts = np.full_like(costs, np.nan)
    return np.concatenate([costs, np.einsum("i,nikd->nkd", tasks.p, parts)[:, np.newaxis]], axis=1)


def _at_every_gain(
    function: Callable[[LQRTasks, FloatArray], FloatArray],
    tasks: LQRTasks,
    gains: FloatArray,
    centre: FloatArray,
    size: int,
) -> FloatArray:
    """The function (tasks, K) -> (I, k, d) at many gains (n, k, d), so many at once; shape (n, I, k, d)."""
    results = []
    for start in range(0, len(gains), size):
        chunk = gains[start : start + size]
        batch, points = lqr.tiled(tasks, len(chunk)), np.repeat(chunk, tasks.count, axis=0)
        values = lqr.where_stabilising(functools.partial(function, batch), points, centre)
        results.append(values.reshape(len(chunk), tasks.count, *centre.shape))
    return np.concatenate(results)

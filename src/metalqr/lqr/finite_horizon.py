"""Exact quantities of rollouts of finite length, in steps; unlike those of Section 3.1 they exist for every gain."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import whole_number
from metalqr.lqr.evaluation import input_slope, state_and_input_weight, weight_derivative
from metalqr.lqr.lyapunov import with_transposed
from metalqr.lqr.stability import closed_loop
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task


def finite_horizon_cost(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Expected cost of a rollout, exactly, shape (I,); it exists for every K, stable or not.

    .. math::

        J^{(\ell)}(K) = \frac{1}{\ell} \sum_{l=1}^{\ell} \mathrm{Tr}(S_K \Sigma_l), \qquad
        \Sigma_l = A_K \Sigma_{l-1} A_K^\top + \Psi,

    with :math:`\Sigma_0` the covariance of the initial state and :math:`S_K` of :func:`metalqr.lqr.cost`: the mean of
    the rollout cost of Algorithm 1. It is ``inf`` where an unstable policy leaves the range of double precision.

    With ``noise="initial_state"`` it is :math:`\mathrm{Tr}(P_\ell (\Sigma_0 + m m^\top))`, the sum over
    :math:`x_0, \ldots, x_{\ell-1}`, with :math:`P_\ell = \sum_{t<\ell} (A_K^\top)^t S_K A_K^t`. The derivatives below
    are those of this cost then.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        closed = closed_loop(tasks, gains)
        total = np.zeros_like(tasks.Sigma0)
        for covariance in itertools.islice(state_covariances(tasks, closed, length), 1, None):
            total = total + covariance
        costs = np.einsum("iab,iab->i", state_and_input_weight(tasks, gains), total) / divisor(tasks, length)
    # inf - inf inside an overflowing recursion gives nan; the value it stands for is beyond every double.
    return np.where(np.isnan(costs), np.inf, costs)


def finite_horizon_gradient(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Gradient of :func:`finite_horizon_cost`, exactly, shape (I, k, d); it exists for every K, stable or not.

    .. math::

        \nabla J^{(\ell)}(K) &= \frac2\ell \sum_{l=1}^{\ell} ((R K - S^\top) \Sigma_l - B^\top P_l A_K \Sigma_{l-1}), \\
        P_l &= S_K + A_K^\top P_{l+1} A_K, \qquad P_{\ell+1} = 0 .

    The covariances run forward as in :func:`finite_horizon_cost`, the costs-to-go :math:`P_l` backward. For
    :math:`\ell \to \infty` it tends to :func:`metalqr.lqr.gradient` where K is stabilising. It is not finite where an
    unstable policy leaves the range of double precision.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        covariances = list(state_covariances(tasks, closed_loop(tasks, gains), length))
        return 2.0 / divisor(tasks, length) * half_gradient(tasks, gains, covariances)


def finite_horizon_hessian_vector_product(tasks: LQRTasks, K: ArrayLike, X: ArrayLike, length: int) -> FloatArray:
    r"""Hessian of :func:`finite_horizon_cost` as a linear operator on gains, applied to X, shape (I, k, d).

    It is the derivative of :func:`finite_horizon_gradient` in the direction X, both recursions differentiated term by
    term. Unlike equation (3) of the paper it is self-adjoint. It is not finite where the gradient is not.
    """
    length = whole_number("length", length)
    gains, direction = gains_per_task(tasks, K), gains_per_task(tasks, X, name="X")
    with np.errstate(over="ignore", invalid="ignore"):
        closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
        closed_change, weight_change = -tasks.B @ direction, weight_derivative(tasks, gains, direction)
        covariances = list(state_covariances(tasks, closed, length))
        changes = [np.zeros_like(weight)]
        for covariance in covariances[:-1]:
            step = with_transposed(closed_change @ covariance @ closed.mT)
            changes.append(closed @ changes[-1] @ closed.mT + step)
        value, value_change, cross_change = (np.zeros_like(weight) for _ in range(3))
        for covariance, change in zip(reversed(covariances[:-1]), reversed(changes[:-1]), strict=True):
            step = with_transposed(closed_change.mT @ value @ closed)
            value_change = weight_change + closed.mT @ value_change @ closed + step
            value = weight + closed.mT @ value @ closed
            moved = closed_change @ covariance + closed @ change
            cross_change = cross_change + value_change @ closed @ covariance + value @ moved
        state_part = tasks.R @ (direction @ sum(covariances[1:]) + gains @ sum(changes[1:]))
        if tasks.has_cross_terms:
            state_part = state_part - tasks.S.mT @ sum(changes[1:])
        return 2.0 / divisor(tasks, length) * (state_part - tasks.B.mT @ cross_change)


def half_gradient(tasks: LQRTasks, gains: FloatArray, covariances: list[FloatArray]) -> FloatArray:
    """Half of the gradient of the sum of Tr(S_K Σ) over the covariances from step 1 on, shape (I, k, d)."""
    closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
    value, cross = np.zeros_like(weight), np.zeros_like(weight)
    for covariance in reversed(covariances[:-1]):
        value = weight + closed.mT @ value @ closed
        cross = cross + value @ closed @ covariance
    return input_slope(tasks, gains) @ sum(covariances[1:]) - tasks.B.mT @ cross


def state_covariances(tasks: LQRTasks, closed: FloatArray, length: int) -> Iterator[FloatArray]:
    """Second moments of the states at steps 0 to l, of which those from 1 on have a cost, each of shape (I, d, d)."""
    if tasks.noise == "process":
        return recursion(closed, tasks.Sigma0, itertools.repeat(tasks.Psi, length))
    return after_nothing(closed, tasks.excitation, length)


def after_nothing(closed: FloatArray, excitation: FloatArray, length: int) -> Iterator[FloatArray]:
    """The same where the first state is that of step 1, and no noise follows."""
    nothing = np.zeros_like(excitation)
    return recursion(closed, nothing, itertools.chain([excitation], itertools.repeat(nothing, length - 1)))


def recursion(closed: FloatArray, covariance: FloatArray, noises: Iterable[FloatArray]) -> Iterator[FloatArray]:
    """A covariance, and those that follow as noise is added step by step."""
    return itertools.accumulate(noises, lambda before, noise: closed @ before @ closed.mT + noise, initial=covariance)


def divisor(tasks: LQRTasks, length: int) -> int:
    """The number by which the sum of a rollout's costs is divided."""
    return length if tasks.noise == "process" else 1

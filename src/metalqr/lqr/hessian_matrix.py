"""Hessians as matrices, for all directions at once: of the average cost, and of rollouts of finite length."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import whole_number
from metalqr.lqr.evaluation import evaluate, input_slope, state_and_input_weight
from metalqr.lqr.finite_horizon import divisor, state_covariances
from metalqr.lqr.lyapunov import with_transposed
from metalqr.lqr.stability import closed_loop
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task


def hessian_matrix(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Matrix of :func:`metalqr.lqr.hessian_vector_product`, shape (I, dk, dk), entries in the order of ``K.ravel()``.

    .. math:: \nabla^2 J(K) = 2 (R + B^\top P_K B) \otimes \Sigma_K + 2 (N + N^\top), \qquad N[X] = E_K \Sigma'_X,

    with :math:`\Sigma'_X` the derivative of :math:`\Sigma_K` in the direction X: of the two terms with a derivative,
    one is the adjoint of the other.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    """
    evaluation = evaluate(tasks, K)
    source = _source(tasks, evaluation.closed_loop, evaluation.state_covariance)
    change = evaluation.lyapunov.solve(np.moveaxis(source, -1, 0))  # (n, I, d, d)
    cross = np.moveaxis(evaluation.advantage @ change, 0, -1)
    return 2.0 * (_kronecker(evaluation.input_curvature, evaluation.state_covariance) + _symmetrised(cross))


def finite_horizon_hessian_matrix(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Matrix of :func:`finite_horizon_hessian_vector_product`, shape (I, dk, dk), in the order of ``K.ravel()``.

    .. math::

        \nabla^2 J^{(\ell)}(K) &= \frac2\ell \sum_{l=1}^{\ell}
        \left( R \otimes \Sigma_l + B^\top P_l B \otimes \Sigma_{l-1} \right) + \frac2\ell (N + N^\top), \\
        N[X] &= \sum_{l=1}^{\ell} E_l \Sigma'_{l, X}, \qquad
        E_l = R K - S^\top - B^\top P_{l+1} A_K,

    with the recursions of :func:`finite_horizon_gradient`, :math:`P_{\ell+1} = 0`, and :math:`\Sigma'_{l, X}` the
    derivative of :math:`\Sigma_l` in the direction X. The recursion of these for all X at once takes a few products of
    matrices a step, where as many products with vectors take dk times as many small ones.

    It exists for every K, and is not finite where an unstable policy leaves the range of double precision.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    count, dim, size = tasks.count, tasks.state_dim, gains[0].size
    with np.errstate(over="ignore", invalid="ignore"):
        closed, weight, slope = (
            closed_loop(tasks, gains),
            state_and_input_weight(tasks, gains),
            input_slope(tasks, gains),
        )
        covariances = list(state_covariances(tasks, closed, length))
        values = [np.zeros_like(weight)]  # P_{l+1}, P_l, ..., P_1
        for _ in range(length):
            values.append(weight + closed.mT @ values[-1] @ closed)
        values.reverse()
        total = _kronecker(tasks.R, np.asarray(sum(covariances[1:])))
        cross = np.zeros((count, tasks.action_dim, dim * size))
        change = np.zeros((count, dim, dim * size))
        for step, covariance in enumerate(covariances[:-1]):
            value, later = values[step], values[step + 1]
            total += _kronecker(tasks.B.mT @ value @ tasks.B, covariance)
            # F X F' of symmetric X is F (F X)'.
            half = (closed @ change).reshape(count, dim, dim, size).swapaxes(1, 2)
            change = closed @ half.reshape(count, dim, -1)
            change += _source(tasks, closed, covariance).reshape(count, dim, -1)
            cross += (slope - tasks.B.mT @ later @ closed) @ change
        return 2.0 / divisor(tasks, length) * (total + _symmetrised(cross.reshape(count, tasks.action_dim, dim, size)))


def _source(tasks: LQRTasks, closed: FloatArray, covariance: FloatArray) -> FloatArray:
    """-(B X Σ F' and its transpose), by which Σ' grows in a step, for the unit matrices X, shape (I, d, d, n)."""
    moved = covariance @ closed.mT
    source = -tasks.B[:, :, np.newaxis, :, np.newaxis] * moved.mT[:, np.newaxis, :, np.newaxis, :]
    source = source.reshape(*moved.shape, -1)
    return np.asarray(source + source.swapaxes(1, 2))


def _kronecker(left: FloatArray, right: FloatArray) -> FloatArray:
    """The matrices of X -> left X right, right symmetric, shape (I, n, n)."""
    size = left.shape[1] * right.shape[1]
    product = left[:, :, np.newaxis, :, np.newaxis] * right[:, np.newaxis, :, np.newaxis, :]
    return product.reshape(len(left), size, size)


def _symmetrised(images: FloatArray) -> FloatArray:
    """The matrix of a linear map and its transpose, from the images (I, k, d, n) of the unit matrices."""
    size = images.shape[-1]
    return with_transposed(images.reshape(len(images), size, size))

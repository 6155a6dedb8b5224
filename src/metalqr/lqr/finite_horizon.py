"""Exact quantities of a roll-out of finite length; unlike those of Section 3.1 they exist for every gain."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr.evaluation import closed_loop, gains_per_task, state_and_input_weight
from metalqr.lqr.tasks import FloatArray, LQRTasks


def finite_horizon_cost(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Compute the expected cost of a roll-out exactly; it exists for every K, stable or not.

    .. math::

        J^{(\ell)}(K) = \frac{1}{\ell} \sum_{l=1}^{\ell} \mathrm{Tr}((Q + K^\top R K) \Sigma_l), \qquad
        \Sigma_l = A_K \Sigma_{l-1} A_K^\top + \Psi,

    with :math:`\Sigma_0` the covariance of the initial state. This is the mean of the roll-out cost of Algorithm 1.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    length : int
        Roll-out length :math:`\ell \ge 1`, in steps.

    Returns
    -------
    array, shape (I,)
        ``inf`` where an unstable policy leaves the range of double precision.

    Raises
    ------
    ValueError
        If ``length`` is not a positive whole number, or K has another shape or is not finite.
    """
    _require_length(length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        closed = closed_loop(tasks, gains)
        covariance, total = tasks.Sigma0, np.zeros_like(tasks.Sigma0)
        for _ in range(length):
            covariance = closed @ covariance @ _t(closed) + tasks.Psi
            total = total + covariance
        costs = np.einsum("iab,iab->i", state_and_input_weight(tasks, gains), total) / length
    # inf - inf inside an overflowing recursion gives nan; the value it stands for is beyond every double.
    return np.where(np.isnan(costs), np.inf, costs)


def finite_horizon_gradient(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Gradient of :func:`finite_horizon_cost`, exactly; it exists for every K, stable or not.

    .. math::

        \nabla J^{(\ell)}(K) &= \frac2\ell \sum_{l=1}^{\ell} (R K \Sigma_l - B^\top P_l A_K \Sigma_{l-1}), \\
        P_l &= Q + K^\top R K + A_K^\top P_{l+1} A_K, \qquad P_{\ell+1} = 0 .

    The covariances run forward as in :func:`finite_horizon_cost`, the values of what is left of the roll-out backward.
    For :math:`\ell \to \infty` it tends to :func:`metalqr.lqr.gradient` where K is stabilising.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    length : int
        Roll-out length :math:`\ell \ge 1`, in steps.

    Returns
    -------
    array, shape (I, k, d)
        Not finite where an unstable policy leaves the range of double precision.

    Raises
    ------
    ValueError
        If ``length`` is not a positive whole number, or K has another shape or is not finite.
    """
    _require_length(length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
        covariances = _covariances(tasks, closed, length)
        value, cross = np.zeros_like(weight), np.zeros_like(weight)
        for covariance in reversed(covariances[:-1]):
            value = weight + _t(closed) @ value @ closed
            cross = cross + value @ closed @ covariance
        return 2.0 / length * (tasks.R @ gains @ sum(covariances[1:]) - _t(tasks.B) @ cross)


def finite_horizon_hessian_vector_product(tasks: LQRTasks, K: ArrayLike, X: ArrayLike, length: int) -> FloatArray:
    r"""Hessian of :func:`finite_horizon_cost` as a linear operator on gains, applied to X, exactly.

    It is the derivative of :func:`finite_horizon_gradient` in the direction X, both recursions differentiated term by
    term. Unlike equation (3) of the paper it is self-adjoint.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    X : array_like, shape (k, d) or (I, k, d)
        Direction, for all tasks or one per task.
    length : int
        Roll-out length :math:`\ell \ge 1`, in steps.

    Returns
    -------
    array, shape (I, k, d)
        Not finite where an unstable policy leaves the range of double precision.

    Raises
    ------
    ValueError
        If ``length`` is not a positive whole number, or K or X has another shape or is not finite.
    """
    _require_length(length)
    gains, direction = gains_per_task(tasks, K), gains_per_task(tasks, X, name="X")
    with np.errstate(over="ignore", invalid="ignore"):
        closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
        closed_change, weight_change = -tasks.B @ direction, _twice_symmetric(_t(direction) @ tasks.R @ gains)
        covariances = _covariances(tasks, closed, length)
        changes = [np.zeros_like(weight)]
        for covariance in covariances[:-1]:
            step = _twice_symmetric(closed_change @ covariance @ _t(closed))
            changes.append(closed @ changes[-1] @ _t(closed) + step)
        value, value_change, cross_change = (np.zeros_like(weight) for _ in range(3))
        for covariance, change in zip(reversed(covariances[:-1]), reversed(changes[:-1]), strict=True):
            step = _twice_symmetric(_t(closed_change) @ value @ closed)
            value_change = weight_change + _t(closed) @ value_change @ closed + step
            value = weight + _t(closed) @ value @ closed
            moved = closed_change @ covariance + closed @ change
            cross_change = cross_change + value_change @ closed @ covariance + value @ moved
        state_part = tasks.R @ (direction @ sum(covariances[1:]) + gains @ sum(changes[1:]))
        return 2.0 / length * (state_part - _t(tasks.B) @ cross_change)


def _covariances(tasks: LQRTasks, closed: FloatArray, length: int) -> list[FloatArray]:
    """The covariances of the states from the initial one on, each of shape (I, d, d)."""
    covariances = [tasks.Sigma0]
    for _ in range(length):
        covariances.append(closed @ covariances[-1] @ _t(closed) + tasks.Psi)
    return covariances


def _twice_symmetric(matrices: FloatArray) -> FloatArray:
    return matrices + _t(matrices)


def _t(matrices: FloatArray) -> FloatArray:
    return matrices.swapaxes(-1, -2)


def _require_length(length: Any) -> None:
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
        raise ValueError(f"length is {length!r}; give a whole number of steps >= 1")

r"""Second moments of rollouts without process noise, whose cost is a quadratic form of the initial state alone.

.. math:: f(K; x_0) = x_0^\top P_\ell x_0, \qquad P_\ell = \sum_{t=0}^{\ell-1} (A_K^\top)^t S_K A_K^t, \qquad
          x_0 \sim N(m, \Sigma_0) .

With :math:`W = \Sigma_0` the covariance of :math:`x_0^\top M x_0` and :math:`x_0^\top N x_0` is
:math:`2 \mathrm{Tr}(M W N W) + 4 m^\top M W N m` for symmetric M and N.
"""

import numpy as np

from metalqr.lqr.evaluation import state_and_input_weight, weight_derivative
from metalqr.lqr.lyapunov import with_transposed
from metalqr.lqr.stability import closed_loop
from metalqr.lqr.tasks import FloatArray, LQRTasks


def variance(tasks: LQRTasks, form: FloatArray) -> FloatArray:
    """Variance of x_0'M x_0 for the M of every task, shape (I,)."""
    product = form @ tasks.Sigma0
    mean = tasks.initial_mean
    variances = 2.0 * np.einsum("iab,iba->i", product, product)
    variances = variances + 4.0 * np.einsum("ia,iab,ibc,ic->i", mean, product, form, mean)
    return np.where(np.isnan(variances), np.inf, variances)


def cost_to_go(tasks: LQRTasks, gains: FloatArray, length: int) -> FloatArray:
    """P_l, shape (I, d, d)."""
    closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
    value = np.zeros_like(weight)
    for _ in range(length):
        value = weight + closed.mT @ value @ closed
    return value


def variance_slope(tasks: LQRTasks, form: FloatArray) -> FloatArray:
    """Derivative of :func:`variance` by M, a symmetric matrix of every task, shape (I, d, d)."""
    outer = tasks.initial_mean[:, :, np.newaxis] * tasks.initial_mean[:, np.newaxis]
    spread = tasks.Sigma0 @ form
    return 4.0 * spread @ tasks.Sigma0 + 4.0 * with_transposed(spread @ outer)


def gradient_covariance(tasks: LQRTasks, gains: FloatArray, length: int) -> FloatArray:
    """Covariance of the gradient of one rollout's cost, shape (I, dk, dk): that of the forms of all directions."""
    closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
    shape = gains.shape[1:]
    forms = np.empty((np.prod(shape, dtype=int), *weight.shape))
    for place, unit in enumerate(np.eye(len(forms)).reshape(-1, *shape)):
        direction = np.broadcast_to(unit, gains.shape)
        closed_change, weight_change = -tasks.B @ direction, weight_derivative(tasks, gains, direction)
        value, change = np.zeros_like(weight), np.zeros_like(weight)
        for _ in range(length):
            change = weight_change + closed.mT @ change @ closed + with_transposed(closed_change.mT @ value @ closed)
            value = weight + closed.mT @ value @ closed
        forms[place] = change
    products = forms @ tasks.Sigma0
    moved = np.einsum("miab,ib->mia", forms, tasks.initial_mean)
    covariance = 2.0 * np.einsum("miab,niba->imn", products, products, optimize=True)
    return np.asarray(covariance + 4.0 * np.einsum("mia,iab,nib->imn", moved, tasks.Sigma0, moved, optimize=True))

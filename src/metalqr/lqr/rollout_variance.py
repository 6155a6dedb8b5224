"""Exact second moments of the cost of one rollout: its variance, and the covariance of its gradient.

The cost of a rollout is a quadratic form in Gaussian states, so these are fourth moments of Gaussians.
"""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from metalqr.common.validation import whole_number
from metalqr.lqr import initial_state
from metalqr.lqr.evaluation import input_slope, state_and_input_weight
from metalqr.lqr.finite_horizon import after_nothing, half_gradient, recursion, state_covariances
from metalqr.lqr.lyapunov import with_transposed
from metalqr.lqr.stability import closed_loop
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task


def rollout_variance(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Variance of the cost of one rollout, exactly, shape (I,); it exists for every K, stable or not.

    With :math:`S = S_K` of :func:`metalqr.lqr.cost`, the covariances :math:`\Sigma_m` of :func:`finite_horizon_cost`
    and the costs-to-go :math:`P_m = S + A_K^\top P_{m+1} A_K`, :math:`P_{\ell+1} = 0`,

    .. math:: V^{(\ell)}(K) = \frac{2}{\ell^2} \sum_{l,m=1}^{\ell} \mathrm{Tr}(S C_{lm} S C_{lm}^\top)
              = \frac{2}{\ell^2} \sum_{m=1}^{\ell} \mathrm{Tr}(S \Sigma_m (2 P_m - S) \Sigma_m) .

    The first form is the variance of a quadratic form in Gaussian states of covariances
    :math:`C_{lm} = E[x_l x_m^\top]`, which are :math:`A_K^{l-m} \Sigma_m` for :math:`l \ge m`. In it, the sum over
    :math:`l \ge m` of :math:`(A_K^{l-m})^\top S A_K^{l-m}` is :math:`P_m`; the terms with :math:`l < m` equal those
    with :math:`l > m`, and :math:`l = m` counts once. So there are O(l) matrix products in place of O(l^2).

    It is ``inf`` where an unstable policy leaves the range of double precision.

    With ``noise="initial_state"`` it is
    :math:`2 \mathrm{Tr}(P_\ell \Sigma_0 P_\ell \Sigma_0) + 4 m^\top P_\ell \Sigma_0 P_\ell m`.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        if tasks.noise == "initial_state":
            return initial_state.variance(tasks, initial_state.cost_to_go(tasks, gains, length))
        weight = state_and_input_weight(tasks, gains)
        return _variance(closed_loop(tasks, gains), weight, tasks.Sigma0, tasks.Psi, length)


def rollout_difference_variance(tasks: LQRTasks, K: ArrayLike, other: ArrayLike, length: int) -> FloatArray:
    r"""Variance of the difference of two rollouts' costs under the same noise, exactly, shape (I,).

    .. math:: \mathrm{Var}(f(K; \xi) - f(K'; \xi)), \qquad \xi = (x_0, w_1, \ldots, w_\ell)

    It is :func:`rollout_variance` of the system with the states of both, whose weight is the block-diagonal matrix of
    S and -S'. For K' near K the difference is small, and so is its variance: of order :math:`\|K - K'\|^2`. It is
    ``inf`` where an unstable policy leaves the range of double precision.
    """
    length = whole_number("length", length)
    first, second = gains_per_task(tasks, K), gains_per_task(tasks, other, name="other")
    with np.errstate(over="ignore", invalid="ignore"):
        if tasks.noise == "initial_state":
            form = initial_state.cost_to_go(tasks, first, length) - initial_state.cost_to_go(tasks, second, length)
            return initial_state.variance(tasks, form)
        closed = _block_diagonal(closed_loop(tasks, first), closed_loop(tasks, second))
        weight = _block_diagonal(state_and_input_weight(tasks, first), -state_and_input_weight(tasks, second))
        return _variance(closed, weight, np.tile(tasks.Sigma0, (1, 2, 2)), np.tile(tasks.Psi, (1, 2, 2)), length)


def rollout_variance_gradient(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Gradient of :func:`rollout_variance`, exactly, shape (I, k, d); it exists for every K, stable or not.

    Reverse differentiation of both recursions. With the derivatives of V by :math:`\Sigma_m` and :math:`P_m`,

    .. math::

        \Lambda_m &= \tfrac{2}{\ell^2} (S \Sigma_m D_m + D_m \Sigma_m S) + A_K^\top \Lambda_{m+1} A_K,
        \qquad D_m = 2 P_m - S, \quad \Lambda_{\ell+1} = 0, \\
        \Gamma_m &= \tfrac{4}{\ell^2} \Sigma_m S \Sigma_m + A_K \Gamma_{m-1} A_K^\top, \qquad \Gamma_0 = 0, \\
        \nabla V &= 2 (R K - S_\times^\top)
        \sum_m \left( \tfrac{2}{\ell^2} \Sigma_m (D_m - S) \Sigma_m + \Gamma_m \right)
        - 2 B^\top \sum_m (\Lambda_m A_K \Sigma_{m-1} + P_{m+1} A_K \Gamma_m),

    with the tasks' cross term :math:`S_\times`.

    It is not finite where an unstable policy leaves the range of double precision.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    with np.errstate(over="ignore", invalid="ignore"):
        if tasks.noise == "initial_state":
            # The variance depends on K through P alone, and the cost is Tr(P Σ): with its slope by P in place of Σ.
            slope = initial_state.variance_slope(tasks, initial_state.cost_to_go(tasks, gains, length))
            return 2.0 * half_gradient(tasks, gains, list(after_nothing(closed_loop(tasks, gains), slope, length)))
        closed, weight = closed_loop(tasks, gains), state_and_input_weight(tasks, gains)
        covariances = list(state_covariances(tasks, closed, length))
        values = _costs_to_go(closed, weight, length)
        scale = 2.0 / length**2
        slope = by_weight = by_closed = np.zeros_like(weight)
        for m in range(length, 0, -1):
            step = weight @ covariances[m] @ (2.0 * values[m] - weight)
            slope = scale * with_transposed(step) + closed.mT @ slope @ closed
            by_closed = by_closed + slope @ closed @ covariances[m - 1]
        slope = np.zeros_like(weight)
        for m in range(1, length + 1):
            slope = 2.0 * scale * covariances[m] @ weight @ covariances[m] + closed @ slope @ closed.mT
            change = covariances[m] @ (2.0 * values[m] - 2.0 * weight) @ covariances[m]
            by_weight = by_weight + scale * change + slope
            by_closed = by_closed + values[m + 1] @ closed @ slope
        return 2.0 * (input_slope(tasks, gains) @ by_weight - tasks.B.mT @ by_closed)


def rollout_gradient_covariance(tasks: LQRTasks, K: ArrayLike, length: int) -> FloatArray:
    r"""Covariance of the gradient of one rollout's cost at given noise, exactly, shape (I, dk, dk).

    The entries are in the order of ``K.ravel()``. With the costates :math:`\lambda_l = S x_l + A_K^\top \lambda_{l+1}`,
    :math:`\lambda_{\ell+1} = 0`, the gradient of :math:`f(K; \xi)` by K is

    .. math:: \frac2\ell \sum_{l=0}^{\ell} v_l x_l^\top, \qquad
              v_l = [l \ge 1] (R K - S_\times^\top) x_l - [l < \ell] B^\top \lambda_{l+1},

    whose mean is :func:`finite_horizon_gradient`. The states and the :math:`v_l` are jointly Gaussian with mean zero,
    so by Isserlis' theorem the covariance of :math:`v_l x_l^\top` and :math:`v_m x_m^\top` consists of
    :math:`E[v_l v_m^\top] \otimes E[x_l x_m^\top]` and the product with the partners exchanged. Memory is of order
    :math:`\ell^2 d^2`, for one task at a time.

    It is not finite where an unstable policy leaves the range of double precision.
    """
    length = whole_number("length", length)
    gains = gains_per_task(tasks, K)
    size = tasks.action_dim * tasks.state_dim
    with np.errstate(over="ignore", invalid="ignore"):
        if tasks.noise == "initial_state":
            return initial_state.gradient_covariance(tasks, gains, length)
        parts = zip(
            closed_loop(tasks, gains),
            state_and_input_weight(tasks, gains),
            input_slope(tasks, gains),
            tasks.B,
            tasks.Sigma0,
            tasks.Psi,
            strict=True,
        )
        found = [_gradient_covariance(length, *part) for part in parts]
    return 4.0 / length**2 * np.reshape(found, (tasks.count, size, size))


def _gradient_covariance(
    length: int,
    closed: FloatArray,
    weight: FloatArray,
    input_weight: FloatArray,
    B: FloatArray,
    initial: FloatArray,
    noise: FloatArray,
) -> FloatArray:
    """The sum over l and m of the covariance of v_l x_lᵀ and v_m x_mᵀ for one task, shape (k, d, k, d)."""
    dim, steps = len(closed), length + 1
    states = np.empty((steps, steps, dim, dim))  # E[x_l x_mᵀ]
    for m, covariance in enumerate(recursion(closed, initial, itertools.repeat(noise, length))):
        for later in range(m, steps):
            states[later, m], states[m, later] = covariance, covariance.T
            covariance = closed @ covariance
    # One row beyond the end, where the costate is zero.
    costate_state = np.zeros((steps + 1, steps, dim, dim))
    for step in range(length, 0, -1):
        costate_state[step] = weight @ states[step] + closed.T @ costate_state[step + 1]
    costates = np.zeros((steps + 1, steps + 1, dim, dim))
    for step in range(length, 0, -1):
        costates[1:, step] = costate_state[1:, step] @ weight + costates[1:, step + 1] @ closed
    # (RK - S') x_l is not part of the first step, and B' λ_{l+1} not of the last, where it is zero.
    own = np.zeros((steps, 1, 1, 1))
    own[1:] = 1.0
    own_in_second = own.reshape(1, steps, 1, 1)
    v_state = own * (input_weight @ states) - B.T @ costate_state[1:]
    v_costate = own * (input_weight @ costate_state[1:].swapaxes(0, 1).mT) - B.T @ costates[1:, 1:]
    v_v = own_in_second * (v_state @ input_weight.T) - v_costate @ B
    paired = np.einsum("lmab,lmcd->acbd", v_v, states, optimize=True)
    return paired + np.einsum("lmad,mlbc->acbd", v_state, v_state, optimize=True)


def _variance(
    closed: FloatArray, weight: FloatArray, initial: FloatArray, noise: FloatArray, length: int
) -> FloatArray:
    """The variance of the mean of x'Sx over the steps 1..l, for any symmetric S and semidefinite noise, shape (I,)."""
    values = _costs_to_go(closed, weight, length)
    covariance, total = initial, np.zeros(len(closed))
    for value in values[1:-1]:
        covariance = closed @ covariance @ closed.mT + noise
        total = total + np.einsum("iab,iba->i", weight @ covariance, (2.0 * value - weight) @ covariance)
    variances = 2.0 / length**2 * total
    # inf - inf inside an overflowing recursion gives nan; the value it stands for is beyond every double.
    return np.where(np.isnan(variances), np.inf, variances)


def _costs_to_go(closed: FloatArray, weight: FloatArray, length: int) -> list[FloatArray]:
    """P_0, which counts no cost at step 0 and is not used, then P_1, ..., P_l and P_{l+1} = 0."""
    values = [np.zeros_like(weight)]
    for _ in range(length):
        values.append(weight + closed.mT @ values[-1] @ closed)
    return [values[0], *reversed(values)]


def _block_diagonal(first: FloatArray, second: FloatArray) -> FloatArray:
    zero = np.zeros_like(first)
    return np.concatenate([np.concatenate([first, zero], axis=2), np.concatenate([zero, second], axis=2)], axis=1)

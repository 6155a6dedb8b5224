"""Exact quantities of a linear policy u = -K x on every task: Section 3.1 and Proposition 1 of the paper, corrected."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr.lyapunov import LyapunovSolver, with_transposed
from metalqr.lqr.stability import closed_loop, spectral_radii, stable_loop
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task, tiled


class PolicyEvaluation:
    r"""Everything exact about one stabilising gain per task, computed once and shared by cost, gradient and Hessian.

    With :math:`A_K = A - BK`,

    .. math::

        \Sigma_K &= \Psi + A_K \Sigma_K A_K^\top, \qquad P_K = S_K + A_K^\top P_K A_K, \\
        S_K &= Q + K^\top R K - S K - K^\top S^\top, \qquad E_K = (R + B^\top P_K B) K - B^\top P_K A - S^\top .

    Attributes
    ----------
    closed_loop, state_covariance, value_matrix : array, shape (I, d, d)
        :math:`A_K`, :math:`\Sigma_K`, :math:`P_K`.
    input_curvature : array, shape (I, k, k)
        :math:`R + B^\top P_K B`, positive definite.
    advantage : array, shape (I, k, d)
        :math:`E_K`; it vanishes exactly at the optimum of each task.
    lyapunov : LyapunovSolver
        Solves the Lyapunov equations of :math:`A_K` for further right-hand sides.

    Raises
    ------
    UnstablePolicyError
        If the gain does not stabilise every task.
    """

    def __init__(self, tasks: LQRTasks, K: ArrayLike, policy: str = "the gain") -> None:
        gains = gains_per_task(tasks, K)
        self._tasks = tasks
        self.closed_loop, self.lyapunov = stable_loop(tasks, gains, policy)
        self.state_covariance = self.lyapunov.solve(tasks.excitation)
        self.value_matrix = self.lyapunov.solve_adjoint(state_and_input_weight(tasks, gains))
        input_value = self.value_matrix @ tasks.B
        self.input_curvature = tasks.R + tasks.B.mT @ input_value
        # The same as (R + BᵀPB)K - BᵀPA - Sᵀ without the cancellation between its two large terms.
        self.advantage = input_slope(tasks, gains) - input_value.mT @ self.closed_loop

    def cost(self) -> FloatArray:
        r""":math:`J_i(K) = \mathrm{Tr}(P_K \Psi)`, shape (I,)."""
        return np.asarray(np.einsum("iab,iab->i", self.value_matrix, self._tasks.excitation))

    def gradient(self) -> FloatArray:
        r""":math:`\nabla J_i(K) = 2 E_K \Sigma_K`, shape (I, k, d)."""
        return 2.0 * self.advantage @ self.state_covariance

    def hessian_vector_product(self, X: ArrayLike) -> FloatArray:
        """Hessian operator applied to X, shape (I, k, d); see :func:`metalqr.lqr.hessian_vector_product`."""
        tasks, closed, covariance = self._tasks, self.closed_loop, self.state_covariance
        direction = gains_per_task(tasks, X, name="X")
        value_change = self.lyapunov.solve_adjoint(with_transposed(direction.mT @ self.advantage))
        covariance_source = closed @ covariance @ direction.mT @ tasks.B.mT
        covariance_change = self.lyapunov.solve(-with_transposed(covariance_source))
        return 2.0 * (
            (self.input_curvature @ direction - tasks.B.mT @ value_change @ closed) @ covariance
            + self.advantage @ covariance_change
        )


def evaluate(tasks: LQRTasks, K: ArrayLike) -> PolicyEvaluation:
    """Evaluate a stabilising gain once, for several of its exact quantities."""
    return PolicyEvaluation(tasks, K)


def cost(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Infinite-horizon average cost, shape (I,); :math:`+\infty` for the tasks that K does not stabilise.

    .. math:: J_i(K) = \mathrm{Tr}(S_K^i \Sigma_K^i) = \mathrm{Tr}(P_K^i \Psi_i), \qquad
              S_K = Q + K^\top R K - S K - K^\top S^\top .

    It does not depend on the initial state. Proposition 1 of the paper prints :math:`\mathrm{Tr}(P_K)`, which is right
    for :math:`\Psi = I` only. With ``noise="initial_state"`` it is the expected sum of all stage costs, and
    :attr:`LQRTasks.excitation` stands for :math:`\Psi`, here and in all that follows from it.
    """
    return _cost(tasks, K)


def costs(tasks: LQRTasks, gains: ArrayLike) -> FloatArray:
    """:func:`cost` at n gains at once, (n, k, d) or (n, I, k, d), shape (n, I): each as by itself, to the last bit."""
    found: FloatArray = np.asarray(gains, dtype=np.float64)
    if len(found) == 1:
        return _cost(tasks, found[0])[np.newaxis]
    each = found[:, np.newaxis] if found.ndim == 3 else found
    each = np.broadcast_to(each, (len(found), tasks.count, *found.shape[-2:]))
    return _cost(tiled(tasks, len(found)), each.reshape(-1, *found.shape[-2:]), len(found)).reshape(-1, tasks.count)


def _cost(tasks: LQRTasks, K: ArrayLike, groups: int = 1) -> FloatArray:
    gains = gains_per_task(tasks, K)
    closed = closed_loop(tasks, gains)
    stable = spectral_radii(closed) < 1.0
    # An unstable task gets a zero matrix in place of its own, so that it cannot overflow; its cost is set below.
    solver = LyapunovSolver(np.where(stable[:, np.newaxis, np.newaxis], closed, 0.0), groups)
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.einsum("iab,iab->i", state_and_input_weight(tasks, gains), solver.solve(tasks.excitation))
    return np.where(stable & solver.converged & np.isfinite(found), found, np.inf)


def gradient(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Policy gradient of every task (Proposition 1, equation (2)), shape (I, k, d).

    .. math:: \nabla J_i(K) = 2 E_K \Sigma_K, \qquad E_K = (R + B^\top P_K B) K - B^\top P_K A - S^\top .
    """
    return evaluate(tasks, K).gradient()


def hessian_vector_product(tasks: LQRTasks, K: ArrayLike, X: ArrayLike) -> FloatArray:
    r"""Hessian of the cost as a linear operator on gains, applied to X, shape (I, k, d).

    .. math::

        \nabla^2 J(K)[X] &= 2 (R + B^\top P_K B) X \Sigma_K - 2 B^\top P' A_K \Sigma_K + 2 E_K \Sigma', \\
        P' &= A_K^\top P' A_K + X^\top E_K + E_K^\top X, \\
        \Sigma' &= A_K \Sigma' A_K^\top - B X \Sigma_K A_K^\top - A_K \Sigma_K X^\top B^\top .

    The operator is self-adjoint. Equation (3) of the paper merges the last two terms into
    :math:`-4 B^\top P' A_K \Sigma_K`: the same quadratic form, but not the Hessian operator.
    """
    return evaluate(tasks, K).hessian_vector_product(X)


def state_covariance(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Stationary covariance of the state (equation (1)), shape (I, d, d).

    .. math:: \Sigma_K = \Psi + A_K \Sigma_K A_K^\top .

    In python-control this is ``dlyap(A - B @ K, Psi)``.
    """
    return stable_loop(tasks, K)[1].solve(tasks.excitation)


def value_matrix(tasks: LQRTasks, K: ArrayLike) -> FloatArray:
    r"""Cost-to-go matrix :math:`P_K = S_K + A_K^\top P_K A_K`, shape (I, d, d).

    It is that of the relative value function :math:`x^\top P_K x`; :math:`S_K` is that of :func:`cost`.
    """
    return evaluate(tasks, K).value_matrix


def state_and_input_weight(tasks: LQRTasks, gains: FloatArray) -> FloatArray:
    """S_K = Q + KᵀRK - SK - KᵀSᵀ, the weight of the state under u = -K x, shape (I, d, d)."""
    weight = tasks.Q + gains.mT @ tasks.R @ gains
    return weight - with_transposed(tasks.S @ gains) if tasks.has_cross_terms else weight


def input_slope(tasks: LQRTasks, gains: FloatArray) -> FloatArray:
    """RK - Sᵀ, half of the derivative of the stage cost by the input, shape (I, k, d)."""
    slope = tasks.R @ gains
    return slope - tasks.S.mT if tasks.has_cross_terms else slope


def weight_derivative(tasks: LQRTasks, gains: FloatArray, direction: FloatArray) -> FloatArray:
    """Xᵀ(RK - Sᵀ) and its transpose, the derivative of S_K in the direction X, shape (I, d, d)."""
    derivative = with_transposed(direction.mT @ tasks.R @ gains)
    return derivative - with_transposed(tasks.S @ direction) if tasks.has_cross_terms else derivative

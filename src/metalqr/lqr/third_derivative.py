"""The third derivative of the cost: how the Hessian operator changes with the gain."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr.evaluation import PolicyEvaluation, evaluate, gains_per_task
from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.tasks import FloatArray, LQRTasks


def third_derivative(tasks: LQRTasks, K: ArrayLike, X: ArrayLike, Y: ArrayLike) -> FloatArray:
    r"""Derivative in the direction X of the Hessian operator of the cost, applied to Y; symmetric in X and Y.

    With :math:`H = R + B^\top P B`, and for each direction Z the first derivatives :math:`P_Z, \Sigma_Z` of
    :math:`P_K, \Sigma_K` (those of :func:`hessian_vector_product`) and :math:`E_Z = H Z - B^\top P_Z A_K`,

    .. math::

        \mathrm{D}^3 J(K)[X, Y] &= 2 \left( E_{XY} \Sigma_K + E_X \Sigma_Y + E_Y \Sigma_X + E_K \Sigma_{XY} \right), \\
        E_{XY} &= B^\top P_X B Y + B^\top P_Y B X - B^\top P_{XY} A_K, \\
        P_{XY} &= A_K^\top P_{XY} A_K + S + S^\top, \quad S = X^\top E_Y + Y^\top E_X
        - X^\top (R + B^\top P B) Y, \\
        \Sigma_{XY} &= A_K \Sigma_{XY} A_K^\top + T + T^\top, \quad T = B X \Sigma_K Y^\top B^\top
        - (B X \Sigma_Y + B Y \Sigma_X) A_K^\top .

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    X, Y : array_like, shape (k, d) or (I, k, d)
        Directions, for all tasks or one per task.

    Returns
    -------
    array, shape (I, k, d)

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K, X or Y has another shape, or holds something that is not finite.

    Notes
    -----
    Derived here, by differentiating :func:`hessian_vector_product` once more; the paper has no third derivative.
    """
    return HessianDerivative(tasks, evaluate(tasks, K), Y)(X)


class HessianDerivative:
    """:func:`third_derivative` at one gain and with one Y, for many X: what depends on Y alone is computed once.

    Parameters
    ----------
    tasks : LQRTasks
    evaluation : PolicyEvaluation
        Of a gain that stabilises every task.
    Y : array_like, shape (k, d) or (I, k, d)
    """

    def __init__(self, tasks: LQRTasks, evaluation: PolicyEvaluation, Y: ArrayLike) -> None:
        self._tasks, self._evaluation = tasks, evaluation
        self._solver = LyapunovSolver(evaluation.closed_loop)
        self._Y = gains_per_task(tasks, Y, name="Y")
        self._P_Y, self._Sigma_Y, self._E_Y = self._first(self._Y)

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Derivative in the direction X of the Hessian operator applied to Y, shape (I, k, d)."""
        tasks, evaluation, Y = self._tasks, self._evaluation, self._Y
        B, F, covariance = tasks.B, evaluation.closed_loop, evaluation.state_covariance
        X = gains_per_task(tasks, X, name="X")
        P_X, Sigma_X, E_X = self._first(X)
        P_XY = self._solver.solve_adjoint(
            _with_transposed(_t(X) @ self._E_Y + _t(Y) @ E_X - _t(X) @ evaluation.input_curvature @ Y)
        )
        BX, BY = B @ X, B @ Y
        Sigma_XY = self._solver.solve(
            _with_transposed(BX @ covariance @ _t(BY) - (BX @ self._Sigma_Y + BY @ Sigma_X) @ _t(F))
        )
        E_XY = _t(B) @ (P_X @ BY + self._P_Y @ BX - P_XY @ F)
        return 2.0 * (E_XY @ covariance + E_X @ self._Sigma_Y + self._E_Y @ Sigma_X + evaluation.advantage @ Sigma_XY)

    def _first(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """First derivatives of P, Σ and E in the direction Z of shape (I, k, d)."""
        evaluation, B = self._evaluation, self._tasks.B
        P_Z = self._solver.solve_adjoint(_with_transposed(_t(Z) @ evaluation.advantage))
        source = B @ Z @ evaluation.state_covariance @ _t(evaluation.closed_loop)
        E_Z = evaluation.input_curvature @ Z - _t(B) @ P_Z @ evaluation.closed_loop
        return P_Z, self._solver.solve(-_with_transposed(source)), E_Z


def _t(matrices: FloatArray) -> FloatArray:
    return matrices.swapaxes(-1, -2)


def _with_transposed(matrices: FloatArray) -> FloatArray:
    return np.asarray(matrices + _t(matrices))

"""Third derivative of the cost: how the Hessian operator changes with the gain."""

from numpy.typing import ArrayLike

from metalqr.lqr.evaluation import PolicyEvaluation, evaluate
from metalqr.lqr.lyapunov import with_transposed
from metalqr.lqr.tasks import FloatArray, LQRTasks, gains_per_task


def third_derivative(tasks: LQRTasks, K: ArrayLike, X: ArrayLike, Y: ArrayLike) -> FloatArray:
    r"""Derivative in the direction X of the Hessian operator applied to Y, shape (I, k, d); symmetric in X and Y.

    With :math:`H = R + B^\top P B`, and for each direction Z the first derivatives :math:`P_Z, \Sigma_Z` of
    :math:`P_K, \Sigma_K` (those of :func:`hessian_vector_product`) and :math:`E_Z = H Z - B^\top P_Z A_K`,

    .. math::

        \mathrm{D}^3 J(K)[X, Y] &= 2 \left( E_{XY} \Sigma_K + E_X \Sigma_Y + E_Y \Sigma_X + E_K \Sigma_{XY} \right), \\
        E_{XY} &= B^\top P_X B Y + B^\top P_Y B X - B^\top P_{XY} A_K, \\
        P_{XY} &= A_K^\top P_{XY} A_K + S + S^\top, \quad S = X^\top E_Y + Y^\top E_X
        - X^\top (R + B^\top P B) Y, \\
        \Sigma_{XY} &= A_K \Sigma_{XY} A_K^\top + T + T^\top, \quad T = B X \Sigma_K Y^\top B^\top
        - (B X \Sigma_Y + B Y \Sigma_X) A_K^\top .

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
        self._solver = evaluation.lyapunov
        self._Y = gains_per_task(tasks, Y, name="Y")
        self._P_Y, self._Sigma_Y, self._E_Y = self._first(self._Y)

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Derivative in the direction X of the Hessian operator applied to Y, shape (I, k, d)."""
        tasks, evaluation, Y = self._tasks, self._evaluation, self._Y
        B, F, covariance = tasks.B, evaluation.closed_loop, evaluation.state_covariance
        X = gains_per_task(tasks, X, name="X")
        P_X, Sigma_X, E_X = self._first(X)
        P_XY = self._solver.solve_adjoint(
            with_transposed(X.mT @ self._E_Y + Y.mT @ E_X - X.mT @ evaluation.input_curvature @ Y)
        )
        BX, BY = B @ X, B @ Y
        Sigma_XY = self._solver.solve(
            with_transposed(BX @ covariance @ BY.mT - (BX @ self._Sigma_Y + BY @ Sigma_X) @ F.mT)
        )
        E_XY = B.mT @ (P_X @ BY + self._P_Y @ BX - P_XY @ F)
        return 2.0 * (E_XY @ covariance + E_X @ self._Sigma_Y + self._E_Y @ Sigma_X + evaluation.advantage @ Sigma_XY)

    def _first(self, Z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """First derivatives of P, Σ and E in the direction Z of shape (I, k, d)."""
        evaluation, B = self._evaluation, self._tasks.B
        P_Z = self._solver.solve_adjoint(with_transposed(Z.mT @ evaluation.advantage))
        source = B @ Z @ evaluation.state_covariance @ evaluation.closed_loop.mT
        E_Z = evaluation.input_curvature @ Z - B.mT @ P_Z @ evaluation.closed_loop
        return P_Z, self._solver.solve(-with_transposed(source)), E_Z

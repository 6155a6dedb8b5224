"""Exact changes of a policy's quantities under a change of its gain, without the cancellation of a subtraction.

The bounds of Lemma 9 hold for perturbations so small that a difference of two evaluations would be all rounding. Every
change below is a sum of terms that are themselves of the first order in the change of the gain.
"""

from collections.abc import Callable

import numpy as np

from metalqr.lqr import FloatArray, LQRTasks, PolicyEvaluation
from metalqr.lqr.performance_difference import cost_change

#: Largest dimension of the Krylov space from which an operator's norm is computed.
MAX_KRYLOV_DIMENSION = 12


class PolicyChange:
    r"""Quantities of n policies (n, k, d) at :math:`K` and at :math:`K + \Delta`, one task each, and their differences.

    With :math:`M = R + B^\top P_K B` and a prime for what belongs to :math:`K + \Delta`,

    .. math::

        P' - P &= A'^\top (P' - P) A' + \Delta^\top E + E^\top \Delta + \Delta^\top M \Delta, \\
        \Sigma' - \Sigma &= A' (\Sigma' - \Sigma) A'^\top + A' \Sigma A'^\top - A \Sigma A^\top, \\
        E' - E &= M \Delta - B^\top (P' - P) A' .
    """

    def __init__(self, tasks: LQRTasks, K: FloatArray, change: FloatArray) -> None:
        self.tasks = tasks
        self.change = change
        self.before = PolicyEvaluation(tasks, K)
        self.after = PolicyEvaluation(tasks, K + change)
        self._input_change = tasks.B @ change  # A' = A - B change
        advantage = self.before.advantage
        cross = change.mT @ advantage
        source = cross + cross.mT + change.mT @ self.before.input_curvature @ change
        self.value = self.after.lyapunov.solve_adjoint(source)
        self.covariance = self.after.lyapunov.solve(self._transport(self.before.state_covariance))
        self.advantage = self.before.input_curvature @ change - tasks.B.mT @ self.value @ self.after.closed_loop

    def _transport(self, X: FloatArray, *, adjoint: bool = False) -> FloatArray:
        """A' X A'ᵀ - A X Aᵀ for symmetric X, or A'ᵀ X A' - Aᵀ X A."""
        change, closed = self._input_change, self.before.closed_loop
        if adjoint:
            change, closed = change.mT, closed.mT
        first = change @ X @ closed.mT
        return change @ X @ change.mT - first - first.mT

    def cost(self) -> FloatArray:
        r""":math:`J(K + \Delta) - J(K)`, shape (n,): the performance difference lemma."""
        return cost_change(self.before, self.after, self.change)

    def gradient(self) -> FloatArray:
        r""":math:`\nabla J(K + \Delta) - \nabla J(K)`, shape (n, k, d)."""
        return 2 * (self.advantage @ self.after.state_covariance + self.before.advantage @ self.covariance)

    def value_derivative(self, X: FloatArray) -> FloatArray:
        """Change of P'[X], the derivative of the value matrix in the direction X."""
        before = value_derivative(self.before, X)
        source = X.mT @ self.advantage
        return self.after.lyapunov.solve_adjoint(source + source.mT + self._transport(before, adjoint=True))

    def hessian_vector_product(self, X: FloatArray) -> FloatArray:
        r""":math:`\nabla^2 J(K + \Delta)[X] - \nabla^2 J(K)[X]`, shape (n, k, d)."""
        B, before, after = self.tasks.B, self.before, self.after
        closed, covariance = before.closed_loop, before.state_covariance
        # Change of A Σ.
        moved = closed @ self.covariance - self._input_change @ after.state_covariance
        curvature = B.mT @ self.value @ B @ X @ after.state_covariance + before.input_curvature @ X @ self.covariance
        value = B.mT @ (
            self.value_derivative(X) @ after.closed_loop @ after.state_covariance + value_derivative(before, X) @ moved
        )
        source = B @ X @ covariance @ closed.mT
        covariance_derivative = before.lyapunov.solve(-source - source.mT)
        source_change = B @ X @ moved.mT
        derivative_change = after.lyapunov.solve(
            self._transport(covariance_derivative) - source_change - source_change.mT
        )
        return 2 * (
            curvature
            - value
            + self.advantage @ (covariance_derivative + derivative_change)
            + before.advantage @ derivative_change
        )


def value_derivative(evaluation: PolicyEvaluation, X: FloatArray) -> FloatArray:
    r""":math:`P'_K[X] = A_K^\top P'_K[X] A_K + X^\top E_K + E_K^\top X`, shape (n, d, d)."""
    source = X.mT @ evaluation.advantage
    return evaluation.lyapunov.solve_adjoint(source + source.mT)


def operator_norms(
    apply: Callable[[FloatArray], FloatArray], shape: tuple[int, int, int], generator: np.random.Generator
) -> FloatArray:
    """Norms of n self-adjoint operators on gains of the shape (k, d), shape (n,).

    Exact where k d is at most ``MAX_KRYLOV_DIMENSION``. Otherwise the largest Ritz value of a Lanczos iteration with
    full orthogonalisation from a random start: a lower bound, within a few percent.
    """
    count, rows, columns = shape
    size = rows * columns
    steps = min(size, MAX_KRYLOV_DIMENSION)
    basis = np.empty((count, steps, size))
    images = np.empty_like(basis)
    vector = generator.standard_normal((count, size))
    for step in range(steps):
        # Twice, because once leaves a residue of the size of the rounding times what was removed.
        for _ in range(2):
            found = basis[:, :step]
            vector = vector - np.einsum("nsj,ns->nj", found, np.einsum("nsj,nj->ns", found, vector))
        length = np.linalg.norm(vector, axis=1, keepdims=True)
        basis[:, step] = vector / np.where(length > 0, length, 1.0)
        images[:, step] = apply(basis[:, step].reshape(shape)).reshape(count, size)
        # Inside a small space the images may be dependent, so that random vectors fill it instead.
        vector = images[:, step].copy() if size > steps else generator.standard_normal((count, size))
    projected = np.einsum("nsj,ntj->nst", basis, images)
    return np.asarray(np.abs(np.linalg.eigvalsh(0.5 * (projected + projected.mT))).max(axis=1))

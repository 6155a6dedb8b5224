"""The optimum of each single task: the discrete algebraic Riccati equation."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_discrete_are

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.lqr import FloatArray, LQRTasks, LyapunovSolver, TasksError
from metalqr.lqr.stability import spectral_radii

#: Relative Riccati residual below which the equation counts as solved.
RESIDUAL_TOLERANCE = 1e-10
#: Newton steps after SciPy's solver; each squares the relative error, so that one is nearly always enough.
MAX_REFINEMENTS = 5
#: Relative size below which a singular value of [A - λI, B] counts as zero.
RANK_TOLERANCE = 1e-10


class NotStabilisableError(TasksError):
    """Some task is not stabilisable; the message names the task and the mode that no input reaches."""


class RiccatiError(ArithmeticError):
    """The Riccati equation of a stabilisable task could not be solved to the promised accuracy."""


@dataclass(frozen=True, eq=False)
class OptimalGains(ReadOnlyArrays):
    """Every task's own optimum.

    Optimal gains K (I, k, d), the stabilising solutions P of the Riccati equations (I, d, d), and the optimal costs
    J_i* = Tr(P_i Ψ_i), shape (I,).
    """

    K: FloatArray
    P: FloatArray
    cost: FloatArray


def optimal_gains(tasks: LQRTasks) -> OptimalGains:
    r"""Optimal gain, value matrix and cost of every task (Section 3.1).

    .. math::

        P = Q + A^\top P A - A^\top P B (R + B^\top P B)^{-1} B^\top P A, \qquad
        K^* = (R + B^\top P B)^{-1} B^\top P A, \qquad J^* = \mathrm{Tr}(P \Psi).

    The paper prints a plus sign before the last term of the first equation. SciPy's solver gives P, and policy
    iteration (Newton's method for this equation) refines it to a relative residual below 1e-10.

    In python-control, ``dlqr`` returns K and P (as S) of one task, and ``dare`` P.

    Raises
    ------
    NotStabilisableError
        If some task has no stabilising gain.
    RiccatiError
        If the equation of a task is too badly scaled to be solved.
    """
    P, K = (np.stack(matrices) for matrices in zip(*(_solve(tasks, i) for i in range(tasks.count)), strict=True))
    return OptimalGains(K, P, cost=np.einsum("iab,iab->i", P, tasks.Psi))


def _solve(tasks: LQRTasks, task: int) -> tuple[FloatArray, FloatArray]:
    A, B, Q, R = tasks.A[task], tasks.B[task], tasks.Q[task], tasks.R[task]
    try:
        P = np.asarray(solve_discrete_are(A, B, Q, R), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        _require_stabilisable(tasks, task)
        raise RiccatiError(
            f"task {task}: SciPy could not solve the Riccati equation ({error}); rescale the task"
        ) from None
    K = _greedy_gain(A, B, R, P)
    residual = float("inf")
    for _ in range(MAX_REFINEMENTS):
        closed = A - B @ K
        radius = spectral_radii(closed[np.newaxis])[0]
        if not radius < 1.0:
            _require_stabilisable(tasks, task)
            raise RiccatiError(
                f"task {task}: the Riccati solution does not stabilise the task (spectral radius {radius:.9g}), "
                "although the task is stabilisable; it is too badly scaled for double precision; rescale it"
            )
        P = LyapunovSolver(closed[np.newaxis]).solve_adjoint((Q + K.T @ R @ K)[np.newaxis])[0]
        K = _greedy_gain(A, B, R, P)
        residual = float(np.linalg.norm(Q + A.T @ P @ (A - B @ K) - P) / np.linalg.norm(P))
        if residual < RESIDUAL_TOLERANCE:
            return P, K
    raise RiccatiError(
        f"task {task}: the relative Riccati residual stays at {residual:.3g}, above {RESIDUAL_TOLERANCE}; the task is "
        "too badly scaled for double precision; rescale it"
    )


def _greedy_gain(A: FloatArray, B: FloatArray, R: FloatArray, P: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A), dtype=np.float64)


def _require_stabilisable(tasks: LQRTasks, task: int) -> None:
    """Popov-Belevitch-Hautus test: [A - λI, B] has full rank for every eigenvalue λ with abs(λ) >= 1."""
    A, B = tasks.A[task], tasks.B[task]
    scale = max(np.linalg.norm(A, 2), np.linalg.norm(B, 2))
    # One state is reached by any input that is not zero, however weak.
    tolerance = RANK_TOLERANCE * scale if tasks.state_dim > 1 else 0.0
    for eigenvalue in np.linalg.eigvals(A):
        if abs(eigenvalue) < 1.0:
            continue
        pencil = np.hstack([A - eigenvalue * np.eye(tasks.state_dim), B])
        if np.linalg.svd(pencil, compute_uv=False)[-1] <= tolerance:
            raise NotStabilisableError(
                f"task {task} cannot be stabilised by any gain: no input reaches its mode with eigenvalue "
                f"{eigenvalue:.6g} (absolute value {abs(eigenvalue):.6g} >= 1); change A or B of this task or "
                "leave it out"
            )

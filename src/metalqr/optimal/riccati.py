"""The optimum of each single task: the discrete algebraic Riccati equation."""

from dataclasses import dataclass

import numpy as np

from metalqr.common.frozen import ReadOnlyArrays
from metalqr.lqr import FloatArray, LQRTasks, LyapunovSolver
from metalqr.lqr.existence import require_detectable, require_stabilisable
from metalqr.lqr.scaling import ScaledTask
from metalqr.lqr.stability import spectral_radii

#: Relative Riccati residual below which the equation counts as solved.
RESIDUAL_TOLERANCE = 1e-10
#: Newton steps after SciPy's solver; each squares the relative error, so that one is nearly always enough.
MAX_REFINEMENTS = 5
MAX_DOUBLINGS = 64


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

        P = Q + A^\top P A - (B^\top P A + S^\top)^\top K^*, \qquad
        K^* = (R + B^\top P B)^{-1} (B^\top P A + S^\top), \qquad J^* = \mathrm{Tr}(P \Psi).

    The paper, which has no S, prints a plus sign before the last term of the first equation. The cross term is removed
    task by task, by the feedback :math:`-R^{-1} S^\top x`. SciPy's solver gives P, or structured
    doubling where that fails, both in units in which the weights are near one. Policy iteration (Newton's method for
    this equation) refines P to a residual below 1e-10, relative to P or, where terms of the size of
    :math:`\|A\|^2 \|P\|` cancel, to these. The optimum is that among the stabilising gains, of the least
    :math:`\mathrm{Tr}(P_K W)` for every covariance W of the noise.

    In python-control, ``dlqr`` takes S as N and returns K and P (as S) of one task; ``dare`` returns P.

    Raises
    ------
    NotStabilisableError
        If some task has no stabilising gain.
    NotDetectableError
        If some task has no optimal gain, because a mode on the unit circle costs nothing.
    RiccatiError
        If double precision is not enough to solve the equation of a task.
    """
    P, K = (np.stack(matrices) for matrices in zip(*(_solve(tasks, i) for i in range(tasks.count)), strict=True))
    return OptimalGains(K, P, cost=np.einsum("iab,iab->i", P, tasks.excitation))


# A method that overflows has failed, and the next one is tried.
@np.errstate(over="ignore", invalid="ignore")
def _solve(tasks: LQRTasks, task: int) -> tuple[FloatArray, FloatArray]:
    """P and K of one task, of the first method that gives them accurately."""
    scaled = ScaledTask.of(tasks, task)
    require_stabilisable(scaled, task)
    require_detectable(scaled, task)
    failures = []
    for name, solution in METHODS.items():
        try:
            P, K = _refined(scaled, solution(scaled))
        except (ArithmeticError, np.linalg.LinAlgError, ValueError) as failure:
            failures.append(f"{name}: {failure}")
        else:
            return scaled.value_matrix(P), scaled.gain(K)
    raise RiccatiError(
        f"task {task}: its Riccati equation could not be solved in double precision. {'; '.join(failures)}. "
        f"{_nearest_to_circle(scaled)}Other units do not help, the task was scaled: its inputs hardly reach an "
        "unstable mode, or the closed loop grows too far before it decays; shorten the sampling time, or give the task "
        "another input"
    )


def _nearest_to_circle(task: ScaledTask) -> str:
    """The eigenvalue of the symplectic pencil that is nearest to the unit circle, where there must be none."""
    from scipy.linalg import eigvals

    zero, unit = np.zeros_like(task.A), np.eye(len(task.A))
    G = task.B @ np.linalg.solve(task.R, task.B.T)
    found = eigvals(np.block([[task.A, zero], [-task.Q, unit]]), np.block([[unit, G], [zero, task.A.T]]))
    found = found[np.isfinite(found)]
    if not found.size:
        return ""
    nearest = found[np.abs(np.abs(found) - 1.0).argmin()]
    return (
        f"The eigenvalue of its symplectic pencil nearest to the unit circle is {nearest:.6g}, of absolute value "
        f"{abs(nearest):.9g}. "
    )


def _schur(task: ScaledTask) -> FloatArray:
    """P by SciPy: the stable invariant subspace of the symplectic pencil."""
    # A third of a second that jobs of training do not need.
    from scipy.linalg import solve_discrete_are

    return np.asarray(solve_discrete_are(task.A, task.B, task.Q, task.R), dtype=np.float64)


def _doubling(task: ScaledTask) -> FloatArray:
    r"""P by structure-preserving doubling, which has no subspace to order and adds up only semidefinite terms.

    With :math:`A_0 = A`, :math:`G_0 = B R^{-1} B^\top`, :math:`H_0 = Q` and :math:`W_j = I + G_j H_j`

    .. math:: A_{j+1} = A_j W_j^{-1} A_j, \quad G_{j+1} = G_j + A_j W_j^{-1} G_j A_j^\top, \quad
              H_{j+1} = H_j + A_j^\top H_j W_j^{-1} A_j

    and :math:`H_j \to P` quadratically (Chu, Fan, Lin, Wang, Int. J. Control 77 (2004) 767-788).
    """
    A, G, H = task.A, task.B @ np.linalg.solve(task.R, task.B.T), task.Q
    identity = np.eye(len(A))
    for _ in range(MAX_DOUBLINGS):
        solved = np.linalg.solve(identity + G @ H, np.hstack([A, G]))
        first, second = solved[:, : len(A)], solved[:, len(A) :]
        added = A.T @ H @ first
        G = G + A @ second @ A.T
        H, A = H + added, A @ first
        G, H = 0.5 * (G + G.T), 0.5 * (H + H.T)
        if np.linalg.norm(added) <= np.finfo(np.float64).eps * np.linalg.norm(H):
            return H
    raise ArithmeticError(f"no end after {MAX_DOUBLINGS} doublings")


def _refined(task: ScaledTask, P: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P after policy iteration, and its gain."""
    A, B, Q, R = task.A, task.B, task.Q, task.R
    K = _greedy_gain(task, P)
    for _ in range(MAX_REFINEMENTS):
        P = _loop(task, K)[1].solve_adjoint((Q + K.T @ R @ K)[np.newaxis])[0]
        K = _greedy_gain(task, P)
        if np.linalg.norm(Q + A.T @ P @ (A - B @ K) - P) <= RESIDUAL_TOLERANCE * _size(task, P):
            return P, K
    # Terms of the size of |A|^2 |P| cancel in the equation. Where that is what is left, corrections of P instead of new
    # ones, by a residual in which an error of K is squared, bring its rounding down to that of these terms.
    scale, residual = float(np.linalg.norm(A, 2)) ** 2, np.inf
    for _ in range(MAX_REFINEMENTS):
        F, solver = _loop(task, K)
        defect = Q + K.T @ R @ K + F.T @ P @ F - P
        residual = float(np.linalg.norm(defect) / _size(task, P)) / scale
        if residual < RESIDUAL_TOLERANCE:
            return P, K
        P = P + solver.solve_adjoint(defect[np.newaxis])[0]
        K = _greedy_gain(task, P)
    raise ArithmeticError(f"the relative residual stays at {residual:.3g}, above {RESIDUAL_TOLERANCE}")


def _size(task: ScaledTask, P: FloatArray) -> float:
    """The norm of P, at least the rounding of the weight that it comes from: P may be zero."""
    return max(float(np.linalg.norm(P)), np.finfo(np.float64).eps * task.weight)


def _loop(task: ScaledTask, K: FloatArray) -> tuple[FloatArray, LyapunovSolver]:
    """The closed loop, which must be stable, and the solver of its Lyapunov equations."""
    closed = task.A - task.B @ K
    radius = spectral_radii(closed[np.newaxis])[0]
    if not radius < 1.0:
        raise ArithmeticError(f"the gain found does not stabilise the task (spectral radius {radius:.9g})")
    return closed, LyapunovSolver(closed[np.newaxis])


METHODS = {"SciPy's Schur method": _schur, "structured doubling": _doubling}


def _greedy_gain(task: ScaledTask, P: FloatArray) -> FloatArray:
    A, B = task.A, task.B
    return np.asarray(np.linalg.solve(task.R + B.T @ P @ B, B.T @ P @ A), dtype=np.float64)

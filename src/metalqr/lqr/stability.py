"""How far a gain can go in a direction before it stops stabilising a task."""

import numpy as np
from numpy.typing import ArrayLike

from metalqr.lqr.evaluation import evaluate, gains_per_task
from metalqr.lqr.lyapunov import LyapunovSolver
from metalqr.lqr.tasks import FloatArray, LQRTasks

#: A step this small beside the way already gone ends the search.
SMALLEST_STEP = 1e-11
#: How near the boundary the search comes.
ACCURACY = 1e-10
#: Part of a certified step that is gone, so that rounding does not carry it over the boundary.
STEP_SHARE = 0.999
#: Usual are less than 150; more where the boundary is touched and not crossed.
MOST_STEPS = 1_000
#: How far a ray is followed, in units of (1 + |F|) / |C|.
FAR = 1e6
#: Relative change of a characteristic polynomial that is rounding.
POLYNOMIAL_ROUNDING = 1e-12


def largest_stable_step(tasks: LQRTasks, K: ArrayLike, X: ArrayLike) -> FloatArray:
    r"""Largest t such that :math:`K + sX` stabilises the task for all :math:`0 \le s < t`, for every task.

    Along the ray the closed loop is :math:`F + sC` with :math:`F = A - BK`, :math:`C = -BX`. It is followed in steps
    that cannot cross the boundary: a matrix :math:`P \succ 0` with :math:`W = P - F^\top P F \succ 0` is a Lyapunov
    function of :math:`F + sC` as well while

    .. math:: s (F^\top P C + C^\top P F) + s^2\, C^\top P C \prec W ,

    and the next step starts where that ends. Two P are tried at each: the solution of :math:`P = I + F^\top P F`, and,
    with the eigenvectors :math:`F = V \Lambda V^{-1}`, :math:`P = V^{-*} V^{-1}`, whose steps shrink faster than
    linearly at a boundary that an eigenvalue (or a pair) crosses.

    Parameters
    ----------
    tasks : LQRTasks
    K : array_like, shape (k, d) or (I, k, d)
    X : array_like, shape (k, d) or (I, k, d)
        Direction, for all tasks or one per task.

    Returns
    -------
    array, shape (I,)
        ``inf`` where :math:`BX = 0` or the ray never leaves: if :math:`F + sC` is stable for all s, the coefficients of
        its characteristic polynomial are bounded, and as polynomials in s constant.
        Otherwise a lower bound: to a relative 1e-10, unless the boundary is touched without being crossed, or is so
        far off, beside the first loop, that rounding hides it.

    Raises
    ------
    UnstablePolicyError
        If K does not stabilise every task.
    ValueError
        If K or X has another shape, or holds something that is not finite.

    Examples
    --------
    The closed loop 1/2 - s leaves (-1, 1) at s = 3/2:

    >>> one = [[[1.0]]]
    >>> tasks = LQRTasks(A=[[[0.5]]], B=one, Q=one, R=one, Psi=one)
    >>> largest_stable_step(tasks, [[0.0]], [[1.0]])
    array([1.5])
    """
    directions = gains_per_task(tasks, X, name="X")
    loops = evaluate(tasks, K).closed_loop
    changes = -tasks.B @ directions
    return np.array([_follow(F, C) for F, C in zip(loops, changes, strict=True)])


def _follow(F: FloatArray, C: FloatArray) -> float:
    size = float(np.linalg.norm(C))
    if size == 0:
        return float("inf")
    far = FAR * (1.0 + float(np.linalg.norm(F))) / size
    gone = 0.0
    for _ in range(MOST_STEPS):
        step = STEP_SHARE * _certified_step(F + gone * C, C)
        if gone > far or step <= SMALLEST_STEP * gone:
            break
        gone += step
    beyond = F + (1.0 + ACCURACY) * gone * C
    leaves = np.abs(np.linalg.eigvals(beyond)).max() >= 1.0 or not _never_leaves(F, C)
    return gone if leaves else float("inf")


def _certified_step(F: FloatArray, C: FloatArray) -> float:
    """The longer of the two steps from F in which F + sC certainly stays stable; 0 where rounding hides that F is."""
    unit = np.eye(F.shape[0])
    solver = LyapunovSolver(F[np.newaxis])
    if not solver.converged[0]:
        return 0.0
    first = _step_with(F, C, solver.solve_adjoint(unit[np.newaxis])[0], unit)
    eigenvalues, vectors = np.linalg.eig(F)
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:  # no basis of eigenvectors
        return first
    # Real, because the eigenvectors come in conjugate pairs.
    adjoint = inverse.conj().T
    P = (adjoint @ inverse).real
    decrease = ((adjoint * (1.0 - np.abs(eigenvalues) ** 2)) @ inverse).real
    return max(first, _step_with(F, C, P, decrease))


def _step_with(F: FloatArray, C: FloatArray, P: FloatArray, decrease: FloatArray) -> float:
    """The s at which s (FᵀPC + CᵀPF) + s² CᵀPC could first fail to be below ``decrease`` = P - FᵀPF."""
    weights, basis = np.linalg.eigh(0.5 * (decrease + decrease.T))
    if not weights[0] > 0:
        return 0.0
    basis = basis / np.sqrt(weights)
    linear = basis.T @ F.T @ P @ C @ basis
    quadratic = basis.T @ C.T @ P @ C @ basis
    slope = max(0.0, float(np.linalg.eigvalsh(linear + linear.T)[-1]))
    curvature = max(0.0, float(np.linalg.eigvalsh(0.5 * (quadratic + quadratic.T))[-1]))
    bound = slope + np.sqrt(slope**2 + 4.0 * curvature)
    return float(2.0 / bound) if bound > 0 else 0.0


def _never_leaves(F: FloatArray, C: FloatArray) -> bool:
    """Whether the characteristic polynomial of F + sC is the same for all s, as far as doubles can tell."""
    step = (1.0 + float(np.linalg.norm(F))) / float(np.linalg.norm(C))
    reference = np.poly(F)
    scale = POLYNOMIAL_ROUNDING * np.abs(reference).sum()
    return all(np.abs(np.poly(F + s * step * C) - reference).max() <= scale for s in (1.0, 2.0))

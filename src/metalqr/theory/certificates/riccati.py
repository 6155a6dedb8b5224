r"""Least upper bounds of Lyapunov solutions over a ball of closed loops: Riccati equations of the bounded-real kind."""

from collections.abc import Callable

import numpy as np

from metalqr.lqr import FloatArray

#: Doublings: enough for a spectral radius of 1 - 1e-9, with transient growth.
MAX_DOUBLINGS = 45
#: A power of the closed loop this small in norm adds less than rounding: its contribution enters squared.
NEGLIGIBLE_POWER = 1e-9
#: The weight is raised by this share of the size of the solution, so that the inequality holds in spite of rounding.
SLACK = 1e-11
#: Trial values of a multiplier are these times the estimate of the best one, above its lower limit.
TRIALS = np.array([0.25, 0.5, 0.8, 1.25, 2.0, 4.0, 16.0])[:, np.newaxis]


def supersolution(A: FloatArray, C: FloatArray, W: FloatArray, size: FloatArray) -> FloatArray:
    r"""X that verifies, in doubles, :math:`X \succeq W + A^\top X A + A^\top X C (I - C^\top X C)^{-1} C^\top X A`.

    With :math:`C^\top X C \prec I` and :math:`X \succeq 0`; NaN where none is found. It is the least solution of the
    equation with W raised by rounding, from the structure-preserving doubling: with :math:`G_0 = C C^\top`,
    :math:`H_0 = W`, :math:`A_0 = A` and :math:`T_j = (I - G_j H_j)^{-1}`,

    .. math:: A_{j+1} = A_j T_j A_j, \qquad G_{j+1} = G_j + A_j T_j G_j A_j^\top, \qquad
              H_{j+1} = H_j + A_j^\top H_j T_j A_j ,

    where :math:`H_j` is the value of :math:`2^j` steps. The inequality is checked for the result, so nothing rests on
    the convergence.

    Parameters
    ----------
    A : array, shape (..., d, d)
    C : array, shape (..., d, m)
    W : array, shape (..., d, d)
        Positive semidefinite.
    size : array, shape (...)
        Norm of the solution of :math:`X = W + A^\top X A`, about that of the result.

    Returns
    -------
    array, shape (..., d, d)

    References
    ----------
    E. K.-W. Chu, H.-Y. Fan, W.-W. Lin, C.-S. Wang, Structure-preserving algorithms for periodic discrete-time algebraic
    Riccati equations, Int. J. Control 77 (2004) 767-788 (the doubling).
    """
    unit = np.eye(A.shape[-1])
    with np.errstate(all="ignore"):
        raised = W + SLACK * size[..., np.newaxis, np.newaxis] * unit
        X = _doubled(A, C @ C.mT, raised)
        sound = np.asarray(np.isfinite(X).all(axis=(-2, -1)))
        X = np.where(sound[..., np.newaxis, np.newaxis], X, 0.0)
        XC, XA = X @ C, X @ A
        gap = np.eye(C.shape[-1]) - C.mT @ XC
        sound &= (_least(gap) > 0.0) & (_least(X) >= 0.0)
        gap = np.where(sound[..., np.newaxis, np.newaxis], gap, np.eye(C.shape[-1]))
        cross = A.mT @ XC
        excess = X - W - A.mT @ XA - cross @ np.linalg.solve(gap, cross.mT)
        sound &= _least(0.5 * (excess + excess.mT)) >= 0.0
    return np.where(sound[..., np.newaxis, np.newaxis], X, np.nan)


def _doubled(A: FloatArray, G: FloatArray, H: FloatArray) -> FloatArray:
    """The limit of the doubling; NaN where it has none."""
    d = A.shape[-1]
    unit = np.eye(d)
    A, G, H = np.broadcast_arrays(A, G, H)
    lost = np.zeros(H.shape[:-2], dtype=bool)
    for _ in range(MAX_DOUBLINGS):
        moved = _solved(unit - G @ H, np.concatenate([A, G @ A.mT], axis=-1))
        grown = A.mT @ H @ moved[..., :d]
        H, G = H + 0.5 * (grown + grown.mT), G + A @ moved[..., d:]
        G, A = 0.5 * (G + G.mT), A @ moved[..., :d]
        # H grows where it converges; where the equation has no solution it soon falls, or leaves the range of doubles.
        falls = ~(np.isfinite(A).all(axis=(-2, -1)) & (np.trace(grown, axis1=-2, axis2=-1) >= 0.0))
        if falls.any():
            lost |= falls
            there = lost[..., np.newaxis, np.newaxis]
            A, G, H = np.where(there, 0.0, A), np.where(there, 0.0, G), np.where(there, 0.0, H)
        if (np.linalg.norm(A, axis=(-2, -1)) <= NEGLIGIBLE_POWER).all():
            break
    return np.where(lost[..., np.newaxis, np.newaxis], np.nan, H)


def _solved(left: FloatArray, right: FloatArray) -> FloatArray:
    """Solutions of linear equations, NaN where a matrix is exactly singular."""
    try:
        return np.asarray(np.linalg.solve(left, right))
    except np.linalg.LinAlgError:
        singular = np.linalg.det(left) == 0.0
        found = np.linalg.solve(np.where(singular[..., np.newaxis, np.newaxis], np.eye(left.shape[-1]), left), right)
        return np.where(singular[..., np.newaxis, np.newaxis], np.nan, found)


def least(X: FloatArray, score: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """The solution (n, d, d) with the least score among trials (g, n, d, d); NaN where no trial has one."""
    scores = score(np.nan_to_num(X))
    scores = np.where(np.isnan(X).any(axis=(-2, -1)), np.inf, scores)
    return np.asarray(X[scores.argmin(axis=0), np.arange(X.shape[1])])


def largest(matrices: FloatArray) -> FloatArray:
    """Largest eigenvalues of symmetric matrices, shape (...); NaN where an entry is."""
    known = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))
    found = np.linalg.eigvalsh(np.where(known[..., np.newaxis, np.newaxis], matrices, 0.0))[..., -1]
    return np.where(known, found, np.nan)


def _least(matrices: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.eigvalsh(np.nan_to_num(matrices))[..., 0])
